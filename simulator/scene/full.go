package scene

import (
	"image"
	"math"

	"meltwatch/simulator/furnace"
)

// overlay is what the whole picture needs beyond its cells: the fine texture of
// the plate, and room for a picture's cells as luma and chroma.
type overlay struct {
	cells  *canvas
	detail []int16 // plate against its cells' interpolation, 1/256
	rgb    []byte
	steep  []byte // the same cells with a plate a quarter brighter
	luma   []int32
	slope  []int32
}

func newOverlay(s *Scene) *overlay {
	o := &overlay{cells: newCanvas(fullArea, s.shell, s.batch)}
	n := fullArea.w * fullArea.h
	o.rgb, o.steep, o.luma, o.slope = make([]byte, 3*n), make([]byte, 3*n), make([]int32, n), make([]int32, n)
	o.detail = make([]int16, Width*Height)
	o.cells.shake(0, 0)
	green := o.cells.moved[1]
	for y := range Height {
		for x := range Width {
			u := (float64(x)+0.5)/cellPixels + float64(fullArea.x)
			v := (float64(y)+0.5)/cellPixels + float64(fullArea.y)
			fine := s.shell.reflectance(u/Side, v/Side)[1]
			coarse := between(green, x, y)
			o.detail[y*Width+x] = int16(min(max(256*(fine/coarse-1), -255), 512))
		}
	}
	return o
}

// between interpolates cells at pixel (x, y).
func between(cells []float32, x, y int) float64 {
	at := func(cx, cy int) float64 {
		return float64(cells[min(max(cy, 0), fullArea.h-1)*fullArea.w+min(max(cx, 0), fullArea.w-1)])
	}
	u, v := (float64(x)+0.5)/cellPixels-0.5, (float64(y)+0.5)/cellPixels-0.5
	fu, fv := math.Floor(u), math.Floor(v)
	i, j := int(fu), int(fv)
	u, v = u-fu, v-fv
	return (at(i, j)*(1-u)+at(i+1, j)*u)*(1-v) + (at(i, j+1)*(1-u)+at(i+1, j+1)*u)*v
}

// Full draws the whole picture, Width × Height, into a 4:2:0 image.
func (s *Scene) Full(state furnace.State, picture *image.YCbCr) {
	if s.full == nil {
		s.full = newOverlay(s)
	}
	o := s.full
	s.compose(o.cells, state)
	o.cells.expose(state, s.tone, o.rgb)
	bright := state
	o.cells.brighten(1.25)
	o.cells.expose(bright, s.tone, o.steep)
	s.grain.add(o.rgb, 3*fullArea.w, s.batch.Grain, state.Time)
	for n := range o.luma {
		y := luma(o.rgb[3*n:])
		o.luma[n], o.slope[n] = y, 4*(luma(o.steep[3*n:])-y)
	}
	o.drawLuma(picture)
	o.drawChroma(picture)
}

// brighten scales the plate of this picture.
func (c *canvas) brighten(k float32) {
	for i := range c.moved {
		for n := range c.moved[i] {
			c.moved[i][n] *= k
		}
	}
}

// luma is a pixel's brightness in 1/256 grey levels (BT.601, full range).
func luma(p []byte) int32 { return 77*int32(p[0]) + 150*int32(p[1]) + 29*int32(p[2]) }

// drawLuma interpolates the cells' luma and lays the plate's detail over it.
func (o *overlay) drawLuma(picture *image.YCbCr) {
	for y := range Height {
		top, low, fy := neighbours(y, fullArea.h)
		out, detail := picture.Y[y*picture.YStride:][:Width], o.detail[y*Width:][:Width]
		for x := range Width {
			left, right, fx := neighbours(x, fullArea.w)
			level := blend(o.luma, top, low, left, right, fx, fy)
			slope := blend(o.slope, top, low, left, right, fx, fy)
			v := (level + slope*int32(detail[x])/256 + 128) >> 8
			out[x] = byte(min(max(v, 0), 255))
		}
	}
}

// drawChroma interpolates the cells' colour differences.
func (o *overlay) drawChroma(picture *image.YCbCr) {
	blue, red := make([]int32, len(o.luma)), make([]int32, len(o.luma))
	for n := range o.luma {
		blue[n] = (int32(o.rgb[3*n+2])*256 - o.luma[n]) * 144 / 256
		red[n] = (int32(o.rgb[3*n])*256 - o.luma[n]) * 183 / 256
	}
	for y := range Height / 2 {
		top, low, fy := neighbours(2*y, fullArea.h)
		for x := range Width / 2 {
			left, right, fx := neighbours(2*x, fullArea.w)
			n := y*picture.CStride + x
			picture.Cb[n] = byte(min(max(128+(blend(blue, top, low, left, right, fx, fy)+128)>>8, 0), 255))
			picture.Cr[n] = byte(min(max(128+(blend(red, top, low, left, right, fx, fy)+128)>>8, 0), 255))
		}
	}
}

// neighbours are the cells before and after a pixel, and its place between in
// sixteenths.
func neighbours(pixel, cells int) (before, after int, part int32) {
	at := 2*pixel + 1 - cellPixels // in sixteenths of a cell, from the first cell's middle
	cell := at >> 4
	return min(max(cell, 0), cells-1), min(max(cell+1, 0), cells-1), int32(at & 15)
}

func blend(cells []int32, top, low, left, right int, fx, fy int32) int32 {
	a := cells[top*fullArea.w+left]*(16-fx) + cells[top*fullArea.w+right]*fx
	b := cells[low*fullArea.w+left]*(16-fx) + cells[low*fullArea.w+right]*fx
	return (a*(16-fy) + b*fy) >> 8
}
