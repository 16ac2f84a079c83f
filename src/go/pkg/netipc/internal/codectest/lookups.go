package codectest

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/netipc/netipc/src/go/pkg/netipc/protocol/payload"
)

// Lookup is what tests must know of the response of a lookup: M is its owned type, I that of its items.
type Lookup[M, I any] struct {
	Message[M]
	// Items are its items.
	Items func(m *M) *[]I
	// Request is the request that they answer, encoded.
	Request func(t testing.TB, m *M) []byte
	// Overflowed is the item that answers the same key with an overflow status.
	Overflowed func(item I, overflow payload.Overflow) I
	// Answered is the item, with a status that a handler may answer.
	Answered func(item I) I
	// Answer answers a request with these items through the builder, as a handler does.
	Answer func(m *M, request []byte, budget payload.ResponseBudget) (int, error)
}

// answer is a random message that a handler may answer.
func (l Lookup[M, I]) answer(r *rand.Rand) M {
	message := l.Random(r)
	items := *l.Items(&message)
	for i := range items {
		items[i] = l.Answered(items[i])
	}
	return message
}

// with is the message with a list of items of its own.
func (l Lookup[M, I]) with(message *M, change func(items []I) []I) M {
	changed := *message
	*l.Items(&changed) = change(slices.Clone(*l.Items(message)))
	return changed
}

// KeepsEveryBudget builds the response at every budget from nothing to more than enough, and compares
// it with what the contract's rule says (spec section 11), which expected computes from lengths alone.
func KeepsEveryBudget[M, I any](t *testing.T, l Lookup[M, I]) {
	each(t, func(t testing.TB, r *rand.Rand) {
		message := l.answer(r)
		request := l.Request(t, &message)
		full := l.EncodedLen(&message)
		for budget := range full + 2 {
			for _, atCeiling := range []bool{false, true} {
				out := bytes.Repeat([]byte{0xAA}, budget)
				length, err := l.Answer(&message, request, payload.ResponseBudget{Out: out, AtCeiling: atCeiling})
				want, fits := l.expected(&message, budget, atCeiling)
				if !fits {
					if !errors.Is(err, payload.ErrLimitExceeded) {
						t.Fatalf("%d of %d: %v", budget, full, err)
					}
					continue
				}
				if err != nil {
					t.Fatalf("%d of %d: %v", budget, full, err)
				}
				l.mustDecode(t, out[:length], &want, "the answer")
				if length != l.EncodedLen(&want) {
					t.Fatalf("%d of %d: something is written behind it", budget, full)
				}
			}
		}
	})
}

// expected is the response that a budget leaves: an item fits if, after it, the smallest items of all
// the rest still do. It is not there where the answer is LIMIT_EXCEEDED.
func (l Lookup[M, I]) expected(message *M, budget int, atCeiling bool) (want M, fits bool) {
	answers := *l.Items(message)
	want = l.with(message, func(items []I) []I {
		for i := range items {
			items[i] = l.Overflowed(items[i], payload.OverflowRetry)
		}
		return items
	})
	items := *l.Items(&want)
	if l.EncodedLen(&want) > budget {
		return want, false
	}
	for i, answer := range answers {
		smallest := items[i]
		items[i] = answer
		if l.EncodedLen(&want) <= budget {
			continue
		}
		if i > 0 {
			items[i] = smallest
			break
		}
		if len(answers) == 1 && !atCeiling {
			return want, false
		}
		items[i] = l.Overflowed(smallest, payload.OverflowOversized)
	}
	return want, true
}

// HandlersMistakesAreRefused shows that too few items, too many, and items in another order are
// errors, not answers.
func HandlersMistakesAreRefused[M, I any](t *testing.T, l Lookup[M, I]) {
	each(t, func(t testing.TB, r *rand.Rand) {
		message := l.answer(r)
		request := l.Request(t, &message)
		out := make([]byte, 2*l.EncodedLen(&message))
		mustFail := func(answer M, want error) {
			t.Helper()
			budget := payload.ResponseBudget{Out: out, AtCeiling: true}
			if _, err := l.Answer(&answer, request, budget); !errors.Is(err, want) {
				t.Fatalf("%v, want %v", err, want)
			}
		}
		if items := *l.Items(&message); len(items) > 0 {
			last := items[len(items)-1]
			mustFail(l.with(&message, func(items []I) []I { return append(items, last) }), payload.ErrTooManyItems)
			mustFail(l.with(&message, func(items []I) []I { return items[:len(items)-1] }), payload.ErrTooFewItems)
		}
		reversed := l.with(&message, func(items []I) []I {
			slices.Reverse(items)
			return items
		})
		if !reflect.DeepEqual(l.Request(t, &reversed), request) {
			mustFail(reversed, payload.ErrEcho)
		}
	})
}
