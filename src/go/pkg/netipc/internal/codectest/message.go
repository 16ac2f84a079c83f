// Package codectest is what every generated codec must do, written once. What a service is like is
// generated beside its codec. Never a dependency of anything but tests.
package codectest

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"testing"

	"github.com/netipc/netipc/src/go/pkg/netipc/internal/testkit"
	"github.com/netipc/netipc/src/go/pkg/netipc/protocol"
	"github.com/netipc/netipc/src/go/pkg/netipc/protocol/payload"
)

// Message is what tests must know of a request or a response: M is its owned type.
type Message[M any] struct {
	// Decode decodes a view and copies it.
	Decode func(payload []byte) (M, error)
	// Encode writes it at the start of out.
	Encode func(m *M, out []byte) (int, error)
	// EncodedLen is the bytes that Encode writes.
	EncodedLen func(m *M) int
	// Build writes it through its builder, which is told to expect so many elements; nil for
	// requests, which have none, and for the response of a lookup, which is built to a request.
	Build func(m *M, out []byte, expected int) (int, error)
	// FromJSON makes it of the fields of a vector.
	FromJSON func(t testing.TB, fields testkit.Fields) M
	// Random makes one that keeps the rules of the schema.
	Random func(r *rand.Rand) M
}

// Bytes is the message, encoded into a buffer of just the length that was promised.
func (m Message[M]) Bytes(t testing.TB, message *M) []byte {
	t.Helper()
	out := bytes.Repeat([]byte{0xAA}, m.EncodedLen(message))
	length, err := m.Encode(message, out)
	if err != nil || length != len(out) {
		t.Fatalf("EncodedLen promises %d bytes of %+v, Encode gives %d, %v", len(out), *message, length, err)
	}
	return out
}

// mustDecode fails unless payload decodes to want.
func (m Message[M]) mustDecode(t testing.TB, payload []byte, want *M, what string) {
	t.Helper()
	got, err := m.Decode(payload)
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	if !reflect.DeepEqual(got, *want) {
		t.Fatalf("%s: got %+v, want %+v", what, got, *want)
	}
}

// firstExtensionMethod is the first of this project's own methods: a directory of vectors from
// elsewhere need not have them, and then the module's are read.
const firstExtensionMethod = 0x0100

// Vectors runs the vectors of a service: NAME_request.json and NAME_response.json, or NAME.json where
// both directions look alike.
func Vectors[Q, P any](t *testing.T, name string, method uint16, requests Message[Q], responses Message[P]) {
	load := testkit.Load
	if method >= firstExtensionMethod {
		load = testkit.LoadOwn
	}
	if _, err := os.Stat(filepath.Join(testkit.Directory(t), name+".json")); err == nil {
		direction(t, load(t, name), requests)
		direction(t, load(t, name), responses)
		return
	}
	direction(t, load(t, name+"_request"), requests)
	direction(t, load(t, name+"_response"), responses)
}

func direction[M any](t *testing.T, vectors []testkit.Vector, m Message[M]) {
	t.Run("names", func(t *testing.T) { enumsHaveNames(t, reflect.TypeFor[M]()) })
	t.Run("rules", func(t *testing.T) { keepsItsRules(t, m) })
	for _, vector := range vectors {
		t.Run(vector.Name, func(t *testing.T) {
			if !vector.Valid {
				decoded, err := m.Decode(vector.Bytes)
				if err == nil {
					t.Fatalf("it must be rejected, and decodes to %+v", decoded)
				}
				if !errors.Is(err, protocol.ErrContract) {
					t.Fatalf("%v does not say that the peer broke the contract", err)
				}
				return
			}
			want := m.FromJSON(t, vector.Fields)
			encoded := m.Bytes(t, &want)
			m.mustDecode(t, encoded, &want, "as encoded here")
			keepsEachRule(t, m, vector.Fields)
			if !testkit.HostIsLittleEndian() {
				// Vectors are in little-endian order; their fields were just checked in ours.
				return
			}
			m.mustDecode(t, vector.Bytes, &want, "it decodes to its fields")
			if vector.Canonical && !bytes.Equal(encoded, vector.Bytes) {
				t.Fatalf("re-encodes to %x, want %x", encoded, vector.Bytes)
			}
		})
	}
}

// CasesEnv names how many random cases each property is tested with.
const CasesEnv = "NETIPC_TEST_CASES"

const defaultCases = 200

// each runs test with random numbers of many seeds, named in what fails.
func each(t *testing.T, test func(t testing.TB, r *rand.Rand)) {
	cases := defaultCases
	if given, err := strconv.Atoi(os.Getenv(CasesEnv)); err == nil {
		cases = given
	}
	for seed := range uint64(cases) {
		test(seeded{t, seed}, rand.New(rand.NewPCG(seed, uint64(len(t.Name())))))
	}
}

// seeded names the seed in what fails.
type seeded struct {
	testing.TB
	seed uint64
}

func (s seeded) Fatalf(format string, args ...any) {
	s.TB.Helper()
	s.TB.Logf("with seed %d:", s.seed)
	s.TB.Fatalf(format, args...)
}

