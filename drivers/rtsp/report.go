package rtsp

import (
	"fmt"
	"time"

	"gocv.io/x/gocv"

	"meltwatch/drivers"
)

// Report returns what is known of the camera and its stream.
func (c *Camera) Report() (drivers.StreamReport, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.detector == nil {
		return drivers.StreamReport{Status: drivers.Absent, Cause: "not configured yet"}, nil
	}
	r := c.survey.Report()
	r.Attempts, r.Decoded = c.attempts, c.decoded()
	r.Ended = c.ended
	r.Resized = c.resized
	r.Status, r.Cause = c.status(time.Now())
	if c.size.Width > 0 {
		r.Width, r.Height = c.size.Width, c.size.Height // as decoded, which is exact
	}
	return r, nil
}

// decoded counts frames since the settings were set. The caller holds mu.
func (c *Camera) decoded() uint64 {
	if c.taken.IsZero() {
		return 0
	}
	return c.number - c.configuredAt
}

// maxPart bounds a part of a picture in bytes; the child protocol bounds a message.
const maxPart = 2 << 20

// Picture returns a part of the newest whole picture as PNG.
func (c *Camera) Picture(r drivers.PictureRequest) (drivers.PictureReply, error) {
	if r.Offset == 0 {
		if err := c.encodeNewest(); err != nil {
			return drivers.PictureReply{}, err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	size := len(c.encoded)
	if r.Offset < 0 || r.Offset >= size {
		return drivers.PictureReply{}, fmt.Errorf("picture: offset %d is outside its %d bytes", r.Offset, size)
	}
	part := c.encoded[r.Offset:min(r.Offset+maxPart, size)]
	reply := drivers.PictureReply{PNG: part, Size: size, Age: time.Since(c.encodedTaken)}
	if r.Offset+len(part) == size {
		c.encoded = nil
	}
	return reply, nil
}

func (c *Camera) encodeNewest() error {
	picture := gocv.NewMat()
	defer free(picture)
	taken, err := c.copyNewest(&picture)
	if err != nil {
		return err
	}
	encoded, err := encodePNG(picture)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.encoded, c.encodedTaken = encoded, taken
	return nil
}
