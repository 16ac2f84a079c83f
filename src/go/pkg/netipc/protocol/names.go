package protocol

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// The names under which peers find each other (spec section 5). Names are made and recognised here;
// nothing is opened, listed or removed. Paths of every platform can be made on every platform.
const (
	// MaxSocketPathLen is the longest path of a Unix socket, in bytes, where sun_path has 108.
	MaxSocketPathLen = 107
	// MaxSocketPathLenMacOS is the longest path of a Unix socket, in bytes, where sun_path has 104:
	// macOS and the BSDs.
	MaxSocketPathLenMacOS = 103
	// MaxRegionPathLen is the longest path of a region, in bytes.
	MaxRegionPathLen = 255
	// MaxWindowsNameLen is the longest name of a pipe or kernel object, in characters.
	MaxWindowsNameLen = 255

	regionSuffix    = ".ipcshm"
	sessionIDDigits = 16
	fnvBasis        = 0xcbf29ce484222325
	fnvPrime        = 0x100000001b3
)

// ErrName is what every error about a name is: an endpoint cannot have it; the caller's fault.
var ErrName = errors.New("no such name is possible")

// NameError says why an endpoint cannot have a name. errors.Is finds [ErrName] in it.
type NameError struct{ why string }

func (e *NameError) Error() string { return e.why }

// Is makes errors.Is find [ErrName].
func (e *NameError) Is(target error) bool { return target == ErrName }

// Thing is what has a name.
type Thing string

// The things that have names.
const (
	ThingSocket       Thing = "socket"
	ThingRegion       Thing = "shared-memory region"
	ThingPipe         Thing = "pipe"
	ThingKernelObject Thing = "kernel object"
)

// ServiceName is a service name that follows the rules: 1 or more of A-Z a-z 0-9 . _ -, neither "." nor
// "..". Make one with [NewServiceName].
type ServiceName struct{ name string }

// NewServiceName takes the name as it is, or refuses it with a [NameError]; it is never altered.
func NewServiceName(name string) (ServiceName, error) {
	if name == "" {
		return ServiceName{}, &NameError{"the service name is empty"}
	}
	for at, character := range name {
		if !allowedInService(character) {
			return ServiceName{}, &NameError{fmt.Sprintf(
				"the service name has %q at byte %d: only A-Z a-z 0-9 . _ - are allowed", character, at)}
		}
	}
	if name == "." || name == ".." {
		return ServiceName{}, &NameError{`the service name may not be "." or ".."`}
	}
	return ServiceName{name}, nil
}

func allowedInService(c rune) bool {
	return 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' || '0' <= c && c <= '9' ||
		c == '.' || c == '_' || c == '-'
}

// String is the name.
func (s ServiceName) String() string { return s.name }

// SocketPath is the path of a service's socket: {run_dir}/{service}.sock. maxLen is the platform's
// ([MaxSocketPathLen], [MaxSocketPathLenMacOS]). It fails with a [NameError].
func SocketPath(runDir string, service ServiceName, maxLen int) (string, error) {
	return pathIn(runDir, service.name+".sock", ThingSocket, maxLen)
}

// RegionPath is the path of a session's POSIX region: {run_dir}/{service}-{session_id:016x}.ipcshm. It
// fails with a [NameError].
func RegionPath(runDir string, service ServiceName, sessionID uint64) (string, error) {
	file := fmt.Sprintf("%s-%016x%s", service.name, sessionID, regionSuffix)
	return pathIn(runDir, file, ThingRegion, MaxRegionPathLen)
}

// RegionSessionID is the session id of a file name that is one of service's regions: exactly
// {service}-, 16 hexadecimal digits and .ipcshm. A server that has won its endpoint looks at those and
// at no others when it removes what a dead one left (spec section 7).
func RegionSessionID(service ServiceName, fileName string) (uint64, bool) {
	rest, found := strings.CutPrefix(fileName, service.name+"-")
	digits, suffixed := strings.CutSuffix(rest, regionSuffix)
	if !found || !suffixed || len(digits) != sessionIDDigits {
		return 0, false
	}
	// ParseUint takes digits alone: no sign, and no underscore when the base is given.
	id, err := strconv.ParseUint(digits, 16, 64)
	return id, err == nil
}

// PipeName is the name of a service's pipe: \\.\pipe\netipc-{H1:016x}-{service}, with H1 the hash of
// runDir. It fails with a [NameError].
func PipeName(runDir string, service ServiceName) (string, error) {
	name := fmt.Sprintf(`\\.\pipe\netipc-%016x-%s`, FNV1a64(runDir), service.name)
	return windowsName(name, ThingPipe)
}

// ObjectKind is one of the kernel objects of a shared-memory session on Windows (spec section 9).
type ObjectKind string

const (
	// ObjectMapping is the mapping of the region.
	ObjectMapping ObjectKind = "mapping"
	// ObjectRequestEvent is the event that a request is there.
	ObjectRequestEvent ObjectKind = "req_event"
	// ObjectResponseEvent is the event that a response is there.
	ObjectResponseEvent ObjectKind = "resp_event"
)

// WindowsSession is what the names of a Windows session's kernel objects are made from.
type WindowsSession struct {
	// RunDir is the run directory, byte for byte as given.
	RunDir string
	// Service is the service.
	Service ServiceName
	// AuthToken is the token of the service: a secret.
	AuthToken uint64
	// Profile is that of the session.
	Profile Profile
	// SessionID is the session.
	SessionID uint64
}

// String shows all but the secret.
func (w WindowsSession) String() string {
	return fmt.Sprintf("WindowsSession{RunDir: %q, Service: %v, AuthToken: (secret), Profile: %v, "+
		"SessionID: %d}", w.RunDir, w.Service, w.Profile, w.SessionID)
}

// GoString is String: %#v leaves the secret out too.
func (w WindowsSession) GoString() string { return w.String() }

// ObjectName is the name of one of its objects:
// Local\netipc-{H2:016x}-{service}-p{profile}-s{session_id:016x}-mapping and so on, with H2 the hash of
// run directory, service and token. It fails with a [NameError].
func (w WindowsSession) ObjectName(kind ObjectKind) (string, error) {
	hash := FNV1a64(fmt.Sprintf("%s\n%s\n%d", w.RunDir, w.Service, w.AuthToken))
	name := fmt.Sprintf(`Local\netipc-%016x-%s-p%d-s%016x-%s`,
		hash, w.Service, uint32(w.Profile), w.SessionID, kind)
	return windowsName(name, ThingKernelObject)
}

// FNV1a64 is FNV-1a, 64 bits (spec section 5).
func FNV1a64(text string) uint64 {
	hash := uint64(fnvBasis)
	for at := range len(text) {
		hash = (hash ^ uint64(text[at])) * fnvPrime
	}
	return hash
}

func pathIn(runDir, file string, thing Thing, maxLen int) (string, error) {
	if at := strings.IndexByte(runDir, 0); at >= 0 {
		return "", &NameError{fmt.Sprintf("the run directory has a NUL byte at byte %d", at)}
	}
	return notTooLong(runDir+"/"+file, thing, maxLen)
}

// windowsName: service names are ASCII, so bytes are characters.
func windowsName(name string, thing Thing) (string, error) {
	return notTooLong(name, thing, MaxWindowsNameLen)
}

func notTooLong(name string, thing Thing, maxLen int) (string, error) {
	if len(name) > maxLen {
		return "", &NameError{fmt.Sprintf("the name of the %s has %d bytes, at most %d are possible: "+
			"use a shorter run directory or service name", thing, len(name), maxLen)}
	}
	return name, nil
}
