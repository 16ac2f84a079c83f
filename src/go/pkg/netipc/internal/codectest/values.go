package codectest

import (
	"encoding/json"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/netipc/netipc/src/go/pkg/netipc/internal/testkit"
	"github.com/netipc/netipc/src/go/pkg/netipc/protocol/payload"
)

// Integer is a number of a schema.
type Integer interface {
	~uint8 | ~uint16 | ~uint32 | ~uint64 | ~int32 | ~int64
}

// Number is an integer field, which is written as a string above 2^53. Exact.
func Number[T Integer](t testing.TB, fields testkit.Fields, name string) T {
	t.Helper()
	return number[T](t, fields[name])
}

func number[T Integer](t testing.TB, text json.RawMessage) T {
	t.Helper()
	digits := strings.Trim(string(text), `"`)
	if signed, err := strconv.ParseInt(digits, 10, 64); err == nil && int64(T(signed)) == signed {
		return T(signed)
	}
	unsigned, err := strconv.ParseUint(digits, 10, 64)
	if err != nil || uint64(T(unsigned)) != unsigned {
		t.Fatalf("not a number of the field's type: %q", digits)
	}
	return T(unsigned)
}

// Numbers is a list of integers.
func Numbers[T Integer](t testing.TB, fields testkit.Fields, name string) (numbers []T) {
	t.Helper()
	for _, text := range List(t, fields, name) {
		numbers = append(numbers, number[T](t, text))
	}
	return numbers
}

// List is a list of anything.
func List(t testing.TB, fields testkit.Fields, name string) (list []json.RawMessage) {
	t.Helper()
	if err := json.Unmarshal(fields[name], &list); err != nil {
		t.Fatalf("no list: %s in %v: %v", name, fields, err)
	}
	return list
}

// Texts is a list of texts; nil if there are none.
func Texts(t testing.TB, fields testkit.Fields, name string) []string {
	t.Helper()
	texts := fields.Texts(t, name)
	if len(texts) == 0 {
		return nil
	}
	return texts
}

// Labels is a list of pairs of texts; nil if there are none.
func Labels(t testing.TB, fields testkit.Fields, name string) (labels []payload.Label) {
	t.Helper()
	var pairs [][2]string
	if err := json.Unmarshal(fields[name], &pairs); err != nil {
		t.Fatalf("no pairs: %s in %v: %v", name, fields, err)
	}
	for _, pair := range pairs {
		labels = append(labels, payload.Label{Key: pair[0], Value: pair[1]})
	}
	return labels
}

// RandomNumber is any number, the extremes among them.
func RandomNumber[T Integer](r *rand.Rand) T {
	switch r.IntN(8) {
	case 0:
		return 0
	case 1:
		return ^T(0)
	default:
		return T(r.Uint64())
	}
}

// RandomText is a string of a lookup: no NUL inside, otherwise any bytes.
func RandomText(r *rand.Rand, min, max int) string {
	text := []byte(RandomBytes(r, min, max))
	for i := range text {
		text[i] |= 1 << r.IntN(8)
	}
	return string(text)
}

// RandomBytes is a string of any bytes.
func RandomBytes(r *rand.Rand, min, max int) string {
	text := make([]byte, min+r.IntN(max-min+1))
	for i := range text {
		text[i] = byte(r.Uint32())
	}
	return string(text)
}

// RandomLabels is a few labels, or nil.
func RandomLabels(r *rand.Rand) (labels []payload.Label) {
	const most, longest = 4, 20
	for range r.IntN(most) {
		labels = append(labels, payload.Label{Key: RandomText(r, 1, longest), Value: RandomText(r, 0, longest)})
	}
	return labels
}

// RandomList is a few of them, or nil: many enough to cross a directory's edges, few enough to be
// quick.
func RandomList[E any](r *rand.Rand, element func(*rand.Rand) E) (list []E) {
	const most = 6
	for range r.IntN(most) {
		list = append(list, element(r))
	}
	return list
}

// Pick is one of the values.
func Pick[E any](r *rand.Rand, values ...E) E { return values[r.IntN(len(values))] }

// Fill makes a string that a rule wants filled longer than nothing.
func Fill(text *string) {
	if *text == "" {
		*text = "x"
	}
}

// FillLabels makes a table that a rule wants filled longer than nothing.
func FillLabels(labels *[]payload.Label) {
	if len(*labels) == 0 {
		*labels = []payload.Label{{Key: "k", Value: "v"}}
	}
}
