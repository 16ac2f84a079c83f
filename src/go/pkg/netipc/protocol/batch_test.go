package protocol_test

import (
	"bytes"
	"errors"
	"math"
	"math/bits"
	"math/rand/v2"
	"testing"

	. "github.com/netipc/netipc/src/go/pkg/netipc/protocol"
)

func TestABatchIsBuiltWithinItsBudget(t *testing.T) {
	var builder BatchBuilder
	if err := builder.Begin(nil, 2, 15); !errors.Is(err, ErrBatchDoesNotFit) {
		t.Fatal(err)
	}
	if err := builder.Begin(nil, 0, 100); !errors.Is(err, ErrBatchCount) {
		t.Fatal(err)
	}
	if err := builder.Begin(nil, 2, 32); err != nil {
		t.Fatal(err)
	}
	if err := builder.Push([]byte("123456789ABCDEFG0")); !errors.Is(err, ErrBatchDoesNotFit) {
		t.Fatal(err)
	}
	// A shorter item may still be added.
	for _, item := range []string{"abc", "12345678"} {
		if err := builder.Push([]byte(item)); err != nil {
			t.Fatal(err)
		}
	}
	if err := builder.Push(nil); !errors.Is(err, ErrBatchCount) {
		t.Fatal(err)
	}
	payload, err := builder.Finish()
	if err != nil || len(payload) != 32 {
		t.Fatalf("%d bytes, %v", len(payload), err)
	}
	sum := uint32(0)
	for _, length := range []int{3, 8} {
		var ok bool
		if sum, ok = AddBatchItem(sum, length); !ok {
			t.Fatal("it does not fit 32 bits")
		}
	}
	if sum != 32 {
		t.Fatalf("it was to have %d bytes", sum)
	}
	if _, ok := AddBatchItem(1<<32-16, 8); ok {
		t.Fatal("a batch of more than 32 bits")
	}
	if err := builder.Begin(payload[:0], 2, 100); err != nil {
		t.Fatal(err)
	}
	if _, err := builder.Finish(); !errors.Is(err, ErrBatchCount) {
		t.Fatal("a batch lacks items")
	}
}

func TestADirectoryIsCheckedBeforeUse(t *testing.T) {
	var builder BatchBuilder
	if err := builder.Begin(nil, 2, 1000); err != nil {
		t.Fatal(err)
	}
	for _, item := range []string{"first", "second"} {
		if err := builder.Push([]byte(item)); err != nil {
			t.Fatal(err)
		}
	}
	good, err := builder.Finish()
	if err != nil {
		t.Fatal(err)
	}
	_, err = DecodeBatch(good, 0)
	wantDefect(t, err, DefectCount)
	_, err = DecodeBatch(good[:15], 2)
	wantDefect(t, err, DefectTruncated)
	// So many entries that 32 bits cannot count their bytes.
	_, err = DecodeBatch(good, 1<<32-1)
	wantDefect(t, err, DefectTruncated)
	for at := range 4 {
		bad := bytes.Clone(good)
		copy(bad[4*at:], []byte{0xff, 0xff, 0xff, 0xff})
		_, err := DecodeBatch(bad, 2)
		if !errors.Is(err, ErrContract) {
			t.Fatalf("field %d is not looked at: %v", at, err)
		}
	}
}

// Indices whose place in the directory is a multiple of all that an int can count, too.
func TestReadingAnItemThatIsNotTherePanics(t *testing.T) {
	var builder BatchBuilder
	if builder.Begin(nil, 1, 100) != nil || builder.Push([]byte("item")) != nil {
		t.Fatal("it cannot be built")
	}
	payload, err := builder.Finish()
	if err != nil {
		t.Fatal(err)
	}
	batch, err := DecodeBatch(payload, 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, index := range []int{-1, 1, 2, len(payload), math.MinInt, math.MaxInt, 1 << (bits.UintSize - 3)} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("reading %d does not panic", index)
				}
			}()
			batch.Item(index)
		}()
	}
}

func TestBatchesComeOutAsTheyWentIn(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	var builder BatchBuilder
	var buffer []byte
	for range 300 {
		items := make([][]byte, 1+random.IntN(20))
		if err := builder.Begin(buffer[:0], uint32(len(items)), 1<<20); err != nil {
			t.Fatal(err)
		}
		for i := range items {
			items[i] = bytes.Repeat([]byte{byte(i)}, random.IntN(30))
			if err := builder.Push(items[i]); err != nil {
				t.Fatal(err)
			}
		}
		payload, err := builder.Finish()
		if err != nil {
			t.Fatal(err)
		}
		buffer = payload
		batch, err := DecodeBatch(payload, uint32(len(items)))
		if err != nil || batch.Len() != len(items) {
			t.Fatalf("%d items, %v", batch.Len(), err)
		}
		for i, item := range batch.Items() {
			if !bytes.Equal(item, items[i]) {
				t.Fatalf("item %d is %x", i, item)
			}
		}
	}
}
