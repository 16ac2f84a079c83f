package protocol_test

import (
	"errors"
	"testing"

	. "github.com/netipc/netipc/src/go/pkg/netipc/protocol"
)

var testLimits = Limits{PayloadBytes: 100, BatchItems: 4}

// with is a copy of header that change was applied to.
func with(header Header, change func(*Header)) Header {
	change(&header)
	return header
}

// wantDefect fails unless err is a violation with this defect; none for 0.
func wantDefect(t testing.TB, err error, defect Defect) {
	t.Helper()
	if defect == 0 {
		if err != nil {
			t.Fatalf("refused: %v", err)
		}
		return
	}
	if !errors.Is(err, defect) || !errors.Is(err, ErrContract) {
		t.Fatalf("%v, want %v", err, defect)
	}
}

func TestARequestIsCheckedAgainstItsDirection(t *testing.T) {
	good := RequestHeader(7, 1, 100)
	for _, c := range []struct {
		header Header
		defect Defect
	}{
		{good, 0},
		{good.BatchOf(4), 0},
		{with(good, func(h *Header) { h.Kind = KindResponse }), DefectKind},
		{with(good, func(h *Header) { h.Kind = KindControl }), DefectKind},
		{with(good, func(h *Header) { h.Status = StatusBusy }), DefectStatus},
		{with(good, func(h *Header) { h.Flags = 2 }), DefectFlags},
		{with(good, func(h *Header) { h.Flags = 0x8001 }), DefectFlags},
		{with(good, func(h *Header) { h.ItemCount = 0 }), DefectCount},
		{with(good, func(h *Header) { h.ItemCount = 2 }), DefectCount},
		{good.BatchOf(0), DefectCount},
		{good.BatchOf(5), DefectLimit},
		{with(good, func(h *Header) { h.PayloadLen = 101 }), DefectLimit},
		// A request that is wrong in two ways is not answered LIMIT_EXCEEDED.
		{with(good, func(h *Header) { h.PayloadLen, h.Flags = 101, 4 }), DefectFlags},
	} {
		wantDefect(t, c.header.CheckRequest(&testLimits), c.defect)
	}
}

func TestOneItemWithoutABatchIsFineWhateverTheBatchLimit(t *testing.T) {
	header := RequestHeader(1, 1, 8)
	wantDefect(t, header.CheckRequest(&Limits{PayloadBytes: 8}), 0)
}

func TestAFailedResponseMayCarryTheRequestsFlagsAndCounts(t *testing.T) {
	batch := RequestHeader(1, 9, 50).BatchOf(3)
	sloppy := with(ResponseHeader(&batch, 1<<32-1), func(h *Header) { h.Status = StatusInternalError })
	wantDefect(t, sloppy.CheckResponse(&testLimits), 0)
	lying := with(sloppy, func(h *Header) { h.Status = StatusOK })
	wantDefect(t, lying.CheckResponse(&testLimits), DefectLimit)
	request := with(sloppy, func(h *Header) { h.Kind = KindRequest })
	wantDefect(t, request.CheckResponse(&testLimits), DefectKind)
}

func TestAnswersEchoTheirRequest(t *testing.T) {
	batch := RequestHeader(3, 77, 50).BatchOf(3)
	want := Header{Kind: KindResponse, Flags: FlagBatch, Code: 3, PayloadLen: 60, ItemCount: 3, MessageID: 77}
	if answer := ResponseHeader(&batch, 60); answer != want {
		t.Fatalf("%+v", answer)
	}
	want = Header{Kind: KindResponse, Code: 3, Status: StatusLimitExceeded, ItemCount: 1, MessageID: 77}
	if failure := FailureHeader(&batch, StatusLimitExceeded); failure != want {
		t.Fatalf("%+v", failure)
	}
}

func TestByeIsExact(t *testing.T) {
	bye := ControlHeader(OpcodeBye, StatusOK, 0)
	if !bye.IsBye() {
		t.Fatal("it is none")
	}
	for _, change := range []func(*Header){
		func(h *Header) { h.Code = OpcodeHello },
		func(h *Header) { h.Kind = KindRequest },
		func(h *Header) { h.MessageID = 1 },
		func(h *Header) { h.ItemCount = 0 },
		func(h *Header) { h.PayloadLen = 1 },
		func(h *Header) { h.Flags = 1 },
		func(h *Header) { h.Status = StatusBusy },
	} {
		if other := with(bye, change); other.IsBye() {
			t.Errorf("%+v is one", other)
		}
	}
}

