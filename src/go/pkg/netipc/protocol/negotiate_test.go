package protocol_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	. "github.com/netipc/netipc/src/go/pkg/netipc/protocol"
)

var (
	testPolicy = Policy{
		Supported: 0x03, Preferred: 0x02, MaxRequestPayloadBytes: 1 << 20, ResponsePayloadBytes: 65_536,
		AuthToken: 7, PacketSize: 65_536,
	}
	testPeer  = Peer{Admitted: true, CanOpenRegions: true, SessionFree: true}
	testHello = Hello{
		Supported: 0x03, Preferred: 0x02, Request: Limits{PayloadBytes: 65_536, BatchItems: 1024},
		ResponseHint: Limits{PayloadBytes: 1024, BatchItems: 1}, AuthToken: 7, PacketSize: 200_000,
	}
)

func negotiate(hello Hello, policy Policy, peer Peer) Status {
	message := hello.Message()
	if _, rejection := Negotiate(message[:], &policy, peer); rejection != nil {
		return rejection.Status()
	}
	return StatusOK
}

func agreed(t testing.TB, hello Hello, peer Peer) Agreed {
	t.Helper()
	message := hello.Message()
	agreed, rejection := Negotiate(message[:], &testPolicy, peer)
	if rejection != nil {
		t.Fatal(rejection)
	}
	return agreed
}

// ackOf is what the answer grants.
func ackOf(t testing.TB, agreed Agreed) HelloAck {
	t.Helper()
	message := agreed.Message(1)
	ack, err := DecodeHelloAck(message[HeaderLen:])
	if err != nil {
		t.Fatal(err)
	}
	return ack
}

func TestBothEndsComeToTheSameTerms(t *testing.T) {
	granted := agreed(t, testHello, testPeer)
	reply := granted.Message(42)
	accepted, refusal := CheckReply(&testHello, reply[:])
	if refusal != nil {
		t.Fatal(refusal)
	}
	want := Terms{
		Profile: ProfileShmHybrid, Request: testHello.Request,
		Response: Limits{PayloadBytes: 65_536, BatchItems: 1024}, PacketSize: packetSize(t, 65_536),
	}
	if granted.Terms() != want || accepted.Terms() != want {
		t.Fatalf("%+v and %+v", granted.Terms(), accepted.Terms())
	}
	if accepted.SessionID() != 42 || accepted.ServerSupported() != testPolicy.Supported {
		t.Fatalf("%+v", accepted)
	}
}

func TestRefusalsComeInTheContractsOrder(t *testing.T) {
	// Everything is wrong at once; each step mends what was refused and meets the next.
	hello := testHello
	hello.Supported, hello.Request.PayloadBytes, hello.AuthToken, hello.PacketSize = 0x10, 1<<20+1, 8, 32
	peer := Peer{}
	for _, step := range []struct {
		status Status
		mend   func()
	}{
		{StatusUnsupported, func() { hello.Supported = ProfilesShmHybrid }},
		{StatusAuthFailed, func() { peer.Admitted = true }},
		{StatusAuthFailed, func() { hello.AuthToken = 7 }},
		{StatusLimitExceeded, func() { hello.Request.PayloadBytes = 1 << 20 }},
		{StatusIncompatible, func() { hello.PacketSize = 33 }},
		{StatusUnsupported, func() { hello.Supported = testHello.Supported }},
		{StatusBusy, func() { peer.SessionFree = true }},
		{StatusOK, func() {}},
	} {
		if status := negotiate(hello, testPolicy, peer); status != step.status {
			t.Fatalf("%v, want %v", status, step.status)
		}
		step.mend()
	}
}

func TestAMalformedHelloIsRefusedBeforeAnythingElse(t *testing.T) {
	good := ControlHeader(OpcodeHello, StatusOK, HelloLen)
	encoded := testHello.Encode()
	payload := string(encoded[:])
	zeroHello := testHello
	zeroHello.Request.PayloadBytes = 0
	zero := zeroHello.Encode()
	change := func(f func(*Header)) Header { return with(good, f) }
	for _, c := range []struct {
		message []byte
		defect  Defect
	}{
		{whole(change(func(h *Header) { h.Kind = KindRequest }), payload), DefectKind},
		{whole(change(func(h *Header) { h.Kind = KindRequest }), strings.Repeat("\x02", 44)), DefectKind},
		{whole(change(func(h *Header) { h.Code = 2 }), payload), DefectCode},
		{whole(change(func(h *Header) { h.Flags = 1 }), payload), DefectFlags},
		{whole(change(func(h *Header) { h.Flags = 0x80 }), payload), DefectFlags},
		{whole(change(func(h *Header) { h.Status = 1 }), payload), DefectStatus},
		{whole(change(func(h *Header) { h.ItemCount = 0 }), payload), DefectCount},
		{whole(change(func(h *Header) { h.ItemCount = 2 }), payload), DefectCount},
		{whole(change(func(h *Header) { h.MessageID = 1 }), payload), DefectReserved},
		{whole(good, payload+"\x00"), DefectTrailing},
		{whole(good, payload[:43]), DefectTruncated},
		{whole(change(func(h *Header) { h.PayloadLen = 45 }), payload+"\x00"), DefectTrailing},
		{whole(change(func(h *Header) { h.PayloadLen = 43 }), payload), DefectTrailing},
		{whole(change(func(h *Header) { h.PayloadLen = 45 }), payload), DefectTruncated},
		{whole(change(func(h *Header) { h.PayloadLen = 1<<32 - 1 }), payload), DefectTruncated},
		{whole(change(func(h *Header) { h.PayloadLen = 0 }), ""), DefectTruncated},
		{whole(good, string(zero[:])), DefectZeroLimit},
		{nil, DefectTruncated},
		{whole(good, "")[:31], DefectTruncated},
	} {
		// Even with a wrong token, which would be refused later.
		policy := testPolicy
		policy.AuthToken = 9
		_, rejection := Negotiate(c.message, &policy, testPeer)
		if rejection == nil || rejection.Status() != StatusBadEnvelope || !errors.Is(rejection, c.defect) {
			t.Errorf("%x: %v, want %v", c.message, rejection, c.defect)
		}
	}
}

