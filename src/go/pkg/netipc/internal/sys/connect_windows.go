package sys

import (
	"strings"
	"time"

	"golang.org/x/sys/windows"
)

const (
	// maxPipeNameBytes is the longest name of a pipe, in characters (spec section 5).
	maxPipeNameBytes = 255
	// pipes is what the name of every pipe begins with.
	pipes = `\\.\pipe\`
	// busySlice is how long one attempt waits for an instance of the pipe when all are taken. Nothing but an
	// instance ends that wait, so this is how late an abort is noticed.
	busySlice = 25 * time.Millisecond
)

// Connect connects to the endpoint of the name path.
//
// A server with room accepts at once, in the system, whether or not it is looking. When it has none this waits
// as long as wait says; a deadline that has passed makes it one attempt that does not wait. The server learns
// who this process is, and cannot act in its name.
//
// The errors are those of a path, ErrNotFound, ForeignError, ErrDenied, ErrBacklogFull, ErrAborted and
// SysError; the first attempt already tells all but ErrBacklogFull and ErrAborted.
func Connect(path string, wait *Wait) (*PacketChannel, error) {
	name, err := pipeName(path)
	if err != nil {
		return nil, err
	}
	for {
		if wait.Ended() {
			return nil, ErrAborted
		}
		file, err := openPipe(name)
		if err == nil {
			return newClientChannel(file)
		}
		if err != windows.ERROR_PIPE_BUSY {
			return nil, connectError(err)
		}
		slice := wait.Deadline.Earlier(After(busySlice))
		if slice.HasPassed() {
			return nil, ErrBacklogFull
		}
		switch errno := waitPipe(name, max(1, milliseconds(slice))); errno {
		case 0, windows.ERROR_SEM_TIMEOUT:
		default:
			return nil, connectError(errno)
		}
	}
}

// InspectEndpoint looks at what stands at the name path, and changes nothing. It does not wait. An error means
// that the name cannot be one of an endpoint, or that the system refused to look: nothing is known then.
func InspectEndpoint(path string) (Inspection, error) {
	name, err := pipeName(path)
	if err != nil {
		return Inspection{}, err
	}
	file, err := openPipe(name)
	if err == windows.ERROR_PIPE_BUSY {
		return Inspection{State: EndpointLive, Busy: true}, nil
	}
	if err != nil {
		return inspected(connectError(err))
	}
	channel, err := newClientChannel(file)
	if err != nil {
		return Inspection{}, err
	}
	defer channel.Close()
	found := Inspection{State: EndpointLive}
	// Whose it is, is for those who look; that it lives is known all the same.
	found.Server, _ = channel.Peer()
	return found, nil
}

func inspected(err error) (Inspection, error) {
	switch known := err.(type) {
	case *ForeignError:
		return Inspection{State: EndpointForeign, Kind: known.Kind}, nil
	case *SysError:
		return Inspection{}, &SysError{Operation: "examine an endpoint", Code: known.Code}
	}
	if err == ErrDenied {
		return Inspection{State: EndpointDenied}, nil
	}
	return Inspection{}, nil
}

// openPipe is one attempt to connect.
func openPipe(name *uint16) (windows.Handle, error) {
	const flags = windows.FILE_FLAG_OVERLAPPED | windows.SECURITY_SQOS_PRESENT | windows.SECURITY_IDENTIFICATION
	file, err := windows.CreateFile(name, windows.GENERIC_READ|windows.GENERIC_WRITE, 0, nil, windows.OPEN_EXISTING,
		flags, 0)
	if err != nil {
		return 0, err
	}
	mode := uint32(windows.PIPE_READMODE_MESSAGE)
	if err := windows.SetNamedPipeHandleState(file, &mode, nil, nil); err != nil {
		closeHandle(file)
		return 0, err
	}
	return file, nil
}

// connectError says what the system's answer means.
func connectError(err error) error {
	switch err {
	case windows.ERROR_FILE_NOT_FOUND, windows.ERROR_PATH_NOT_FOUND:
		return ErrNotFound
	case windows.ERROR_ACCESS_DENIED:
		return ErrDenied
	case windows.ERROR_INVALID_PARAMETER, windows.ERROR_INVALID_NAME:
		// A pipe of bytes has no messages.
		return &ForeignError{Kind: EntryOtherSocket}
	}
	return refused("connect", err)
}

// pipeName is the name of an endpoint as the system takes it, if path can be one.
func pipeName(path string) (*uint16, error) {
	rest, isPipe := strings.CutPrefix(path, pipes)
	switch {
	case strings.IndexByte(path, 0) >= 0:
		return nil, ErrPathNul
	case !isPipe || rest == "":
		return nil, ErrPathEmpty
	case len(path) > maxPipeNameBytes:
		return nil, ErrPathTooLong
	}
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return nil, ErrPathNul
	}
	return name, nil
}