func TestAWholeMessageIsAsLongAsItSays(t *testing.T) {
	limits := Limits{PayloadBytes: 8, BatchItems: 1}
	good := whole(RequestHeader(1, 1, 3), "abc")
	opened, err := Requests.Message(good, &limits)
	if err != nil || string(opened.Payload) != "abc" {
		t.Fatalf("%+v, %v", opened, err)
	}
	_, err = Requests.Message(good[:34], &limits)
	if err != error(NewDecodeError(DefectTruncated, 34)) {
		t.Fatal(err)
	}
	_, err = Requests.Message(append(good, 'd'), &limits)
	if err != error(NewDecodeError(DefectTrailing, 35)) {
		t.Fatal(err)
	}
	_, err = Responses.Message(good, &limits)
	wantDefect(t, err, DefectKind)
}

func TestAFailedResponseHasNoPayloadWhateverCameWithIt(t *testing.T) {
	batch := RequestHeader(1, 1, 0).BatchOf(9)
	failed := with(ResponseHeader(&batch, 70), func(h *Header) { h.Status = StatusInternalError })
	opened, err := Responses.Message(whole(failed, "left over"), &testLimits)
	if err != nil || opened.Header.Status != StatusInternalError || len(opened.Payload) != 0 {
		t.Fatalf("%+v, %v", opened, err)
	}
}

// whole is the bytes of a message.
func whole(header Header, payload string) []byte {
	head := header.Encode()
	return append(head[:], payload...)
}

func TestStatusesHaveTheContractsNamesAndUnknownOnesTheirNumber(t *testing.T) {
	for status, name := range map[Status]string{
		0: "OK", 1: "BAD_ENVELOPE", 2: "AUTH_FAILED", 3: "INCOMPATIBLE", 4: "UNSUPPORTED",
		5: "LIMIT_EXCEEDED", 6: "INTERNAL_ERROR", 0x0100: "BUSY", 7: "status 0x0007",
	} {
		if status.String() != name {
			t.Errorf("%s, want %s", status, name)
		}
		if kept := status == 0 || status == 4; status.KeepsSession() != kept {
			t.Errorf("%s keeps the session: %v", status, !kept)
		}
	}
}

func TestTheHighestBitAndTheSingleBit(t *testing.T) {
	for profiles, highest := range map[Profiles]Profile{0: 0, 0x13: 0x10, 1<<32 - 1: 1 << 31} {
		if got, ok := profiles.Highest(); got != highest || ok != (profiles != 0) {
			t.Errorf("%v of %v", got, profiles)
		}
	}
	for profiles, single := range map[Profiles]Profile{0: 0, 6: 0, 4: ProfileShmBusywait} {
		if got, ok := profiles.Single(); got != single || ok != (single != 0) {
			t.Errorf("%v of %v", got, profiles)
		}
	}
}

func TestAPlatformNeverOffersWhatItLacksAndAlwaysTheBaseline(t *testing.T) {
	const all = ^Profiles(0)
	for _, c := range []struct {
		platform         Platform
		configured, want Profiles
	}{
		// On POSIX, never the bit that peers in the field treat as SHM_HYBRID.
		{PlatformPosix, all, 0x03},
		{PlatformWindows, all, 0x07},
		{PlatformPosixBaseline, all, 0x01},
		{PlatformPosix, 0, 0x01},
		{PlatformPosix, ProfilesShmHybrid, 0x03},
	} {
		if got := c.platform.Supported(c.configured); got != c.want {
			t.Errorf("%v of %v, want %v", got, c.configured, c.want)
		}
	}
}

func TestDefectsHaveWords(t *testing.T) {
	for defect := DefectTruncated; defect <= DefectChunkSequence; defect++ {
		if defect.Error() == "" || defect.Error()[:6] == "defect" {
			t.Errorf("defect %d has none", defect)
		}
	}
	if err := NewDecodeError(DefectMagic, 3).Shifted(32); err.Error() !=
		"the peer broke the contract: wrong magic (at byte 35)" {
		t.Error(err)
	}
}
