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
	blue   []int32
	red    []int32
}

// fullWide is the whole picture's width in cells.
const fullWide = Width / cellPixels

func newOverlay(s *Scene) *overlay {
	o := &overlay{cells: newCanvas(fullArea, s.shell, s.batch)}
	o.cells.survey(s.shell)
	n := fullArea.w * fullArea.h
	o.rgb, o.steep, o.luma, o.slope = make([]byte, 3*n), make([]byte, 3*n), make([]int32, n), make([]int32, n)
	o.blue, o.red = make([]int32, n), make([]int32, n)
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
	var level, slope [fullWide]int32
	for y := range Height {
		blendRows(level[:], o.luma, y)
		blendRows(slope[:], o.slope, y)
		out, detail := picture.Y[y*picture.YStride:][:Width], o.detail[y*Width:][:Width]
		half := cellPixels / 2
		for x := range half { // left of the first cell's middle
			out[x] = lay(level[0], slope[0], detail[x])
			out[Width-1-x] = lay(level[fullWide-1], slope[fullWide-1], detail[Width-1-x])
		}
		for cell := range fullWide - 1 {
			at := half + cell*cellPixels
			out, detail := out[at:at+cellPixels:at+cellPixels], detail[at:at+cellPixels:at+cellPixels]
			l, s := level[cell], slope[cell]
			dl, ds := (level[cell+1]-l)/cellPixels, (slope[cell+1]-s)/cellPixels
			l, s = l+dl/2, s+ds/2
			for x := range out {
				out[x] = lay(l, s, detail[x])
				l, s = l+dl, s+ds
			}
		}
	}
}

// lay is the byte of a pixel: its cell's luma (1/256 grey level) and what the
// plate's detail (1/256) adds to it.
func lay(level, slope int32, detail int16) byte {
	v := (level + (slope*int32(detail))>>8 + 128) >> 8
	return byte(min(max(v, 0), 255))
}

// drawChroma interpolates the cells' colour differences.
func (o *overlay) drawChroma(picture *image.YCbCr) {
	for n, luma := range o.luma {
		o.blue[n] = (int32(o.rgb[3*n+2])*256 - luma) * 144 / 256
		o.red[n] = (int32(o.rgb[3*n])*256 - luma) * 183 / 256
	}
	for y := range Height / 2 {
		stripe(picture.Cb[y*picture.CStride:][:Width/2], o.blue, 2*y)
		stripe(picture.Cr[y*picture.CStride:][:Width/2], o.red, 2*y)
	}
}

// stripe draws one row of one colour difference.
func stripe(out []byte, cells []int32, y int) {
	const wide = cellPixels / 2 // a cell's width in a plane of half the size
	var level [fullWide]int32
	blendRows(level[:], cells, y)
	for x := range wide / 2 {
		out[x] = centred(level[0])
		out[len(out)-1-x] = centred(level[fullWide-1])
	}
	for cell := range fullWide - 1 {
		l, d := level[cell], (level[cell+1]-level[cell])/wide
		l += d / 2
		for x := range wide {
			out[wide/2+cell*wide+x] = centred(l)
			l += d
		}
	}
}

func centred(difference int32) byte { return byte(min(max(128+(difference+128)>>8, 0), 255)) }

// blendRows interpolates cells between the two rows around pixel row y.
func blendRows(out, cells []int32, y int) {
	at := 2*y + 1 - cellPixels // in sixteenths of a cell, from the first cell's middle
	part := int32(at & 15)
	top := cells[min(max(at>>4, 0), fullArea.h-1)*fullWide:][:fullWide]
	low := cells[min(max(at>>4+1, 0), fullArea.h-1)*fullWide:][:fullWide]
	for x := range out {
		out[x] = (top[x]*(16-part) + low[x]*part) >> 4
	}
}
