// Package payload holds the building blocks of payloads, which generated codecs are composed of
// (spec section 10).
//
//	payload = header | directory | packed elements          Directory, DirectoryWriter, LookupWriter
//	record  = fixed part | strings | padding | label table  Span, PutText, Labels, PutLabels
//
// Decoding checks everything once and yields views that cannot fail afterwards; building writes
// straight into the caller's buffer and never beyond it. Neither allocates, but for errors. What is
// not here: any service; those are generated from schemas.
package payload

// Alignment is what the elements of directories and the label tables are aligned to, in bytes.
const Alignment = 8

// DirectoryEntryLen is the length of a directory entry in bytes: u32 offset, u32 length.
const DirectoryEntryLen = 8

// Unlimited is the greatest length in bytes of a string whose schema sets no limit: what its length
// field can say.
const Unlimited uint32 = 1<<32 - 1

// Align8 is n rounded up to a multiple of Alignment. n is a length inside a buffer, and those are
// far enough from overflow for the sum to be safe.
func Align8(n int) int { return (n + Alignment - 1) &^ (Alignment - 1) }

// IsZero says whether all bytes are zero.
func IsZero(bytes []byte) bool {
	for _, each := range bytes {
		if each != 0 {
			return false
		}
	}
	return true
}
