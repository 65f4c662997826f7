package relay

import (
	"fmt"

	"github.com/bluenviron/gortsplib/v4/pkg/format"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h265"
)

// maxWidth × maxHeight pixels are the largest picture that is decoded, in either
// orientation: slightly more than 4K. See the child's memory bound.
const (
	maxWidth  = 4096
	maxHeight = 2304
)

// Size is a picture's size in pixels, zero while it is unknown.
type Size struct{ Width, Height int }

func (s Size) String() string { return fmt.Sprintf("%d×%d", s.Width, s.Height) }

// Check refuses a size above the limit.
func (s Size) Check() error {
	if max(s.Width, s.Height) <= maxWidth && s.Width*s.Height <= maxWidth*maxHeight {
		return nil
	}
	return refusef("the camera's picture of %v pixels is larger than %d×%d; set a smaller stream in the camera, or its second stream in camera.url",
		s, maxWidth, maxHeight)
}

// packetInfo is what one packet reveals without decoding.
type packetInfo struct {
	begins bool // parameter sets or a key frame begin here, which a decoder needs first
	key    bool // a key frame begins here
	size   Size
}

// inspector inspects packets of one format. Unknown formats can be decoded from any
// packet.
type inspector func(payload []byte) packetInfo

func inspectorOf(f format.Format) inspector {
	switch f.(type) {
	case *format.H264:
		return inspectH264
	case *format.H265:
		return inspectH265
	case *format.MJPEG:
		return inspectJPEG
	default:
		return func([]byte) packetInfo { return packetInfo{begins: true, key: true} }
	}
}

// describedSize is the size in the stream's description.
func describedSize(f format.Format) Size {
	switch f := f.(type) {
	case *format.H264:
		sps, _ := f.SafeParams()
		return sizeH264(sps)
	case *format.H265:
		_, sps, _ := f.SafeParams()
		return sizeH265(sps)
	default:
		return Size{}
	}
}

func sizeH264(nal []byte) Size {
	var sps h264.SPS
	if len(nal) == 0 || sps.Unmarshal(nal) != nil {
		return Size{} // left to the decoder
	}
	return Size{sps.Width(), sps.Height()}
}

func sizeH265(nal []byte) Size {
	var sps h265.SPS
	if len(nal) == 0 || sps.Unmarshal(nal) != nil {
		return Size{}
	}
	return Size{sps.Width(), sps.Height()}
}

// RFC 6184 and RFC 7798: the types of packets that hold several units, or a part
// of one.
const (
	stapA, fuA = 24, 28
	ap, fu     = 48, 49
)

func inspectH264(payload []byte) (info packetInfo) {
	if len(payload) == 0 {
		return info
	}
	switch payload[0] & 31 {
	case stapA:
		eachUnit(payload[1:], func(unit []byte) { info.h264(unit[0]&31, unit) })
	case fuA:
		if len(payload) > 1 && payload[1]&0x80 != 0 { // its first part
			info.h264(payload[1]&31, nil)
		}
	default:
		info.h264(payload[0]&31, payload)
	}
	return info
}

// h264 notes a unit; nil where only its beginning is there.
func (info *packetInfo) h264(kind byte, unit []byte) {
	const recoveryPoint = 6 // SEI type that marks a decodable picture
	switch h264.NALUType(kind) {
	case h264.NALUTypeSPS:
		info.begins = true
		if size := sizeH264(unit); size != (Size{}) {
			info.size = size
		}
	case h264.NALUTypeIDR:
		info.begins, info.key = true, true
	case h264.NALUTypeSEI:
		if len(unit) > 1 && unit[1] == recoveryPoint {
			info.begins, info.key = true, true
		}
	}
}

func inspectH265(payload []byte) (info packetInfo) {
	if len(payload) < 2 {
		return info
	}
	switch kind := payload[0] >> 1 & 63; kind {
	case ap:
		eachUnit(payload[2:], func(unit []byte) { info.h265(unit[0]>>1&63, unit) })
	case fu:
		if len(payload) > 2 && payload[2]&0x80 != 0 {
			info.h265(payload[2]&63, nil)
		}
	default:
		info.h265(kind, payload)
	}
	return info
}

func (info *packetInfo) h265(kind byte, unit []byte) {
	const firstKey, lastKey = 16, 21 // pictures at which decoding can start
	switch {
	case h265.NALUType(kind) == h265.NALUType_VPS_NUT:
		info.begins = true
	case h265.NALUType(kind) == h265.NALUType_SPS_NUT:
		info.begins = true
		if size := sizeH265(unit); size != (Size{}) {
			info.size = size
		}
	case kind >= firstKey && kind <= lastKey:
		info.begins, info.key = true, true
	}
}

// eachUnit visits the units of an aggregation packet, each preceded by its length in
// two bytes.
func eachUnit(payload []byte, look func(unit []byte)) {
	for len(payload) > 2 {
		length := int(payload[0])<<8 | int(payload[1])
		if length == 0 || length > len(payload)-2 {
			return
		}
		look(payload[2 : 2+length])
		payload = payload[2+length:]
	}
}

// inspectJPEG reads RFC 2435's header, whose sizes are in blocks of eight pixels; 0
// means unknown.
func inspectJPEG(payload []byte) (info packetInfo) {
	if len(payload) < 8 {
		return info
	}
	offset := int(payload[1])<<16 | int(payload[2])<<8 | int(payload[3])
	if offset != 0 {
		return info
	}
	info.begins, info.key = true, true
	if payload[6] != 0 && payload[7] != 0 {
		info.size = Size{8 * int(payload[6]), 8 * int(payload[7])}
	}
	return info
}
