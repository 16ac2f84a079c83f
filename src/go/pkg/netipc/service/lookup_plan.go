package service

import "github.com/netipc/netipc/src/go/pkg/netipc/protocol/payload"

// How many of a lookup's keys go into one sub-request (spec section 11): a function of the keys and of the
// session's limits. Sending is not here, nor what becomes of the answer.

// answerShare: the answer of nothing but "ask again" takes at most the limit divided by this.
const answerShare = 2

// subLimits is what a session allows a sub-request and its answer, in bytes of payload.
type subLimits struct{ request, response uint64 }

// subRequest is the keys of one sub-request: count of them from first on.
type subRequest struct {
	first, count int
	// length is the bytes of its payload.
	length uint64
}

// packing is the length of a payload with a directory, element by element.
type packing struct {
	header, elements uint64
	// packed is the bytes of the packed area, the last element not padded.
	packed uint64
}

func (p packing) with(length int) packing {
	p.packed = (p.packed+payload.Alignment-1)&^(payload.Alignment-1) + uint64(length)
	p.elements++
	return p
}

func (p packing) len() uint64 { return p.header + p.elements*payload.DirectoryEntryLen + p.packed }

// plan is the next sub-request: as many keys from first on as fit the request limit, and whose answer of
// nothing but "ask again" takes at most half of the response limit, so that something fits beside it. One
// key at least, whatever it needs: what does not fit then is for the caller to see.
func (s *LookupService[K, Req, Item, RespB]) plan(keys []K, first int, limits subLimits) subRequest {
	request := packing{header: uint64(s.RequestHeaderBytes)}
	answer := packing{header: uint64(s.ResponseHeaderBytes)}
	for _, key := range keys[first:] {
		largerRequest := request.with(s.KeyLen(key))
		largerAnswer := answer.with(s.SmallestLen(key))
		fits := largerRequest.len() <= limits.request && largerAnswer.len() <= limits.response/answerShare
		if !fits && request.elements > 0 {
			break
		}
		request, answer = largerRequest, largerAnswer
	}
	return subRequest{first: first, count: int(request.elements), length: request.len()}
}

// alone is the request of one key alone.
func (s *LookupService[K, Req, Item, RespB]) alone(key K, index int) subRequest {
	request := packing{header: uint64(s.RequestHeaderBytes)}.with(s.KeyLen(key))
	return subRequest{first: index, count: 1, length: request.len()}
}
