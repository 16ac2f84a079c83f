//go:build linux || windows

package sys

import "unsafe"

// Memory that another process writes at any time.
//
// Its words are read and written by atomic operations alone. Its areas are copied, once, to or from
// memory of this process (memmove by the runtime): no slice of shared bytes leaves the files of mappings, so that
// nothing is ever decoded in place. Whatever a peer writes meanwhile, the copy is bytes, to be judged
// afterwards by others.

// mapping is a mapped region. It must not be used after unmap: refs sees to that.
type mapping struct {
	bytes []byte
	base  unsafe.Pointer
}

// word32 is the word at a field's offset: inside the header, which every mapping has, and aligned, for
// the mapping begins at a page.
func (m *mapping) word32(offset uintptr) *uint32 { return (*uint32)(unsafe.Add(m.base, offset)) }

// word64 is the same for a field of 8 bytes at a multiple of 8.
func (m *mapping) word64(offset uintptr) *uint64 { return (*uint64)(unsafe.Add(m.base, offset)) }

// copyIn copies the pieces, one after the other, into an area, which is checked to hold them.
func (m *mapping) copyIn(to area, head, body []byte) {
	at := m.bytes[to.offset:to.end()]
	copy(at[copy(at, head):], body)
}

// start is where an area begins: for who fetches it, and reads nothing there.
func (m *mapping) start(of area) *byte { return &m.bytes[of.offset] }

// copyOut copies the front of an area.
func (m *mapping) copyOut(from area, into []byte) { copy(into, m.bytes[from.offset:from.end()]) }
