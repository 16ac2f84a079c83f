package payload_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"math/bits"
	"reflect"
	"strings"
	"testing"

	"github.com/netipc/netipc/src/go/pkg/netipc/protocol"
	"github.com/netipc/netipc/src/go/pkg/netipc/protocol/payload"
)

// u32s is the numbers in host order.
func u32s(numbers ...uint32) (out []byte) {
	for _, number := range numbers {
		out = binary.NativeEndian.AppendUint32(out, number)
	}
	return out
}

// mustReject fails unless err is a DecodeError with that defect at that byte.
func mustReject(t *testing.T, err error, defect protocol.Defect, offset int) {
	t.Helper()
	var rejected protocol.DecodeError
	if !errors.As(err, &rejected) || rejected.Defect != defect || rejected.Offset != offset {
		t.Fatalf("%v, want %v at byte %d", err, defect, offset)
	}
	if !errors.Is(err, protocol.ErrContract) || !errors.Is(err, defect) {
		t.Fatalf("errors.Is does not find the defect in %v", err)
	}
}

// Two strings behind a fixed part of 16 bytes: their fields are all of it.
const fixedLen = 16

func record(fields []byte, rest string) []byte { return append(fields, rest...) }

func spans(record []byte) []payload.Span {
	return []payload.Span{payload.SpanAt(record, 0), payload.SpanAt(record, 8)}
}

func TestStringsEndAtTheLastNUL(t *testing.T) {
	for name, given := range map[string][]byte{
		"in order":  record(u32s(16, 2, 19, 1), "ab\x00c\x00"),
		"scattered": record(u32s(18, 2, 16, 1), "c\x00ab\x00"),
		"with gaps": record(u32s(17, 1, 19, 1), "?a\x00c\x00"),
	} {
		t.Run(name, func(t *testing.T) {
			end, err := payload.CheckStrings(given, fixedLen, true, spans(given)...)
			if err != nil || end != len(given) {
				t.Fatalf("%d, %v", end, err)
			}
			if got := max(payload.StringEnd(given, 0), payload.StringEnd(given, 8)); got != end {
				t.Fatalf("read again, they end at %d", got)
			}
			if text := payload.StringAt(given, 0); !strings.Contains("ab", text.String()) || text.Equal("b") {
				t.Fatalf("%q", text)
			}
		})
	}
}

func TestStringsAreRejectedWithTheirDefectAndPlace(t *testing.T) {
	for name, each := range map[string]struct {
		record []byte
		defect protocol.Defect
		at     int
	}{
		"behind the record":         {record(u32s(16, 2, 19, 9), "ab\x00c\x00"), protocol.DefectBounds, 8},
		"its NUL behind the record": {record(u32s(16, 2, 19, 2), "ab\x00cd"), protocol.DefectBounds, 8},
		"in the fixed part":         {record(u32s(8, 2, 19, 1), "ab\x00c\x00"), protocol.DefectBounds, 0},
		"length that wraps":         {record(u32s(16, 1<<32-1, 19, 1), "ab\x00c\x00"), protocol.DefectBounds, 0},
		"offset that wraps":         {record(u32s(1<<32-1, 2, 19, 1), "ab\x00c\x00"), protocol.DefectBounds, 0},
		"both wrap":                 {record(u32s(1<<32-1, 1<<32-1, 19, 1), "ab\x00c\x00"), protocol.DefectBounds, 0},
		"no NUL":                    {record(u32s(16, 1, 19, 1), "ab\x00c\x00"), protocol.DefectMissingNul, 0},
		"no NUL, scattered":         {record(u32s(17, 1, 19, 1), "abcc\x00"), protocol.DefectMissingNul, 0},
		"one in another":            {record(u32s(16, 2, 17, 1), "ab\x00c\x00"), protocol.DefectOverlap, 8},
		"one NUL of two empty ones": {record(u32s(16, 0, 16, 0), "\x00"), protocol.DefectOverlap, 8},
		"a NUL inside":              {record(u32s(16, 2, 19, 1), "\x00b\x00c\x00"), protocol.DefectInnerNul, 0},
		"a NUL inside, scattered":   {record(u32s(16, 1, 19, 2), "a\x00?\x00c\x00"), protocol.DefectInnerNul, 8},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := payload.CheckStrings(each.record, fixedLen, true, spans(each.record)...)
			mustReject(t, err, each.defect, each.at)
		})
	}
}

