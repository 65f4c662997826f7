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

// parameters are what a sequence parameter set reveals; the zero value is unknown.
type parameters struct {
	size    Size
	profile string
	rate    float64 // in pictures a second
}

// packetInfo is what one packet reveals without decoding.
type packetInfo struct {
	begins bool // parameter sets or a key frame begin here, which a decoder needs first
	key    bool // a key frame begins here
	// It holds parameter sets, a part of an IDR picture, or a part of another picture.
	sets, idr, other bool
	parameters
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
		return func([]byte) packetInfo { return packetInfo{begins: true, key: true, other: true} }
	}
}

// described are the parameters in the stream's description.
func described(f format.Format) parameters {
	switch f := f.(type) {
	case *format.H264:
		sps, _ := f.SafeParams()
		return parametersH264(sps)
	case *format.H265:
		_, sps, _ := f.SafeParams()
		return parametersH265(sps)
	default:
		return parameters{}
	}
}

func parametersH264(nal []byte) parameters {
	var sps h264.SPS
	if len(nal) == 0 || sps.Unmarshal(nal) != nil {
		return parameters{} // left to the decoder
	}
	return parameters{Size{sps.Width(), sps.Height()}, profileH264(sps), plausibleRate(sps.FPS(), nil)}
}

func parametersH265(nal []byte) parameters {
	var sps h265.SPS
	if len(nal) == 0 || sps.Unmarshal(nal) != nil {
		return parameters{}
	}
	return parameters{Size{sps.Width(), sps.Height()}, profileH265(sps), plausibleRate(sps.FPS(), nil)}
}

// profileH264 is the profile by ITU-T H.264, annex A.
func profileH264(sps h264.SPS) string {
	names := map[uint8]string{66: "Baseline", 77: "Main", 88: "Extended", 100: "High", 110: "High 10", 122: "High 4:2:2", 244: "High 4:4:4 Predictive"}
	name, known := names[sps.ProfileIdc]
	switch {
	case !known:
		return fmt.Sprint(sps.ProfileIdc)
	case sps.ProfileIdc == 66 && sps.ConstraintSet1Flag:
		return "Constrained Baseline"
	default:
		return name
	}
}

// profileH265 is the profile by ITU-T H.265, annex A.
func profileH265(sps h265.SPS) string {
	number := sps.ProfileTierLevel.GeneralProfileIdc
	names := map[uint8]string{1: "Main", 2: "Main 10", 3: "Main Still Picture", 4: "Rext"}
	if name, known := names[number]; known {
		return name
	}
	return fmt.Sprint(number)
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
		if len(payload) < 2 {
			return info
		}
		if payload[1]&0x80 != 0 { // its first part
			info.h264(payload[1]&31, nil)
		}
		info.kindH264(payload[1] & 31)
	default:
		info.h264(payload[0]&31, payload)
	}
	return info
}

func (info *packetInfo) note(p parameters) {
	if p != (parameters{}) {
		info.parameters = p
	}
}

// kindH264 notes which kind of unit the packet holds a part of.
func (info *packetInfo) kindH264(kind byte) {
	switch t := h264.NALUType(kind); {
	case t == h264.NALUTypeSPS || t == h264.NALUTypePPS:
		info.sets = true
	case t == h264.NALUTypeIDR:
		info.idr = true
	case t >= h264.NALUTypeNonIDR && t < h264.NALUTypeIDR:
		info.other = true
	}
}

// h264 notes a unit; nil where only its beginning is there.
func (info *packetInfo) h264(kind byte, unit []byte) {
	info.kindH264(kind)
	const recoveryPoint = 6 // SEI type that marks a decodable picture
	switch h264.NALUType(kind) {
	case h264.NALUTypeSPS:
		info.begins = true
		info.note(parametersH264(unit))
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
		if len(payload) < 3 {
			return info
		}
		if payload[2]&0x80 != 0 {
			info.h265(payload[2]&63, nil)
		}
		info.kindH265(payload[2] & 63)
	default:
		info.h265(kind, payload)
	}
	return info
}

// kindH265 notes which kind of unit the packet holds a part of. Of the pictures at which
// decoding can start, pictures shown after an IDR picture alone never refer to older ones.
func (info *packetInfo) kindH265(kind byte) {
	const firstOther = 32 // kinds below this one are slices
	switch t := h265.NALUType(kind); {
	case t == h265.NALUType_VPS_NUT || t == h265.NALUType_SPS_NUT || t == h265.NALUType_PPS_NUT:
		info.sets = true
	case t == h265.NALUType_IDR_W_RADL || t == h265.NALUType_IDR_N_LP:
		info.idr = true
	case kind < firstOther:
		info.other = true
	}
}

func (info *packetInfo) h265(kind byte, unit []byte) {
	info.kindH265(kind)
	const firstKey, lastKey = 16, 21 // pictures at which decoding can start
	switch {
	case h265.NALUType(kind) == h265.NALUType_VPS_NUT:
		info.begins = true
	case h265.NALUType(kind) == h265.NALUType_SPS_NUT:
		info.begins = true
		info.note(parametersH265(unit))
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
	info.idr = true
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
