package protocol

import (
	"encoding/hex"
	"errors"

	"github.com/zeebo/xxh3"
)

// The convention by which agents give all their plugins one token (spec section 4). The library takes a
// number; this is a helper for those who have a session UUID. Finding the UUID (an environment
// variable, a file) is not done here.

// UUIDLen is the length of a UUID, in bytes.
const UUIDLen = 16

// ErrNotAUUID: the text is not a UUID.
var ErrNotAUUID = errors.New(
	"not a UUID: 32 hexadecimal digits are needed, alone or in groups of 8-4-4-4-12")

const (
	// plainUUIDLen is the length of a UUID's text without hyphens.
	plainUUIDLen = 2 * UUIDLen
	// hyphenatedUUIDLen is the length of its text with hyphens.
	hyphenatedUUIDLen = plainUUIDLen + len(uuidHyphens)
)

// uuidHyphens is where the hyphens stand.
var uuidHyphens = [...]int{8, 13, 18, 23}

// TokenFromSessionUUID is the auth token of a session UUID: XXH3-64, seed 0, of its 16 bytes in textual
// order.
func TokenFromSessionUUID(uuid [UUIDLen]byte) uint64 { return xxh3.Hash(uuid[:]) }

// ParseUUID is the 16 bytes of a UUID, in textual order: the first digit written is the high half of the
// first byte. Digits may be of either case; hyphens stand in their usual four places, or nowhere.
// Nothing is trimmed. It fails with [ErrNotAUUID].
func ParseUUID(text string) ([UUIDLen]byte, error) {
	var uuid [UUIDLen]byte
	digits := make([]byte, 0, plainUUIDLen)
	switch len(text) {
	case plainUUIDLen:
		digits = append(digits, text...)
	case hyphenatedUUIDLen:
		from := 0
		for _, at := range uuidHyphens {
			if text[at] != '-' {
				return uuid, ErrNotAUUID
			}
			digits = append(digits, text[from:at]...)
			from = at + 1
		}
		digits = append(digits, text[from:]...)
	default:
		return uuid, ErrNotAUUID
	}
	if _, err := hex.Decode(uuid[:], digits); err != nil {
		return [UUIDLen]byte{}, ErrNotAUUID
	}
	return uuid, nil
}
