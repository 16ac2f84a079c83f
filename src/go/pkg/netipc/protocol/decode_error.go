package protocol

import "fmt"

// DecodeError says that the peer broke the contract: what is wrong, and at which byte.
//
// Decoders return it as an error; errors.As finds it.
type DecodeError struct {
	// Defect is what is wrong.
	Defect Defect
	// Offset is where, in bytes from the start of the buffer that was given to the decoder.
	Offset int
}

// Error says what is wrong, and where.
func (e *DecodeError) Error() string {
	return fmt.Sprintf("the peer broke the contract: %s (at byte %d)", e.Defect, e.Offset)
}

// Is tells errors.Is that a Defect is matched by every error that has it, wherever.
func (e *DecodeError) Is(target error) bool {
	defect, ok := target.(Defect)
	return ok && defect == e.Defect
}

// Reject is the error for a defect at a byte offset.
//
//go:noinline
func Reject(defect Defect, offset int) error {
	return &DecodeError{Defect: defect, Offset: offset}
}

// Shift is an error of Reject as seen from a buffer that starts base bytes earlier. Other errors
// stay as they are.
//
//go:noinline
func Shift(err error, base int) error {
	if rejected, ok := err.(*DecodeError); ok {
		return &DecodeError{Defect: rejected.Defect, Offset: rejected.Offset + base}
	}
	return err
}

// Defect is what a decoder can find wrong (spec section 10.7, and sections 1 to 4 for the envelope).
// It is an error itself, so that errors.Is(err, protocol.DefectBounds) asks for one.
type Defect uint8

// What a decoder can find wrong.
const (
	// DefectTruncated: fewer bytes than the fixed part, the directory or the declared length needs.
	DefectTruncated Defect = iota + 1
	// DefectTrailing: more bytes than declared, or an item that goes on after its last NUL.
	DefectTrailing
	// DefectMagic: not the magic number of this structure.
	DefectMagic
	// DefectVersion: a version of the envelope that this side does not speak.
	DefectVersion
	// DefectHeaderLen: header_len is not that of this version.
	DefectHeaderLen
	// DefectKind: not a message kind, or not one that is allowed here.
	DefectKind
	// DefectFlags: a flag that is not defined, or not allowed here.
	DefectFlags
	// DefectCode: a method code or control opcode that is not allowed here.
	DefectCode
	// DefectStatus: a transport status where none may be.
	DefectStatus
	// DefectLayout: a layout version, or a field with a fixed value, that is not what the layout says.
	DefectLayout
	// DefectReserved: a reserved field that is not zero.
	DefectReserved
	// DefectCount: a count whose directory or table does not fit, or that is not allowed here.
	DefectCount
	// DefectLength: a length that is not what it must be here.
	DefectLength
	// DefectAlignment: an offset that is not a multiple of 8.
	DefectAlignment
	// DefectBounds: an offset or length that leads out of its area, or into its record's fixed part.
	DefectBounds
	// DefectOrder: items of a directory that overlap or do not ascend.
	DefectOrder
	// DefectOverlap: two strings that share bytes.
	DefectOverlap
	// DefectMissingNUL: a string that does not end in NUL.
	DefectMissingNUL
	// DefectInnerNUL: a NUL inside a string of a lookup.
	DefectInnerNUL
	// DefectStringLength: a string that is shorter than its minimum or longer than its maximum.
	DefectStringLength
	// DefectEmptyKey: a key that may not be empty.
	DefectEmptyKey
	// DefectEnum: a value that a closed enumeration does not have.
	DefectEnum
	// DefectRule: a field that contradicts the status of its item.
	DefectRule
	// DefectPadding: padding that must be zero and is not.
	DefectPadding
	// DefectZeroLimit: a zero limit where none may be zero.
	DefectZeroLimit
	// DefectLimit: a message above the limit agreed for its direction.
	DefectLimit
	// DefectChunkSequence: a chunk that does not continue the message that is being received.
	DefectChunkSequence
)

var defectTexts = [...]string{
	DefectTruncated:     "truncated",
	DefectTrailing:      "bytes after the end",
	DefectMagic:         "wrong magic",
	DefectVersion:       "unknown version",
	DefectHeaderLen:     "wrong header length",
	DefectKind:          "unexpected message kind",
	DefectFlags:         "unexpected flags",
	DefectCode:          "unexpected code",
	DefectStatus:        "unexpected transport status",
	DefectLayout:        "unknown layout",
	DefectReserved:      "a reserved field is not zero",
	DefectCount:         "impossible count",
	DefectLength:        "wrong length",
	DefectAlignment:     "unaligned offset",
	DefectBounds:        "out of bounds",
	DefectOrder:         "items out of order",
	DefectOverlap:       "overlapping strings",
	DefectMissingNUL:    "string without its NUL",
	DefectInnerNUL:      "NUL inside a string",
	DefectStringLength:  "string length outside its limits",
	DefectEmptyKey:      "empty key",
	DefectEnum:          "unknown value of a closed enumeration",
	DefectRule:          "a field contradicts its item's status",
	DefectPadding:       "padding is not zero",
	DefectZeroLimit:     "a limit is zero",
	DefectLimit:         "above the agreed limit",
	DefectChunkSequence: "chunk out of sequence",
}

// String is the defect in words.
func (d Defect) String() string {
	if int(d) < len(defectTexts) && defectTexts[d] != "" {
		return defectTexts[d]
	}
	return "unknown defect"
}

// Error is the defect in words.
func (d Defect) Error() string { return d.String() }
