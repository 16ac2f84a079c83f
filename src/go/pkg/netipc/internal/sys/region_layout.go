package sys

import (
	"errors"
	"fmt"
	"math"
)

// Where things are in a shared region (spec sections 7 and 9): plain numbers, checked once, used from then on.

// regionAlign is what offsets and capacities are multiples of.
const regionAlign = 64

// RegionSizes are the longest messages of each direction, in bytes, headers included.
type RegionSizes struct{ RequestBytes, ResponseBytes uint64 }

// FileBytes is how long the file of a region with room for these messages is; false when no region has.
func (s RegionSizes) FileBytes() (uint64, bool) {
	layout, ok := layoutFor(s)
	return layout.bytes(), ok
}

// RegionName is where a region is found (spec section 5). Made by the caller, who knows the contract's names.
type RegionName struct {
	// Path is its file, where regions are files.
	Path string
	// Mapping, RequestEvent and ResponseEvent are its kernel objects, where it is made of those; no events
	// where nobody sleeps.
	Mapping, RequestEvent, ResponseEvent string
	// Profile is that of the session, as its bit, which is in the header of such a region.
	Profile uint32
}

// Room is memory for a message of so many bytes; less when there is no more.
type Room interface{ Room(length int) []byte }

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

// checkedLayout is the layout of areas that a peer's header has, in a region of so many bytes, if both sides'
// messages have room there.
func checkedLayout(request, response area, sizes RegionSizes, regionBytes uint64) (layout, *RegionDefect) {
	for _, a := range [...]area{request, response} {
		if a.offset < regionHeaderBytes || a.offset%regionAlign != 0 {
			return layout{}, defective("has an area at byte %d", a.offset)
		}
		if a.capacity == 0 || a.capacity%regionAlign != 0 {
			return layout{}, defective("has an area of %d bytes", a.capacity)
		}
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
	if l.bytes() > regionBytes {
		return layout{}, notReady("has %d bytes and areas up to byte %d", regionBytes, l.bytes())
	}
	if l.bytes() > math.MaxInt {
		return layout{}, defective("is larger than this process can map")
	}
	return l, nil
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
