package infer

// PID is the living child's process id, 0 while there is none.
func (c *Client) PID() int {
	p := c.alive.Load()
	if p == nil {
		return 0
	}
	return p.PID()
}
