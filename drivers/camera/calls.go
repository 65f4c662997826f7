package main

import (
	"meltwatch/drivers"
	"meltwatch/drivers/rtsp"
)

// calls are what the agent can ask, in the shape that net/rpc wants.
type calls struct{ camera *rtsp.Camera }

// Configure says what to open.
func (c *calls) Configure(s drivers.CameraSettings, _ *struct{}) error {
	return c.camera.Configure(s)
}

// Latest is the newest frame and the camera's health.
func (c *calls) Latest(r drivers.LatestRequest, reply *drivers.LatestReply) (err error) {
	*reply, err = c.camera.Latest(r)
	return err
}

// Preview is the newest whole picture.
func (c *calls) Preview(r drivers.PreviewRequest, reply *drivers.PreviewReply) (err error) {
	*reply, err = c.camera.Preview(r)
	return err
}