func TestNULsInsideStringsAreForSomeShapesOnly(t *testing.T) {
	given := record(u32s(16, 2, 19, 1), "\x00b\x00c\x00")
	if end, err := payload.CheckStrings(given, fixedLen, false, spans(given)...); err != nil || end != len(given) {
		t.Fatalf("%d, %v", end, err)
	}
}

func TestBareStrings(t *testing.T) {
	if err := payload.CheckBareString([]byte("abc\x00"), 1, 3); err != nil {
		t.Fatal(err)
	}
	if text := payload.BareString([]byte("abc\x00")); !text.Equal("abc") {
		t.Fatal(text)
	}
	for _, each := range []struct {
		element string
		defect  protocol.Defect
		at      int
	}{
		{"", protocol.DefectEmptyKey, 0},
		{"\x00", protocol.DefectEmptyKey, 0},
		{"a\x00", protocol.DefectStringLength, 0},
		{"abcd\x00", protocol.DefectStringLength, 0},
		{"abc", protocol.DefectMissingNul, 2},
		{"a\x00c\x00", protocol.DefectInnerNul, 1},
	} {
		mustReject(t, payload.CheckBareString([]byte(each.element), 2, 3), each.defect, each.at)
	}
}

// header is that of the directories below.
var header = make([]byte, 8)

func directory(entries []byte, packed string) []byte {
	return append(append(bytes.Clone(header), entries...), packed...)
}

func TestDirectories(t *testing.T) {
	given := directory(u32s(0, 3, 8, 4), "abc_____defg")
	checked, err := payload.CheckDirectory(given, len(header), 2, true)
	if err != nil || checked.Len() != 2 {
		t.Fatalf("%d, %v", checked.Len(), err)
	}
	if string(checked.At(0)) != "abc" || string(checked.At(1)) != "defg" {
		t.Fatalf("%q and %q", checked.At(0), checked.At(1))
	}
	mustReject(t, checked.ShiftError(payload.Reject(protocol.DefectRule, 2), 1), protocol.DefectRule, 8+16+8+2)
	none, err := payload.CheckDirectory(header, len(header), 0, true)
	if err != nil || none.Len() != 0 {
		t.Fatal(err)
	}
}

func TestReadingAnElementThatIsNotTherePanics(t *testing.T) {
	checked, err := payload.CheckDirectory(directory(u32s(0, 3, 8, 4), "abc_____defg"), len(header), 2, true)
	if err != nil {
		t.Fatal(err)
	}
	for _, index := range []int{-1, 2, 3, 1 << 30} {
		func() {
			defer func() {
				if recover() != payload.ErrIndex {
					t.Errorf("reading %d does not panic", index)
				}
			}()
			checked.At(index)
		}()
	}
}

func TestDirectoriesAreRejectedWithTheirDefectAndPlace(t *testing.T) {
	for name, each := range map[string]struct {
		payload []byte
		count   uint32
		defect  protocol.Defect
		at      int
	}{
		"count too large":     {directory(u32s(0, 3), "abc"), 3, protocol.DefectCount, 8},
		"count that wraps":    {directory(u32s(0, 3), "abc"), 1<<32 - 1, protocol.DefectCount, 8},
		"unaligned":           {directory(u32s(0, 3, 4, 4), "abc_____defg"), 2, protocol.DefectAlignment, 16},
		"behind the end":      {directory(u32s(0, 3, 8, 5), "abc_____defg"), 2, protocol.DefectBounds, 16},
		"length that wraps":   {directory(u32s(0, 3, 8, 1<<32-1), "abc_____defg"), 2, protocol.DefectBounds, 16},
		"offset that wraps":   {directory(u32s(1<<32-8, 8, 8, 4), "abc_____defg"), 2, protocol.DefectBounds, 8},
		"one in another":      {directory(u32s(0, 9, 8, 4), "abc_____defg"), 2, protocol.DefectOrder, 16},
		"in descending order": {directory(u32s(8, 4, 0, 3), "abc_____defg"), 2, protocol.DefectOrder, 16},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := payload.CheckDirectory(each.payload, len(header), each.count, true)
			mustReject(t, err, each.defect, each.at)
			_, err = payload.CheckDirectory(each.payload, len(header), each.count, false)
			if (err == nil) != (each.defect == protocol.DefectOrder) {
				t.Fatalf("where order does not matter: %v", err)
			}
		})
	}
}