// RoundTrips shows that encoding fits just the buffer that it says it needs, and that decoding gives
// the message back.
func RoundTrips[M any](t *testing.T, m Message[M]) {
	each(t, func(t testing.TB, r *rand.Rand) {
		message := m.Random(r)
		encoded := m.Bytes(t, &message)
		m.mustDecode(t, encoded, &message, "round trip")
		for _, short := range []int{0, len(encoded) / 2, len(encoded) - 1} {
			if short >= len(encoded) || short < 0 {
				continue
			}
			if _, err := m.Encode(&message, make([]byte, short)); !errors.Is(err, payload.ErrNoSpace) {
				t.Fatalf("%d of %d bytes: %v", short, len(encoded), err)
			}
			// Whether a shorter payload is valid is not said here, but reading it must not panic.
			_, _ = m.Decode(encoded[:short:short])
		}
	})
}

// mostExpected is how many elements builders are told to expect, at most.
const mostExpected = 3

// BuildsAtEveryBudget shows that a builder writes the very bytes that the owned message encodes to,
// into any buffer that they fit, whether or not it was told how many elements to expect; into a
// smaller one, nothing.
func BuildsAtEveryBudget[M any](t *testing.T, m Message[M]) {
	each(t, func(t testing.TB, r *rand.Rand) {
		message := m.Random(r)
		encoded := m.Bytes(t, &message)
		for expected := range mostExpected + 1 {
			// To expect more than will come is for callers who have room to spare.
			_, exact := m.Build(&message, make([]byte, len(encoded)), expected)
			if expected > 0 && exact != nil {
				continue
			}
			for budget := range len(encoded) + 2 {
				out := bytes.Repeat([]byte{0xAA}, budget)
				length, err := m.Build(&message, out, expected)
				switch {
				case err == nil && !bytes.Equal(out[:length], encoded):
					t.Fatalf("%d of %d: %x, want %x", budget, len(encoded), out[:length], encoded)
				case err != nil && (budget >= len(encoded) || !errors.Is(err, payload.ErrNoSpace)):
					t.Fatalf("%d of %d: %v", budget, len(encoded), err)
				}
			}
		}
	})
}

// mostMutations is how many bytes of a payload are overwritten, at most.
const mostMutations = 4

// MutationsDecodeOrErr shows that overwritten bytes are rejected, or mean something else that encodes
// again.
func MutationsDecodeOrErr[M any](t *testing.T, m Message[M]) {
	each(t, func(t testing.TB, r *rand.Rand) {
		message := m.Random(r)
		mutated := m.Bytes(t, &message)
		if len(mutated) == 0 {
			return
		}
		for range 1 + r.IntN(mostMutations) {
			mutated[r.IntN(len(mutated))] = byte(r.Uint32())
		}
		decodesOrErrs(t, m, mutated)
	})
}

func decodesOrErrs[M any](t testing.TB, m Message[M], payload []byte) {
	t.Helper()
	decoded, err := m.Decode(payload)
	if err != nil {
		return
	}
	m.mustDecode(t, m.Bytes(t, &decoded), &decoded, "what was decoded encodes again")
}

// Fuzz is the body of a fuzz target, which begins with the vectors of a category.
func Fuzz[M any](f *testing.F, m Message[M], name, direction string) {
	categories := []string{name, name + "_" + direction}
	seeds := 0
	for _, category := range categories {
		file := filepath.Join(testkit.ModuleDirectory(f), category+".json")
		if _, err := os.Stat(file); err != nil {
			continue
		}
		for _, vector := range testkit.LoadOwn(f, category) {
			f.Add(vector.Bytes)
			if vector.Valid {
				message := m.FromJSON(f, vector.Fields)
				f.Add(m.Bytes(f, &message))
			}
			seeds++
		}
	}
	if seeds == 0 {
		f.Fatalf("%s has no vectors", name)
	}
	addCorpus(f, name)
	f.Fuzz(func(t *testing.T, payload []byte) { decodesOrErrs(t, m, payload) })
}

// CorpusEnv names the kept corpora of the decoders in Rust, if they are at hand: what is hard for those is hard
// for these.
const CorpusEnv = "NETIPC_CORPUS"

func addCorpus(f *testing.F, name string) {
	corpora := os.Getenv(CorpusEnv)
	if corpora == "" {
		return
	}
	kept, err := filepath.Glob(filepath.Join(corpora, name, "*"))
	if err != nil || len(kept) == 0 {
		f.Fatalf("%s: no corpus of %s: %v", corpora, name, err)
	}
	for _, path := range kept {
		input, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(input)
	}
}

// Representative is a message of many seeds that is long, for figures of one that has something of
// everything.
func Representative[M any](m Message[M]) M {
	const seeds = 100
	longest := m.Random(rand.New(rand.NewPCG(0, 0)))
	for seed := range uint64(seeds) {
		message := m.Random(rand.New(rand.NewPCG(seed, seed)))
		if m.EncodedLen(&message) > m.EncodedLen(&longest) {
			longest = message
		}
	}
	return longest
}

// AllocatesNothing shows that work allocates nothing, once it has run.
func AllocatesNothing(t *testing.T, what string, work func()) {
	t.Helper()
	const runs = 100
	if allocations := testing.AllocsPerRun(runs, work); allocations != 0 {
		t.Errorf("%s allocates %v times", what, allocations)
	}
}
