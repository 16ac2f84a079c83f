package protocol

import (
	"errors"
	"fmt"
)

// ErrContract is what every [DecodeError] is: the peer broke the contract.
var ErrContract = errors.New("the peer broke the contract")

// DecodeError says why bytes from a peer are refused: the peer broke the contract. errors.Is finds
// [ErrContract] and the [Defect] in it.
type DecodeError struct {
	// Defect is what is wrong.
	Defect Defect
	// Offset is where, in bytes from the start of the buffer that was given to the decoder.
	Offset int
}

// NewDecodeError makes the error of a defect at an offset in bytes.
func NewDecodeError(defect Defect, offset int) DecodeError {
	return DecodeError{Defect: defect, Offset: offset}
}

func (e DecodeError) Error() string {
	return fmt.Sprintf("the peer broke the contract: %s (at byte %d)", e.Defect.Error(), e.Offset)
}

// Is makes errors.Is find [ErrContract] and the defect.
func (e DecodeError) Is(target error) bool {
	return target == ErrContract || target == error(e.Defect)
}

// Shifted is the same error as seen from a buffer that starts base bytes earlier.
func (e DecodeError) Shifted(base int) DecodeError {
	return DecodeError{Defect: e.Defect, Offset: e.Offset + base}
}

// Defect is what a decoder can find wrong (spec section 10.7, and sections 1 to 4 for the envelope).
// It is an error so that errors.Is can look for it.
type Defect uint8

// The defects.
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
	// DefectBounds: an offset or length that leads out of its area, or into the fixed part of its
	// record.
	DefectBounds
	// DefectOrder: items of a directory that overlap or do not ascend.
	DefectOrder
	// DefectOverlap: two strings that share bytes.
	DefectOverlap
	// DefectMissingNul: a string that does not end in NUL.
	DefectMissingNul
	// DefectInnerNul: a NUL inside a string of a lookup.
	DefectInnerNul
	// DefectStringLength: a string shorter than its minimum or longer than its maximum.
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
	DefectMissingNul:    "string without its NUL",
	DefectInnerNul:      "NUL inside a string",
	DefectStringLength:  "string length outside its limits",
	DefectEmptyKey:      "empty key",
	DefectEnum:          "unknown value of a closed enumeration",
	DefectRule:          "a field contradicts its item's status",
	DefectPadding:       "padding is not zero",
	DefectZeroLimit:     "a limit is zero",
	DefectLimit:         "above the agreed limit",
	DefectChunkSequence: "chunk out of sequence",
}

// Error is the defect in words.
func (d Defect) Error() string {
	if int(d) < len(defectTexts) && defectTexts[d] != "" {
		return defectTexts[d]
	}
	return fmt.Sprintf("defect %d", uint8(d))
}