// write writes elements through a writer that expects so many.
func write(out []byte, expected int, elements ...string) ([]byte, error) {
	var writer payload.DirectoryWriter
	if err := writer.Reset(out, len(header), expected); err != nil {
		return nil, err
	}
	for _, element := range elements {
		room := writer.Room()
		if len(element) > len(room) {
			return nil, payload.ErrNoSpace
		}
		copy(room, element)
		writer.Add(len(element))
	}
	count, length, err := writer.Finish("items")
	if err != nil || count != uint32(len(elements)) {
		return nil, err
	}
	clear(writer.Header())
	return out[:length], nil
}

func TestDirectoriesAreWrittenAlikeWhateverWasExpected(t *testing.T) {
	elements := []string{"abc", "defghijk", "l", "mnopqrstuvw"}
	want := directory(u32s(0, 3, 8, 8, 16, 1, 24, 11), "abc\x00\x00\x00\x00\x00defghijkl\x00\x00\x00\x00\x00\x00\x00mnopqrstuvw")
	for expected := range 8 {
		// Where too many were expected, their entries need room for a while.
		room := len(want) + max(expected-len(elements), 0)*payload.DirectoryEntryLen
		for spare := range 40 {
			got, err := write(bytes.Repeat([]byte{0xAA}, room+spare), expected, elements...)
			if err != nil || !bytes.Equal(got, want) {
				t.Fatalf("%d expected, %d to spare: %q, %v", expected, spare, got, err)
			}
		}
		for short := range room {
			if got, err := write(make([]byte, short), expected, elements...); !errors.Is(err, payload.ErrNoSpace) {
				t.Fatalf("%d expected, %d of %d bytes: %q, %v", expected, short, room, got, err)
			}
		}
	}
	var writer payload.DirectoryWriter
	if _, _, err := writer.Finish("items"); !errors.Is(err, payload.ErrNoSpace) {
		t.Fatalf("a writer without a buffer: %v", err)
	}
}

var someLabels = []payload.Label{{Key: "key", Value: "value"}, {Key: "k", Value: ""}}

// labelled is a record of a fixed part and a table: 5 bytes, padded to 8.
func labelled(t *testing.T, labels []payload.Label) []byte {
	t.Helper()
	out := make([]byte, 5+payload.LabelsLen(5, labels))
	end, err := payload.PutLabels(out, 5, labels, "labels")
	if err != nil || end != len(out) {
		t.Fatalf("%d of %d: %v", end, len(out), err)
	}
	return out
}

func TestLabelsComeBack(t *testing.T) {
	given := labelled(t, someLabels)
	if err := payload.CheckLabels(given, 5, 2, 0); err != nil {
		t.Fatal(err)
	}
	labels := payload.LabelsAt(given, 5, 2)
	if owned := labels.ToOwned(); !reflect.DeepEqual(owned, someLabels) {
		t.Fatal(owned)
	}
	if label := labels.At(1); labels.Len() != 2 || !label.Key.Equal("k") || !label.Value.Equal("") {
		t.Fatal(label)
	}
	if value, ok := labels.ValueOf("key"); !ok || !value.Equal("value") {
		t.Fatalf("%q, %v", value, ok)
	}
	if _, ok := labels.ValueOf("ke"); ok {
		t.Fatal("there is no such label")
	}
	if none := labelled(t, nil); payload.CheckLabels(none, 5, 0, 0) != nil || payload.LabelsAt(none, 5, 0).ToOwned() != nil {
		t.Fatal("no labels are none")
	}
	for short := range len(given) {
		if _, err := payload.PutLabels(make([]byte, short), min(5, short), someLabels, "labels"); !errors.Is(err, payload.ErrNoSpace) {
			t.Fatalf("%d of %d: %v", short, len(given), err)
		}
	}
}

