// Package testkit is for the tests of every package, and never a dependency of anything but tests: it reads the
// golden vectors of the wire contract, and has the loop of servers that do what a test wants ([Accept]).
//
// Vectors are written in little-endian order, and the contract speaks of host order: [ToHost] is the one
// place that knows. What a vector means is not looked at here. Every function fails its test when a
// vector file is not as its README says.
package testkit

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
)

// VectorsEnv names a directory of vectors to use instead of the module's: absolute, or relative to the
// root of the repository.
const VectorsEnv = "NETIPC_VECTORS"

// Vector is one vector of a file that is a list of them.
type Vector struct {
	// Name is for the messages of tests.
	Name string
	// Valid tells whether Bytes decode; otherwise they are rejected.
	Valid bool
	// Canonical tells whether Fields encode to the same bytes again.
	Canonical bool
	// Bytes are in little-endian order.
	Bytes []byte
	// Fields are what the bytes mean; nil when they are not valid.
	Fields Fields
	// Entry is the whole entry, for what only some categories have (item_count, why).
	Entry Fields
}

// Fields is an object of a vector file.
type Fields map[string]json.RawMessage

// Load reads the vectors of a category, which is the name of its file without .json.
func Load(t testing.TB, category string) []Vector {
	t.Helper()
	return LoadFrom(t, Directory(t), category)
}

// LoadOwn reads the vectors of a category as the module has them, whatever [VectorsEnv] says: for what
// is this project's own, which a directory from elsewhere need not have.
func LoadOwn(t testing.TB, category string) []Vector {
	t.Helper()
	return LoadFrom(t, ModuleDirectory(t), category)
}

// LoadFrom reads the vectors of a category in a directory.
func LoadFrom(t testing.TB, directory, category string) []Vector {
	t.Helper()
	var entries []Fields
	read(t, directory, category, &entries)
	if len(entries) == 0 {
		t.Fatalf("%s has no vectors", category)
	}
	vectors := make([]Vector, 0, len(entries))
	for _, entry := range entries {
		vector := Vector{
			Name: entry.Text(t, "name"), Canonical: true, Bytes: entry.Bytes(t, "hex"), Entry: entry,
		}
		unmarshal(t, entry["valid"], &vector.Valid)
		if canonical, ok := entry["canonical"]; ok {
			unmarshal(t, canonical, &vector.Canonical)
		}
		if fields, ok := entry["fields"]; ok {
			unmarshal(t, fields, &vector.Fields)
		}
		vectors = append(vectors, vector)
	}
	return vectors
}

// LoadJSON reads a whole vector file, for categories that are not lists of [Vector]s.
func LoadJSON(t testing.TB, category string, into any) {
	t.Helper()
	read(t, Directory(t), category, into)
}

// Directory is that of the vectors.
func Directory(t testing.TB) string {
	t.Helper()
	named := os.Getenv(VectorsEnv)
	if named == "" {
		return ModuleDirectory(t)
	}
	if filepath.IsAbs(named) {
		return named
	}
	// Tests run in their package's folder; whoever sets the variable sits in the root.
	return filepath.Join(moduleRoot(t), "..", "..", named)
}

// ModuleDirectory is that of the module's own vectors.
func ModuleDirectory(t testing.TB) string {
	t.Helper()
	return filepath.Join(moduleRoot(t), "testdata", "vectors")
}

// moduleRoot is the folder of go.mod, above the folder of the package under test.
func moduleRoot(t testing.TB) string {
	t.Helper()
	folder, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(folder, "go.mod")); err == nil {
			return folder
		}
		parent := filepath.Dir(folder)
		if parent == folder {
			t.Fatal("no go.mod above the package under test")
		}
		folder = parent
	}
}

func read(t testing.TB, directory, category string, into any) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(directory, category+".json"))
	if err != nil {
		t.Fatal(err)
	}
	unmarshal(t, text, into)
}

func unmarshal(t testing.TB, text []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(text, into); err != nil {
		t.Fatalf("%v in %.200s", err, text)
	}
}

// Uint is an integer field of any width: a JSON number, or a string when it is above 2^53. Exact.
func (f Fields) Uint(t testing.TB, name string) uint64 {
	t.Helper()
	number, err := strconv.ParseUint(string(bytes.Trim(f[name], `"`)), 10, 64)
	if err != nil {
		t.Fatalf("no such integer: %s in %v: %v", name, f, err)
	}
	return number
}

// Uint32 is an integer field of 32 bits.
func (f Fields) Uint32(t testing.TB, name string) uint32 {
	t.Helper()
	number := f.Uint(t, name)
	if number > 1<<32-1 {
		t.Fatalf("%s has more than 32 bits: %d", name, number)
	}
	return uint32(number)
}

// Text is a text field.
func (f Fields) Text(t testing.TB, name string) string {
	t.Helper()
	var text string
	unmarshal(t, f[name], &text)
	return text
}

// Bytes is a field of bytes, written in hexadecimal.
func (f Fields) Bytes(t testing.TB, name string) []byte {
	t.Helper()
	return Unhex(t, f.Text(t, name))
}

// Object is a field that has fields.
func (f Fields) Object(t testing.TB, name string) Fields {
	t.Helper()
	var fields Fields
	unmarshal(t, f[name], &fields)
	return fields
}

// Objects is a list of objects.
func (f Fields) Objects(t testing.TB, name string) []Fields {
	t.Helper()
	var list []Fields
	unmarshal(t, f[name], &list)
	return list
}

// Texts is a list of texts.
func (f Fields) Texts(t testing.TB, name string) []string {
	t.Helper()
	var list []string
	unmarshal(t, f[name], &list)
	return list
}

// Uints is a list of integers.
func (f Fields) Uints(t testing.TB, name string) []uint64 {
	t.Helper()
	var list []uint64
	unmarshal(t, f[name], &list)
	return list
}

// Has tells whether there is such a field, and it is not null.
func (f Fields) Has(name string) bool {
	value, ok := f[name]
	return ok && string(value) != "null"
}

// Unhex is bytes from hexadecimal digits.
func Unhex(t testing.TB, text string) []byte {
	t.Helper()
	decoded, err := hex.DecodeString(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return decoded
}

// ToHost is little-endian bytes in this host's order. widths are those of the integers at the start, in
// bytes; what follows them, and an integer that is cut off, stays as it is.
func ToHost(littleEndian []byte, widths ...int) []byte {
	host := slices.Clone(littleEndian)
	if HostIsLittleEndian() {
		return host
	}
	return Swap(host, widths...)
}

// Swap reverses each of the integers at the start of bytes, in place.
func Swap(bytes []byte, widths ...int) []byte {
	at := 0
	for _, width := range widths {
		if at+width > len(bytes) {
			break
		}
		slices.Reverse(bytes[at : at+width])
		at += width
	}
	return bytes
}

// HostIsLittleEndian tells the byte order of this host.
func HostIsLittleEndian() bool {
	return binary.NativeEndian.Uint16([]byte{1, 0}) == 1
}

// LoadConformance reads a file of the conformance cases, without its .json.
func LoadConformance(t testing.TB, name string, into any) {
	t.Helper()
	read(t, filepath.Join(moduleRoot(t), "testdata", "conformance"), name, into)
}

// Number is an integer of up to 64 bits as vector files have them: a JSON number, or a string when it is
// above 2^53.
type Number uint64

// UnmarshalJSON reads either.
func (n *Number) UnmarshalJSON(text []byte) error {
	number, err := strconv.ParseUint(string(bytes.Trim(text, `"`)), 10, 64)
	*n = Number(number)
	return err
}
