package infer

// PID is the process id of the running child, 0 without one.
func (c *Client) PID() int {
	p := c.alive.Load()
	if p == nil {
		return 0
	}
	return p.PID()
}
