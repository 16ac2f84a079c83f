package sys

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// Where things are in a shared region (spec section 7): plain numbers, checked once, used from then on.

const (
	// regionHeaderBytes is the header's length: one cache line, words of both directions in it.
	regionHeaderBytes = 64
	// regionAlign is what offsets and capacities are multiples of.
	regionAlign = 64

	regionMagic   uint32 = 0x4e53484d
	regionVersion uint16 = 3
)

// Offsets of the header's fields, in bytes.
const (
	offMagic            = 0
	offVersion          = 4
	offHeaderLen        = 6
	offOwnerPID         = 8
	offOwnerGeneration  = 12
	offRequestOffset    = 16
	offRequestCapacity  = 20
	offResponseOffset   = 24
	offResponseCapacity = 28
	offReqSeq           = 32
	offRespSeq          = 40
	offReqLen           = 48
	offRespLen          = 52
	offReqSignal        = 56
	offRespSignal       = 60
)

// RegionSizes are the longest messages of each direction, in bytes, headers included.
type RegionSizes struct{ RequestBytes, ResponseBytes uint64 }

// FileBytes is how long the file of a region with room for these messages is; false when no region has.
func (s RegionSizes) FileBytes() (uint64, bool) {
	layout, ok := layoutFor(s)
	return layout.bytes(), ok
}

// area is the place of one direction's messages.
type area struct{ offset, capacity uint32 }

// end is the first byte behind it. Two 32-bit numbers have room in 64 bits.
func (a area) end() uint64 { return uint64(a.offset) + uint64(a.capacity) }

// layout is the places of both.
type layout struct{ request, response area }

func (l layout) bytes() uint64 { return max(l.request.end(), l.response.end()) }

// layoutFor is the layout that a server makes: the request area first, the response area behind it.
// False when it would have offsets that no header, or a file that no mapping, can hold.
func layoutFor(sizes RegionSizes) (layout, bool) {
	request, ok := capacityFor(sizes.RequestBytes)
	response, alsoOK := capacityFor(sizes.ResponseBytes)
	if !ok || !alsoOK {
		return layout{}, false
	}
	l := layout{request: area{regionHeaderBytes, request}}
	if l.request.end() > math.MaxUint32 {
		return layout{}, false
	}
	l.response = area{uint32(l.request.end()), response}
	return l, l.response.end() <= min(math.MaxUint32, math.MaxInt)
}

// capacityFor is the least capacity for messages of at most so many bytes: that, rounded up to whole
// lines.
func capacityFor(messageBytes uint64) (uint32, bool) {
	if messageBytes > math.MaxUint32-regionAlign {
		return 0, false
	}
	return uint32((max(messageBytes, 1) + regionAlign - 1) / regionAlign * regionAlign), true
}

// RegionDefect says why a region is not one that can be used.
type RegionDefect struct {
	// why in words, notReady if it may still come to be one.
	why      string
	notReady bool
}

func (d *RegionDefect) Error() string { return d.why }

// NotReady: the region is missing, or shorter than it says.
func (d *RegionDefect) NotReady() bool { return d.notReady }

func defective(format string, values ...any) *RegionDefect {
	return &RegionDefect{why: fmt.Sprintf("the region "+format, values...)}
}

func notReady(format string, values ...any) *RegionDefect {
	defect := defective(format, values...)
	defect.notReady = true
	return defect
}

// regionHeader is a header as it was read, once, into memory of this process.
type regionHeader [regionHeaderBytes]byte

func (h *regionHeader) u16(at int) uint16 { return binary.NativeEndian.Uint16(h[at:]) }
func (h *regionHeader) u32(at int) uint32 { return binary.NativeEndian.Uint32(h[at:]) }

// check checks everything that a client checks before it uses a region of fileBytes, but whose it is.
func (h *regionHeader) check(sizes RegionSizes, fileBytes uint64) (layout, *RegionDefect) {
	if magic := h.u32(offMagic); magic != regionMagic {
		return layout{}, defective("has magic %#x", magic)
	}
	if version := h.u16(offVersion); version != regionVersion {
		return layout{}, defective("has version %d", version)
	}
	if length := h.u16(offHeaderLen); length != regionHeaderBytes {
		return layout{}, defective("has a header of %d bytes", length)
	}
	request, defect := h.area(offRequestOffset, offRequestCapacity)
	if defect != nil {
		return layout{}, defect
	}
	response, defect := h.area(offResponseOffset, offResponseCapacity)
	if defect != nil {
		return layout{}, defect
	}
	if request.end() > uint64(response.offset) && response.end() > uint64(request.offset) {
		return layout{}, defective("has areas that overlap")
	}
	least, ok := layoutFor(sizes)
	if !ok || request.capacity < least.request.capacity || response.capacity < least.response.capacity {
		return layout{}, defective("has areas of %d and %d bytes, too small for what was agreed",
			request.capacity, response.capacity)
	}
	l := layout{request: request, response: response}
	if l.bytes() > fileBytes {
		return layout{}, notReady("has a file of %d bytes and areas up to byte %d", fileBytes, l.bytes())
	}
	if l.bytes() > math.MaxInt {
		return layout{}, defective("is larger than this process can map")
	}
	return l, nil
}

func (h *regionHeader) area(offset, capacity int) (area, *RegionDefect) {
	a := area{offset: h.u32(offset), capacity: h.u32(capacity)}
	if a.offset < regionHeaderBytes || a.offset%regionAlign != 0 {
		return area{}, defective("has an area at byte %d", a.offset)
	}
	if a.capacity == 0 || a.capacity%regionAlign != 0 {
		return area{}, defective("has an area of %d bytes", a.capacity)
	}
	return a, nil
}

// owner is whose it is, as the header says; false for nobody's.
func (h *regionHeader) owner() (int, bool) {
	pid := int32(h.u32(offOwnerPID))
	return int(pid), h.u32(offMagic) == regionMagic && pid > 0 && h.u32(offOwnerGeneration) != 0
}

// fill writes the header of a new region, but for its generation, which makes it count as one that
// lives.
func (h *regionHeader) fill(l layout, pid int) {
	order := binary.NativeEndian
	order.PutUint32(h[offMagic:], regionMagic)
	order.PutUint16(h[offVersion:], regionVersion)
	order.PutUint16(h[offHeaderLen:], regionHeaderBytes)
	order.PutUint32(h[offOwnerPID:], uint32(pid))
	order.PutUint32(h[offRequestOffset:], l.request.offset)
	order.PutUint32(h[offRequestCapacity:], l.request.capacity)
	order.PutUint32(h[offResponseOffset:], l.response.offset)
	order.PutUint32(h[offResponseCapacity:], l.response.capacity)
}

// What can happen to messages in a region, beside what ends any wait.
var (
	// ErrRegionTaken: a live server's region, or something that is not ours to remove, has the name.
	ErrRegionTaken = errors.New("a region of this name is in use")
	// ErrRegionTooLarge: no region has room for such messages.
	ErrRegionTooLarge = errors.New("the limits are too large for shared memory")
	// ErrRegionBusy: another goroutine sends, or receives.
	ErrRegionBusy = errors.New("another goroutine uses this end of the region")
)

// BreachError: the peer broke the rules of the region: the session is violated.
type BreachError struct{ why string }

func (e *BreachError) Error() string { return "the peer broke the shared memory: " + e.why }

func breach(format string, values ...any) error {
	return &BreachError{why: fmt.Sprintf(format, values...)}
}
