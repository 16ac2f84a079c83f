//go:build !windows

package sys

import "encoding/binary"

// The header of a region that is a file (spec section 7).

const (
	// regionHeaderBytes is the header's length: one cache line, words of both directions in it.
	regionHeaderBytes = 64

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
	request := area{h.u32(offRequestOffset), h.u32(offRequestCapacity)}
	response := area{h.u32(offResponseOffset), h.u32(offResponseCapacity)}
	return checkedLayout(request, response, sizes, fileBytes)
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
