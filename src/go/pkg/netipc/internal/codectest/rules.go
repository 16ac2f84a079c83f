package codectest

import (
	"errors"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/netipc/netipc/src/go/pkg/netipc/internal/testkit"
	"github.com/netipc/netipc/src/go/pkg/netipc/protocol/payload"
)

// tooManyLabels is one more than a count of 16 bits can tell.
const tooManyLabels = 1 << 16

// mostLeaves are the fields of a vector that are set: of more elements than they are in, the rules are the same.
const mostLeaves = 40

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
			leaf := leaves[r.IntN(len(leaves))]
			anything := anythingFor(leaf)
			leaf.Set(anything[r.IntN(len(anything))])
		}
		if isRefused(t, m, &message) {
			refused++
		} else {
			written++
		}
	})
	t.Logf("%d refused, %d written", refused, written)
}

// keepsEachRule shows the same of each field of the message of a vector, set to each thing. A vector of each status
// has each rule of the encoder broken, and by nothing else: tools/coverage-rules looks.
func keepsEachRule[M any](t *testing.T, m Message[M], fields testkit.Fields) {
	original := m.FromJSON(t, fields)
	leaves := leavesOf(reflect.ValueOf(&original).Elem(), nil)
	for at, leaf := range leaves[:min(len(leaves), mostLeaves)] {
		for _, anything := range anythingFor(leaf) {
			message := m.FromJSON(t, fields)
			leavesOf(reflect.ValueOf(&message).Elem(), nil)[at].Set(anything)
			isRefused(t, m, &message)
		}
	}
}

// isRefused says whether the encoder refuses a message; what it writes decodes to the same.
func isRefused[M any](t testing.TB, m Message[M], message *M) bool {
	t.Helper()
	out := make([]byte, m.EncodedLen(message))
	length, err := m.Encode(message, out)
	if err != nil {
		if errors.Is(err, payload.ErrNoSpace) {
			t.Fatalf("EncodedLen promises too little for %+v", *message)
		}
		return true
	}
	m.mustDecode(t, out[:length], message, "what an encoder let pass")
	return false
}

// leavesOf are the numbers, texts and lists of labels in a message.
func leavesOf(value reflect.Value, leaves []reflect.Value) []reflect.Value {
	switch value.Kind() {
	case reflect.Struct:
		for i := range value.NumField() {
			leaves = leavesOf(value.Field(i), leaves)
		}
	case reflect.Slice:
		if value.Type() == reflect.TypeFor[[]payload.Label]() {
			leaves = append(leaves, value)
		}
		for i := range value.Len() {
			leaves = leavesOf(value.Index(i), leaves)
		}
	case reflect.String, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		leaves = append(leaves, value)
	}
	return leaves
}

// anythingFor are values for a leaf, of every kind that a rule may forbid.
func anythingFor(leaf reflect.Value) []reflect.Value {
	values := []reflect.Value{}
	switch leaf.Kind() {
	case reflect.Slice:
		label := payload.Label{Key: "k", Value: "v"}
		for _, labels := range [][]payload.Label{nil, {label}, slices.Repeat([]payload.Label{label}, tooManyLabels)} {
			values = append(values, reflect.ValueOf(labels))
		}
	case reflect.String:
		for _, text := range []string{"", "x", "inner\x00nul", "n\x00", strings.Repeat("long", 100), "\xff\xfe"} {
			values = append(values, reflect.ValueOf(text))
		}
	default:
		most := ^uint64(0) >> (64 - leaf.Type().Bits())
		for _, number := range []uint64{0, 1, 2, 3, 4, most, 0x9E3779B97F4A7C15 & most} {
			values = append(values, reflect.ValueOf(number).Convert(leaf.Type()))
		}
	}
	return values
}