func TestAnotherVersionIsIncompatibleWhateverItsLength(t *testing.T) {
	version := testHello.Message()
	binary.NativeEndian.PutUint16(version[4:], 2)
	layout := testHello.Encode()
	binary.NativeEndian.PutUint16(layout[:], 2)
	longer := whole(ControlHeader(OpcodeHello, StatusOK, HelloLen+8), string(layout[:])+"\x00\x00\x00\x00\x00\x00\x00\x00")
	for _, message := range [][]byte{version[:], longer} {
		_, rejection := Negotiate(message, &testPolicy, testPeer)
		if rejection == nil || rejection.Status() != StatusIncompatible {
			t.Errorf("%v", rejection)
		}
	}
}

func TestARejectionIsAStatusAndZeros(t *testing.T) {
	peer := testPeer
	peer.SessionFree = false
	hello := testHello.Message()
	_, rejection := Negotiate(hello[:], &testPolicy, peer)
	message := rejection.Message()
	var payload [HelloAckLen]byte
	binary.NativeEndian.PutUint16(payload[:], 1)
	if want := whole(ControlHeader(2, StatusBusy, 48), string(payload[:])); !bytes.Equal(message[:], want) {
		t.Fatalf("%x", message)
	}
	_, refusal := CheckReply(&testHello, message[:])
	if refusal == nil || refusal.Kind != RefusalRejected || refusal.Met() != (Met{What: MetRejected, Status: StatusBusy}) {
		t.Fatalf("%+v", refusal)
	}
}

func TestSharedMemoryThatCannotBeHadIsDropped(t *testing.T) {
	baseline, rejection := agreed(t, testHello, testPeer).WithoutSharedMemory()
	if rejection != nil {
		t.Fatal(rejection)
	}
	if ack := ackOf(t, baseline); ack.Selected != 1 || ack.Intersection != 1 || ack.ServerSupported != 3 {
		t.Fatalf("%+v", ack)
	}
	only := testHello
	only.Supported = ProfilesShmHybrid
	_, rejection = agreed(t, only, testPeer).WithoutSharedMemory()
	if rejection == nil || rejection.Reason != RejectNoRegion || rejection.Status() != StatusBusy {
		t.Fatal(rejection)
	}
	stranger := testPeer
	stranger.CanOpenRegions = false
	if ack := ackOf(t, agreed(t, testHello, stranger)); ack.Selected != 1 || ack.Intersection != 1 {
		t.Fatalf("%+v", ack)
	}
}

func TestThePosixServerNeverSelectsWhatFieldClientsMeanAsShmHybrid(t *testing.T) {
	field := testHello
	field.Supported, field.Preferred = 0x07, 0x06
	if ack := ackOf(t, agreed(t, field, testPeer)); ack.Selected != ProfilesShmHybrid {
		t.Fatalf("%+v", ack)
	}
}

func TestAClientRefusesWhatItDidNotPropose(t *testing.T) {
	good := HelloAck{
		ServerSupported: 3, Intersection: 3, Selected: 1, Request: testHello.Request,
		Response: Limits{PayloadBytes: 1<<32 - 1}, PacketSize: testHello.PacketSize, SessionID: 1,
	}
	message := good.Message()
	if _, refusal := CheckReply(&testHello, message[:]); refusal != nil {
		t.Fatal(refusal)
	}
	for _, c := range []struct {
		change func(*HelloAck)
		kind   RefusalKind
	}{
		{func(a *HelloAck) { a.Selected = 0 }, RefusalProfile},
		{func(a *HelloAck) { a.Selected = 3 }, RefusalProfile},
		{func(a *HelloAck) { a.Selected = 4 }, RefusalProfile},
		{func(a *HelloAck) { a.Request.PayloadBytes++ }, RefusalRequestLimits},
		{func(a *HelloAck) { a.Request.BatchItems-- }, RefusalRequestLimits},
		{func(a *HelloAck) { a.PacketSize++ }, RefusalPacketSize},
		{func(a *HelloAck) { a.PacketSize = 32 }, RefusalPacketSize},
	} {
		bad := good
		c.change(&bad)
		message := bad.Message()
		_, refusal := CheckReply(&testHello, message[:])
		if refusal == nil || refusal.Kind != c.kind || !errors.Is(refusal, ErrContract) || refusal.Met().What != MetBadAnswer {
			t.Errorf("%+v: %v", bad, refusal)
		}
	}
}

