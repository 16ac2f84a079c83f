package protocol

import (
	"errors"
	"strings"
	"testing"
)

// says shows that an error says what it must, and that no two of them say the same.
func says(t *testing.T, heard map[string]bool, err error, wanted string) {
	t.Helper()
	said := err.Error()
	if !strings.Contains(said, wanted) {
		t.Errorf("%q does not say %q", said, wanted)
	}
	if heard[said] {
		t.Errorf("%q is said of something else, too", said)
	}
	heard[said] = true
}

func TestEveryRejectionSaysWhyAndHasItsStatus(t *testing.T) {
	broken := NewDecodeError(DefectReserved, 3)
	heard := make(map[string]bool)
	for _, c := range []struct {
		rejection Rejection
		status    Status
		words     string
	}{
		{Rejection{Reason: RejectMalformed, Err: broken}, StatusBadEnvelope, "malformed HELLO"},
		{Rejection{Reason: RejectOtherVersion, Err: broken}, StatusIncompatible, "another version"},
		{Rejection{Reason: RejectPacketSize, Asked: 32}, StatusIncompatible, "packets of 32 bytes"},
		{*noCommonProfile(ProfilesBaseline, ProfilesShmHybrid), StatusUnsupported, "no profile in common"},
		{Rejection{Reason: RejectNotAdmitted}, StatusAuthFailed, "user is not admitted"},
		{Rejection{Reason: RejectWrongToken}, StatusAuthFailed, "token is another"},
		{Rejection{Reason: RejectRequestLimit, Asked: 5, Had: 4}, StatusLimitExceeded, "requests of 5 bytes"},
		{Rejection{Reason: RejectNoRegion}, StatusBusy, "shared memory"},
		{Rejection{Reason: RejectSessionsTaken}, StatusBusy, "sessions are taken"},
	} {
		says(t, heard, &c.rejection, c.words)
		if c.rejection.Status() != c.status {
			t.Errorf("%v has status %v", &c.rejection, c.rejection.Status())
		}
	}
}

func TestEveryRefusalSaysWhyAndWhetherTheServerBrokeTheContract(t *testing.T) {
	heard := make(map[string]bool)
	for status, words := range map[Status]string{
		StatusBadEnvelope:   "HELLO malformed",
		StatusAuthFailed:    "another token",
		StatusIncompatible:  "another version",
		StatusUnsupported:   "no profile in common",
		StatusBusy:          "BUSY",
		StatusInternalError: "INTERNAL_ERROR",
	} {
		refusal := &Refusal{Kind: RefusalRejected, Status: status}
		says(t, heard, refusal, words)
		if errors.Is(refusal, ErrContract) {
			t.Errorf("%v is no breach", refusal)
		}
	}
	for kind, words := range map[RefusalKind]string{
		RefusalMalformed:     "malformed HELLO_ACK",
		RefusalProfile:       "selects profile",
		RefusalRequestLimits: "grants requests",
		RefusalPacketSize:    "grants packets",
	} {
		refusal := &Refusal{Kind: kind, Err: NewDecodeError(DefectReserved, 3)}
		says(t, heard, refusal, words)
		if !errors.Is(refusal, ErrContract) {
			t.Errorf("%v is a breach", refusal)
		}
	}
}

func TestWhatIsTooLongSaysHowLongItMayBe(t *testing.T) {
	heard := make(map[string]bool)
	says(t, heard, AboveRequestCeiling{Needed: 9, Ceiling: 8}, "ceiling of 8")
	says(t, heard, AboveCeilingError{PayloadLen: 9}, "9 bytes")
	says(t, heard, MessageTooLongError{PayloadLen: 9}, "9 bytes")
	_, err := NewSplit(Header{PayloadLen: MaxPayloadBytes + 1}, DefaultTestPacketSize(t))
	if err == nil {
		t.Error("a message that is too long for chunks was split")
	}
	for defect := range Defect(0xFF) {
		if defect.Error() == "" {
			t.Errorf("defect %d says nothing", defect)
		}
	}
}

// DefaultTestPacketSize is small, so that much is sent in chunks.
func DefaultTestPacketSize(t *testing.T) PacketSize {
	t.Helper()
	size, ok := NewPacketSize(256)
	if !ok {
		t.Fatal("256 is a packet size")
	}
	return size
}

func TestProfilesAndStatesHaveNames(t *testing.T) {
	names := make(map[string]bool)
	for bit := range 32 {
		name := Profile(1 << bit).String()
		if name == "" {
			t.Errorf("profile %d has no name", bit)
		}
		names[name] = true
	}
	for _, name := range []string{"baseline", "shm-hybrid", "shm-busywait", "extension"} {
		if !names[name] {
			t.Errorf("no profile is called %s", name)
		}
	}
	states := make(map[string]bool)
	for state := StateDisconnected; state <= StateBroken; state++ {
		states[state.String()] = true
	}
	if len(states) != int(StateBroken-StateDisconnected)+1 {
		t.Errorf("states share names: %v", states)
	}
}