// Behind the table lie its strings, which may look like entries of it. Indices whose place in the table is a
// multiple of all that an int can count are not there either.
func TestReadingALabelThatIsNotTherePanics(t *testing.T) {
	given := labelled(t, []payload.Label{
		{Key: "\x01\x01"}, {Key: "\x05\x01"}, {Key: "\x01\x01"}, {Key: "\x05\x01"},
		{Key: "long", Value: strings.Repeat("v", 600)},
	})
	if err := payload.CheckLabels(given, 5, 5, 0); err != nil {
		t.Fatal(err)
	}
	labels := payload.LabelsAt(given, 5, 5)
	for _, index := range []int{-1, 5, 6, len(given), math.MinInt, math.MaxInt, 1 << (bits.UintSize - 4)} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("reading %d does not panic", index)
				}
			}()
			labels.At(index)
		}()
	}
}

func TestLabelTablesAreRejectedWithTheirDefectAndPlace(t *testing.T) {
	const table, entry = 8, 16
	set := func(at int, number uint32) func([]byte) []byte {
		return func(record []byte) []byte {
			binary.NativeEndian.PutUint32(record[at:], number)
			return record
		}
	}
	put := func(at int, value byte) func([]byte) []byte {
		return func(record []byte) []byte {
			record[at] = value
			return record
		}
	}
	strings := table + 2*entry
	for name, each := range map[string]struct {
		change func([]byte) []byte
		count  uint32
		defect protocol.Defect
		at     int
	}{
		"bytes behind none":     {nil, 0, protocol.DefectTrailing, 5},
		"count too large":       {nil, 9, protocol.DefectBounds, 1},
		"count that wraps":      {nil, 1<<32 - 1, protocol.DefectBounds, 1},
		"padding not zero":      {put(6, 1), 2, protocol.DefectPadding, 5},
		"empty key":             {set(table+4, 0), 2, protocol.DefectEmptyKey, table},
		"key before its place":  {set(table, 9), 2, protocol.DefectOverlap, table},
		"key behind its place":  {set(table, 41), 2, protocol.DefectTrailing, table},
		"key out of bounds":     {set(table, 4096), 2, protocol.DefectBounds, table},
		"key length wraps":      {set(table+4, 1<<32-1), 2, protocol.DefectBounds, table},
		"value before":          {set(table+entry+8, 41), 2, protocol.DefectOverlap, table + entry},
		"value length wraps":    {set(table+12, 1<<32-1), 2, protocol.DefectBounds, table},
		"no NUL":                {put(strings+3, 'x'), 2, protocol.DefectMissingNul, table},
		"no NUL behind a value": {put(strings+9, 'x'), 2, protocol.DefectMissingNul, table},
		"bytes behind it":       {func(record []byte) []byte { return append(record, 0) }, 2, protocol.DefectTrailing, 53},
		"a NUL inside":          {put(strings+1, 0), 2, protocol.DefectInnerNul, strings},
	} {
		t.Run(name, func(t *testing.T) {
			given := labelled(t, someLabels)
			if each.change != nil {
				given = each.change(given)
			}
			mustReject(t, payload.CheckLabels(given, 5, each.count, 1), each.defect, each.at)
		})
	}
}

func TestBuildersRefuseWhatDecodersReject(t *testing.T) {
	out := make([]byte, 256)
	for name, each := range map[string]struct {
		err   error
		fault payload.Fault
	}{
		"an empty key":           {second(payload.PutLabels(out, 5, []payload.Label{{Value: "v"}}, "tags")), payload.FaultLength},
		"a NUL in a key":         {second(payload.PutLabels(out, 5, []payload.Label{{Key: "\x00"}}, "tags")), payload.FaultInnerNul},
		"a NUL in a value":       {second(payload.PutLabels(out, 5, []payload.Label{{Key: "k", Value: "a\x00b"}}, "tags")), payload.FaultInnerNul},
		"a NUL in a bare string": {second(putBareString(out, "a\x00b")), payload.FaultInnerNul},
	} {
		t.Run(name, func(t *testing.T) {
			var refused *payload.FieldError
			if !errors.As(each.err, &refused) || refused.Fault != each.fault || refused.Field != "tags" {
				t.Fatal(each.err)
			}
			if !strings.Contains(refused.Error(), "`tags`") {
				t.Fatalf("%q does not name the field", refused)
			}
		})
	}
	if _, err := putBareString(out[:3], "abc"); !errors.Is(err, payload.ErrNoSpace) {
		t.Fatal(err)
	}
}

