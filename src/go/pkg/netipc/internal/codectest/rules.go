package codectest

import (
	"errors"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/netipc/netipc/src/go/pkg/netipc/protocol/payload"
)

// mostSet is how many fields of a message are set to something else, at most.
const mostSet = 2

// keepsItsRules shows that a message with fields set to anything is refused by its encoder, or encodes to what
// decodes to the same: an encoder never writes what a decoder rejects.
func keepsItsRules[M any](t *testing.T, m Message[M]) {
	refused, written := 0, 0
	each(t, func(t testing.TB, r *rand.Rand) {
		message := m.Random(r)
		leaves := leavesOf(reflect.ValueOf(&message).Elem(), nil)
		if len(leaves) == 0 {
			return
		}
		for range 1 + r.IntN(mostSet) {
			setAnything(leaves[r.IntN(len(leaves))], r)
		}
		out := make([]byte, m.EncodedLen(&message))
		length, err := m.Encode(&message, out)
		if err != nil {
			refused++
			if errors.Is(err, payload.ErrNoSpace) {
				t.Fatalf("EncodedLen promises too little for %+v", message)
			}
			return
		}
		written++
		m.mustDecode(t, out[:length], &message, "what an encoder let pass")
	})
	t.Logf("%d refused, %d written", refused, written)
}

// leavesOf are the numbers and texts in a message.
func leavesOf(value reflect.Value, leaves []reflect.Value) []reflect.Value {
	switch value.Kind() {
	case reflect.Struct:
		for i := range value.NumField() {
			leaves = leavesOf(value.Field(i), leaves)
		}
	case reflect.Slice:
		for i := range value.Len() {
			leaves = leavesOf(value.Index(i), leaves)
		}
	case reflect.String, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		leaves = append(leaves, value)
	}
	return leaves
}

func setAnything(leaf reflect.Value, r *rand.Rand) {
	if leaf.Kind() == reflect.String {
		texts := []string{"", "x", "inner\x00nul", strings.Repeat("long", 100), "\xff\xfe"}
		leaf.SetString(texts[r.IntN(len(texts))])
		return
	}
	most := ^uint64(0) >> (64 - leaf.Type().Bits())
	numbers := []uint64{0, 1, 2, 3, 4, most, r.Uint64() & most}
	leaf.SetUint(numbers[r.IntN(len(numbers))])
}
