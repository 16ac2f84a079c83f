package payload

import (
	"errors"
	"fmt"

	"github.com/netipc/netipc/src/go/pkg/netipc/protocol"
)

// Why a payload could not be built, beside FieldError: the caller, or the buffer that it gave, does
// not allow it. Nothing here is a peer's fault.
var (
	// ErrNoSpace: the buffer is too small for what is being written. Lookup builders turn this
	// into the overflow statuses by themselves (spec section 11).
	ErrNoSpace = errors.New("the payload does not fit its buffer: give a larger one, or ask for a larger limit")
	// ErrLimitExceeded: not even the answer that says "does not fit" fits, or a single key's item
	// does not and the limit can still grow: answer LIMIT_EXCEEDED (spec section 11).
	ErrLimitExceeded = errors.New("the answer does not fit the session's limit: answer LIMIT_EXCEEDED")
	// ErrEcho: the item does not answer the key whose turn it is.
	ErrEcho = errors.New("the item does not repeat the key whose turn it is: answer in the order asked")
	// ErrTooManyItems: more items than keys were asked.
	ErrTooManyItems = errors.New("more items than keys: answer each key once")
	// ErrTooFewItems: fewer items than keys were asked.
	ErrTooFewItems = errors.New("keys were not answered: answer each key once")
)

// ErrIndex is what reading an element panics with that is not there: a mistake of the program that reads,
// whatever a peer sends.
var ErrIndex = errors.New("index out of range: a directory's elements go from 0 to Len() - 1")

// Fault is what is wrong with a field that a builder was given.
type Fault uint8

const (
	// FaultInnerNul: the string holds a NUL, which this shape forbids (spec section 10.7).
	FaultInnerNul Fault = iota + 1
	// FaultLength: the string is shorter or longer than the schema allows.
	FaultLength
	// FaultRule: the field contradicts the status (or another field) that a rule of the schema
	// names.
	FaultRule
	// FaultCount: more entries than a count field can say.
	FaultCount
	// FaultValue: the number is none of its closed enumeration's.
	FaultValue
)

// FieldError says which field a builder was given that the schema forbids.
type FieldError struct {
	// Field is its name in the schema.
	Field string
	// Fault is what is wrong with it.
	Fault Fault
	// Length, Min and Max are bytes of the string, of FaultLength alone.
	Length int
	// Min is the least length that the schema allows.
	Min uint32
	// Max is the greatest length that the schema allows.
	Max uint32
}

// Error names the field, and says what to do about it.
func (e *FieldError) Error() string {
	switch e.Fault {
	case FaultInnerNul:
		return fmt.Sprintf("`%s` holds a NUL: remove it, or cut the string there", e.Field)
	case FaultLength:
		return fmt.Sprintf("`%s` is %d bytes long: it takes %d to %d", e.Field, e.Length, e.Min, e.Max)
	case FaultRule:
		return fmt.Sprintf("`%s` contradicts the status of its item: see the rules of the schema", e.Field)
	case FaultCount:
		return fmt.Sprintf("`%s` has too many entries for its count field", e.Field)
	case FaultValue:
		return fmt.Sprintf("`%s` is none of the values of its enumeration: see the schema", e.Field)
	default:
		return fmt.Sprintf("`%s` is not as the schema wants it", e.Field)
	}
}

// Forbid is the error for a field with a fault other than its length.
//
//go:noinline
func Forbid(field string, fault Fault) error {
	return &FieldError{Field: field, Fault: fault}
}

// ForbidLength is the error for a string of that length in bytes, which is to have min to max.
//
//go:noinline
func ForbidLength(field string, length int, min, max uint32) error {
	return &FieldError{Field: field, Fault: FaultLength, Length: length, Min: min, Max: max}
}

// Reject is the error for a defect at a byte offset: a [protocol.DecodeError]. It is not inlined, so
// that checks stay small where they find nothing.
//
//go:noinline
func Reject(defect protocol.Defect, offset int) error {
	return protocol.NewDecodeError(defect, offset)
}

// Shift is an error of Reject as seen from a buffer that starts base bytes earlier. Others stay as
// they are.
//
//go:noinline
func Shift(err error, base int) error {
	if rejected, ok := err.(protocol.DecodeError); ok {
		return rejected.Shifted(base)
	}
	return err
}