func second(_ int, err error) error { return err }

func textOf(text string, raw []byte) (given payload.Text) {
	given.Set(text, raw)
	return given
}

func putBareString(out []byte, text string) (int, error) {
	given := textOf(text, nil)
	return payload.PutBareString(out, &given, "tags")
}

func TestTextIsAStringOrBytes(t *testing.T) {
	for _, text := range []payload.Text{textOf("abc", nil), textOf("", []byte("abc"))} {
		if text.HoldsNUL() {
			t.Fatal("it holds none")
		}
		if text.Len() != 3 || !text.EqualBytes([]byte("abc")) || text.EqualBytes([]byte("abd")) || text.EqualBytes(nil) {
			t.Fatal("another text")
		}
		if !text.Within(0, 3) || !text.Within(3, payload.Unlimited) || text.Within(0, 2) || text.Within(4, 9) {
			t.Fatal("its length is 3")
		}
	}
	for _, text := range []payload.Text{textOf("a\x00", nil), textOf("", []byte("\x00a"))} {
		if !text.HoldsNUL() {
			t.Fatal("it holds one")
		}
	}
	var empty payload.Text
	if empty.Len() != 0 || empty.HoldsNUL() || !empty.EqualBytes(nil) || empty.EqualBytes([]byte{0}) {
		t.Fatal("the zero Text is empty")
	}
}

func TestEveryFaultSaysWhatToDo(t *testing.T) {
	seen := map[string]bool{}
	for fault := payload.FaultInnerNul; fault <= payload.FaultValue; fault++ {
		text := payload.Forbid("name", fault).Error()
		if seen[text] || !strings.Contains(text, "`name`") {
			t.Fatal(text)
		}
		seen[text] = true
	}
	if text := payload.ForbidLength("name", 9, 1, 8).Error(); !strings.Contains(text, "9 bytes long: it takes 1 to 8") {
		t.Fatal(text)
	}
}

func TestAStringIsEqualToItselfAlone(t *testing.T) {
	for length := range 40 {
		text := strings.Repeat("x", length)
		if !payload.StringView(text).Equal(text) {
			t.Fatalf("%d bytes are not equal to themselves", length)
		}
		if payload.StringView(text).Equal(text+"x") || payload.StringView(text+"x").Equal(text) {
			t.Fatalf("%d bytes are equal to one more", length)
		}
		for at := range length {
			other := text[:at] + "y" + text[at+1:]
			if payload.StringView(text).Equal(other) || payload.StringView(other).Equal(text) {
				t.Fatalf("byte %d of %d does not count", at, length)
			}
		}
	}
}

func TestReadingLabelsMayEndBeforeTheLast(t *testing.T) {
	read := 0
	for range payload.LabelsAt(labelled(t, someLabels), 5, 2).All() {
		read++
		break
	}
	if read != 1 {
		t.Fatal(read)
	}
}

func TestZerosAreZeros(t *testing.T) {
	if !payload.IsZero(nil) || !payload.IsZero(make([]byte, 9)) || payload.IsZero([]byte{0, 0, 4}) {
		t.Fatal("what is reserved is misread")
	}
}

func TestOtherErrorsStayAsTheyAre(t *testing.T) {
	if err := payload.Shift(payload.ErrNoSpace, 8); err != payload.ErrNoSpace {
		t.Fatal(err)
	}
	if text := payload.Forbid("pid", payload.Fault(0)).Error(); !strings.Contains(text, "`pid`") {
		t.Fatal(text)
	}
}

func TestAResponseThatFailedIsNotFinished(t *testing.T) {
	var writer payload.LookupWriter
	if err := writer.Fail(payload.ErrLimitExceeded); err != payload.ErrLimitExceeded {
		t.Fatal(err)
	}
	if _, length, err := writer.Finish("items"); err != payload.ErrLimitExceeded || length != 0 {
		t.Fatal(length, err)
	}
}
