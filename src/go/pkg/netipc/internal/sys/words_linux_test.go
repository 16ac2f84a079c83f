package sys

import (
	"errors"
	"strings"
	"syscall"
	"testing"
)

func TestEveryErrorSaysWhatIsWrongAndWhatHelps(t *testing.T) {
	refused := &SysError{Operation: "open it", Code: syscall.EMFILE}
	for _, c := range []struct {
		err   error
		words string
		is    error
	}{
		{refused, "refused to open it: too many open files", syscall.EMFILE},
		{&ExhaustedError{Err: refused}, "raise the limit of open files", syscall.EMFILE},
		{&PacketTooLongError{Len: 9, Max: 8}, "lower the packet size", nil},
		{&ForeignError{Kind: EntryRegularFile}, "a regular file is at the endpoint's path", nil},
		{&InUseError{Path: "p", By: HolderLiveServer}, "a live server owns it", ErrInUse},
		{&InUseError{Path: "p", By: HolderLock}, "another server holds this lock", ErrInUse},
		{&InUseError{Path: "p", By: HolderForeign, Kind: EntryFifo}, "a named pipe is there and is left alone", ErrInUse},
		{&InUseError{Path: "p", By: HolderAnotherUser}, "belongs to another user", ErrInUse},
		{&InUseError{Path: "p", By: HolderUnknown, Err: refused}, "could not be examined", syscall.EMFILE},
		{&BindDeniedError{Operation: "make a lock"}, "may not make a lock in the run directory", nil},
		{&NoHardLinksError{Path: "p"}, "tmpfs", nil},
	} {
		if said := c.err.Error(); !strings.Contains(said, c.words) {
			t.Errorf("%q does not say %q", said, c.words)
		}
		if c.is != nil && !errors.Is(c.err, c.is) {
			t.Errorf("%v is not %v", c.err, c.is)
		}
	}
	kinds := make(map[string]bool)
	for kind := EntryUnknown; kind <= EntryOtherSocket; kind++ {
		kinds[kind.String()] = true
	}
	if len(kinds) != int(EntryOtherSocket)+1 {
		t.Errorf("kinds share words: %v", kinds)
	}
}

func TestWhatBindingMeetsIsToldApart(t *testing.T) {
	var denied *BindDeniedError
	if err := bindError("make a lock", syscall.EACCES); !errors.As(err, &denied) {
		t.Errorf("EACCES is %v", err)
	}
	if err := bindError("make a lock", syscall.EIO); !errors.Is(err, syscall.EIO) {
		t.Errorf("EIO is %v", err)
	}
	var exhausted *ExhaustedError
	if err := acceptError(syscall.EMFILE); !errors.As(err, &exhausted) {
		t.Errorf("EMFILE is %v", err)
	}
	if err := acceptError(syscall.EIO); errors.As(err, &exhausted) || !errors.Is(err, syscall.EIO) {
		t.Errorf("EIO is %v", err)
	}
}
