package sys

import "sync/atomic"

// The header of a region of kernel objects (spec section 9).

const (
	// regionHeaderBytes is the header's length.
	regionHeaderBytes = 128

	regionMagic   uint32 = 0x4e535748
	regionVersion uint32 = 3
	// spinTries is written for peers in the field.
	spinTries uint32 = 1024
)

// Offsets of the header's fields, in bytes.
const (
	offMagic             = 0
	offVersion           = 4
	offHeaderLen         = 8
	offProfile           = 12
	offRequestOffset     = 16
	offRequestCapacity   = 20
	offResponseOffset    = 24
	offResponseCapacity  = 28
	offSpinTries         = 32
	offReqLen            = 36
	offRespLen           = 40
	offReqClientClosed   = 44
	offReqServerWaiting  = 48
	offRespServerClosed  = 52
	offRespClientWaiting = 56
	offReqSeq            = 64
	offRespSeq           = 72
)

// checkHeader checks everything that a client checks before it uses a region. The peer can write its header at
// any time: each number is read once.
func (m *mapping) checkHeader(profile uint32, sizes RegionSizes) (layout, *RegionDefect) {
	regionBytes := uint64(len(m.bytes))
	if regionBytes < regionHeaderBytes {
		return layout{}, defective("has %d bytes, fewer than its header", regionBytes)
	}
	read := func(at uintptr) uint32 { return atomic.LoadUint32(m.word32(at)) }
	if magic := read(offMagic); magic != regionMagic {
		return layout{}, defective("has magic %#x", magic)
	}
	if version := read(offVersion); version != regionVersion {
		return layout{}, defective("has version %d", version)
	}
	if length := read(offHeaderLen); length != regionHeaderBytes {
		return layout{}, defective("has a header of %d bytes", length)
	}
	if found := read(offProfile); found != profile {
		return layout{}, defective("is of profile %#x, and %#x was agreed", found, profile)
	}
	request := area{read(offRequestOffset), read(offRequestCapacity)}
	response := area{read(offResponseOffset), read(offResponseCapacity)}
	return checkedLayout(request, response, sizes, regionBytes)
}

// fillIn fills in the header of a region that is all zeros. No client knows of it yet.
func (m *mapping) fillIn(l layout, profile uint32) {
	for _, field := range [...]struct {
		at    uintptr
		value uint32
	}{
		{offVersion, regionVersion}, {offHeaderLen, regionHeaderBytes}, {offProfile, profile},
		{offRequestOffset, l.request.offset}, {offRequestCapacity, l.request.capacity},
		{offResponseOffset, l.response.offset}, {offResponseCapacity, l.response.capacity},
		{offSpinTries, spinTries},
		// Last, for the client who reads it (after HELLO_ACK told of it, which orders it all anyway).
		{offMagic, regionMagic},
	} {
		atomic.StoreUint32(m.word32(field.at), field.value)
	}
}