func TestAClientLooksAtTheStatusFirst(t *testing.T) {
	header := with(ControlHeader(2, 0x0222, 1_000_000), func(h *Header) { h.Flags, h.ItemCount = 1, 9 })
	_, refusal := CheckReply(&testHello, whole(header, ""))
	if refusal == nil || refusal.Kind != RefusalRejected || refusal.Status != 0x0222 ||
		refusal.Error() != "the server refused the session: status 0x0222" {
		t.Fatal(refusal)
	}
}

func TestAClientRefusesAnswersThatAreNone(t *testing.T) {
	granted := agreed(t, testHello, testPeer)
	good := granted.Message(1)
	header, err := DecodeHeader(good[:])
	if err != nil {
		t.Fatal(err)
	}
	payload := string(good[HeaderLen:])
	for _, bad := range [][]byte{
		whole(with(header, func(h *Header) { h.Kind = KindResponse }), payload),
		whole(with(header, func(h *Header) { h.Code = 1 }), payload),
		whole(with(header, func(h *Header) { h.MessageID = 5 }), payload),
		append(bytes.Clone(good[:]), 0),
		good[:79],
	} {
		if _, refusal := CheckReply(&testHello, bad); refusal == nil || refusal.Kind != RefusalMalformed {
			t.Errorf("%v", refusal)
		}
	}
	// Its payload: the layout's version, its flags, and what is reserved (spec section 4).
	for _, at := range []int{0, 2, 36} {
		bad := bytes.Clone(good[:])
		bad[HeaderLen+at] ^= 0x40
		_, refusal := CheckReply(&testHello, bad)
		var defect DecodeError
		if refusal == nil || refusal.Kind != RefusalMalformed || !errors.As(refusal, &defect) ||
			defect.Offset != HeaderLen+at || !errors.Is(refusal, ErrContract) {
			t.Errorf("byte %d: %v", at, refusal)
		}
	}
}

func TestZeroInAConfigurationMeansTheDefault(t *testing.T) {
	if LimitsOrDefault(Limits{}) != (Limits{PayloadBytes: 1024, BatchItems: 1}) {
		t.Error(LimitsOrDefault(Limits{}))
	}
	given := Limits{PayloadBytes: 5, BatchItems: 6}
	if LimitsOrDefault(given) != given {
		t.Error(LimitsOrDefault(given))
	}
}

func TestWhatAServerGrantsItsClientTakes(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 8))
	outcomes := map[Status]int{}
	for range 5000 {
		hello := Hello{
			Supported: Profiles(random.Uint32N(64)), Preferred: Profiles(random.Uint32()),
			Request:      Limits{PayloadBytes: 1 + random.Uint32N(2000), BatchItems: 1 + random.Uint32N(9)},
			ResponseHint: Limits{PayloadBytes: 1, BatchItems: 1},
			AuthToken:    7 + uint64(random.IntN(10)/9), PacketSize: random.Uint32N(200),
		}
		policy := Policy{
			Supported: Profiles(random.Uint32N(64)), Preferred: Profiles(random.Uint32()),
			MaxRequestPayloadBytes: 1 + random.Uint32N(2000), ResponsePayloadBytes: random.Uint32(),
			AuthToken: 7, PacketSize: random.Uint32N(200),
		}
		peer := testPeer
		peer.CanOpenRegions = random.IntN(2) == 0
		message := hello.Message()
		granted, rejection := Negotiate(message[:], &policy, peer)
		if rejection != nil {
			reply := rejection.Message()
			_, refusal := CheckReply(&hello, reply[:])
			if refusal == nil || refusal.Kind != RefusalRejected || refusal.Status != rejection.Status() {
				t.Fatalf("%v and %v", rejection, refusal)
			}
			outcomes[rejection.Status()]++
			continue
		}
		reply := granted.Message(random.Uint64())
		accepted, refusal := CheckReply(&hello, reply[:])
		if refusal != nil || accepted.Terms() != granted.Terms() {
			t.Fatalf("%+v: %v", granted, refusal)
		}
		terms := granted.Terms()
		if selected := Profiles(terms.Profile); !(hello.Supported & policy.Supported).Contains(selected) ||
			!peer.CanOpenRegions && terms.Profile.IsSharedMemory() || terms.Request != hello.Request ||
			terms.PacketSize.Bytes() != min(hello.PacketSize, policy.PacketSize) {
			t.Fatalf("%+v for %v of %v", terms, hello, policy)
		}
		outcomes[StatusOK]++
	}
	for _, status := range []Status{
		StatusOK, StatusUnsupported, StatusAuthFailed, StatusLimitExceeded, StatusIncompatible,
	} {
		if outcomes[status] == 0 {
			t.Errorf("%v never came out", status)
		}
	}
}
