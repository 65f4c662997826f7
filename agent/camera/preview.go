package camera

import (
	"context"
	"errors"

	"meltwatch/child"
	"meltwatch/drivers"
)

// Preview returns the newest whole picture as JPEG, at most maxWidth pixels wide.
func (c *Client) Preview(ctx context.Context, maxWidth int) ([]byte, error) {
	p := c.process.Load()
	if p == nil {
		return nil, errors.New("the camera child does not run")
	}
	const quality = 70
	reply, err := child.Call[drivers.PreviewReply](ctx, p, "Camera.Preview", drivers.PreviewRequest{MaxWidth: maxWidth, Quality: quality})
	return reply.JPEG, err
}
