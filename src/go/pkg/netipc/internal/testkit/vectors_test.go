package testkit

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

func TestIntegersAreExactAsNumbersAndAsStrings(t *testing.T) {
	var fields Fields
	text := `{"n": 18446744073709551615, "s": "18446744073709551614"}`
	if err := json.Unmarshal([]byte(text), &fields); err != nil {
		t.Fatal(err)
	}
	if n, s := fields.Uint(t, "n"), fields.Uint(t, "s"); n != 1<<64-1 || s != 1<<64-2 {
		t.Fatalf("%d and %d", n, s)
	}
}

func TestIntegersAreSwappedWhereTheyAreAndTheRestIsNot(t *testing.T) {
	if got := Swap([]byte{1, 2, 3, 4, 5, 6, 7}, 2, 4); !bytes.Equal(got, []byte{2, 1, 6, 5, 4, 3, 7}) {
		t.Fatal(got)
	}
	if got := Swap([]byte{1, 2, 3}, 2, 4); !bytes.Equal(got, []byte{2, 1, 3}) {
		t.Fatal(got)
	}
}

func TestVectorsComeFromTheNamedDirectory(t *testing.T) {
	elsewhere := filepath.Join(os.TempDir(), "elsewhere")
	t.Setenv(VectorsEnv, elsewhere)
	if Directory(t) != elsewhere {
		t.Fatal(Directory(t))
	}
	t.Setenv(VectorsEnv, "spec/vectors")
	if want := filepath.Join(moduleRoot(t), "../../spec/vectors"); Directory(t) != want {
		t.Fatal(Directory(t))
	}
}
