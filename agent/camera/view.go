package camera

import (
	"context"
	"errors"
	"time"

	"meltwatch/child"
	"meltwatch/drivers"
)

// View returns the newest whole picture as JPEG of a quality of 1–100, at most maxWidth
// pixels wide, and its instant.
func (c *Client) View(ctx context.Context, maxWidth, quality int) (jpeg []byte, taken time.Time, err error) {
	p := c.process.Load()
	if p == nil {
		return nil, taken, errors.New("the camera child does not run")
	}
	reply, err := child.Call[drivers.PreviewReply](ctx, p, "Camera.Preview", drivers.PreviewRequest{MaxWidth: maxWidth, Quality: quality})
	return reply.JPEG, time.Now().Add(-reply.Age), err
}
