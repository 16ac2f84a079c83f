package codectest_test

import (
	"fmt"
	"testing"

	"github.com/netipc/netipc/src/go/pkg/netipc/cgroupslookup"
	"github.com/netipc/netipc/src/go/pkg/netipc/protocol/payload"
)

// What a codec costs in process, on one core: building an answer, checking it, reading all of it.
//
//	go test -bench . ./pkg/netipc/internal/codectest
//
// Every answer is validated: a benchmark of wrong answers is none. The work is that of the Rust
// benchmark of the same names: 16 keys, a path of 27 bytes, a name of 10, two labels of 8 and 16.

const (
	keys        = 16
	generation  = 42
	bufferBytes = 65_536
	textBytes   = keys * (27 + 10 + 2*(8+16))
)

type lookup struct {
	request []byte
	names   []string
	labels  []payload.Label
	out     []byte
	builder cgroupslookup.ResponseBuilder
}

func newLookup(b *testing.B) *lookup {
	l := &lookup{
		out:    make([]byte, bufferBytes),
		labels: []payload.Label{{Key: "key-0001", Value: "value-0123456789"}, {Key: "key-0002", Value: "value-9876543210"}},
	}
	var request cgroupslookup.Request
	for key := range keys {
		request.Keys = append(request.Keys, fmt.Sprintf("/system.slice/docker-%06d", key))
		l.names = append(l.names, fmt.Sprintf("name-%05d", key))
	}
	l.request = make([]byte, request.EncodedLen())
	if _, err := request.Encode(l.request); err != nil {
		b.Fatal(err)
	}
	return l
}

func (l *lookup) build(b *testing.B, request cgroupslookup.RequestView) []byte {
	if err := l.builder.Reset(request, payload.ResponseBudget{Out: l.out}); err != nil {
		b.Fatal(err)
	}
	l.builder.Generation(generation)
	for i := range request.Len() {
		item := l.builder.Known(request.At(i)).Orchestrator(cgroupslookup.OrchestratorDocker)
		if err := item.Name(l.names[i]).Labels(l.labels...).Finish(); err != nil {
			b.Fatal(err)
		}
	}
	length, err := l.builder.Finish()
	if err != nil {
		b.Fatal(err)
	}
	return l.out[:length]
}

// read reads every field and label, and fails unless they are what was built.
func read(b *testing.B, response cgroupslookup.ResponseView) {
	if response.Generation() != generation || response.Len() != keys {
		b.Fatal("another response")
	}
	text := 0
	for item := range response.Items() {
		if item.Status() != cgroupslookup.StatusKnown || item.Orchestrator() != cgroupslookup.OrchestratorDocker {
			b.Fatal("another item")
		}
		text += len(item.Path()) + len(item.Name())
		for key, value := range item.Labels().All() {
			text += len(key) + len(value)
		}
	}
	if text != textBytes {
		b.Fatal("other text")
	}
}

func decode(b *testing.B, answer []byte) cgroupslookup.ResponseView {
	response, err := cgroupslookup.DecodeResponse(answer)
	if err != nil {
		b.Fatal(err)
	}
	return response
}

func (l *lookup) view(b *testing.B) cgroupslookup.RequestView {
	request, err := cgroupslookup.DecodeRequest(l.request)
	if err != nil {
		b.Fatal(err)
	}
	return request
}

func BenchmarkLookup16BuildDecodeRead(b *testing.B) {
	l := newLookup(b)
	request := l.view(b)
	b.ReportAllocs()
	for range b.N {
		read(b, decode(b, l.build(b, request)))
	}
}

func BenchmarkLookup16Build(b *testing.B) {
	l := newLookup(b)
	request := l.view(b)
	read(b, decode(b, l.build(b, request)))
	b.ReportAllocs()
	for range b.N {
		l.build(b, request)
	}
}

func BenchmarkLookup16Decode(b *testing.B) {
	l := newLookup(b)
	answer := l.build(b, l.view(b))
	b.ReportAllocs()
	for range b.N {
		if response := decode(b, answer); response.Len() != keys {
			b.Fatal("another response")
		}
	}
}

func BenchmarkLookup16Read(b *testing.B) {
	l := newLookup(b)
	response := decode(b, l.build(b, l.view(b)))
	b.ReportAllocs()
	for range b.N {
		read(b, response)
	}
}

func BenchmarkLookup16DecodeRequest(b *testing.B) {
	l := newLookup(b)
	b.ReportAllocs()
	for range b.N {
		if request := l.view(b); request.Len() != keys {
			b.Fatal("another request")
		}
	}
}
