package code

import "testing"

func TestNumberIsReadAtAnySize(t *testing.T) {
	const stride = 1280
	luma := make([]byte, stride*Side)
	for number := range 1 << Bits {
		Write(luma, stride, number)
		for _, size := range [][2]int{{Width, Height}, {64, 64}, {24, 8}} {
			got := Read(size[0], size[1], func(x, y int) byte { return luma[y*Height/size[1]*stride+x*Width/size[0]] })
			if got != number {
				t.Fatalf("%d is read as %d at %v", number, got, size)
			}
		}
	}
}
