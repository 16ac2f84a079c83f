package transport

import (
	"github.com/netipc/netipc/src/go/pkg/netipc/internal/sys"
	"github.com/netipc/netipc/src/go/pkg/netipc/protocol"
)

// Endpoint is where a service is, or will be, served: a run directory and a service (spec section 5). A
// value that can be compared and kept; the zero value is no endpoint.
//
// A name is checked when the endpoint is made, and never altered: whatever can be wrong with it is found
// before anything is opened.
type Endpoint struct {
	runDir  string
	service protocol.ServiceName
	socket  string
}

// EndpointState is what stands at an endpoint's name.
type EndpointState = sys.EndpointState

// Inspection is what [Endpoint.Inspect] found.
type Inspection = sys.Inspection

// What can stand at an endpoint's name.
const (
	// EndpointAbsent: nothing is there.
	EndpointAbsent = sys.EndpointAbsent
	// EndpointLive: a server listens.
	EndpointLive = sys.EndpointLive
	// EndpointStale: a socket on which nobody listens: its server died.
	EndpointStale = sys.EndpointStale
	// EndpointForeign: not an endpoint.
	EndpointForeign = sys.EndpointForeign
	// EndpointDenied: a socket that this user may not connect to.
	EndpointDenied = sys.EndpointDenied
)

// NewEndpoint is the endpoint of service in runDir, which need not exist yet and is taken byte for byte
// as given.
//
// It fails with a [protocol.NameError]: a service name that is empty, "." or "..", or has a character
// other than A-Z a-z 0-9 . _ -; a run directory with a NUL byte; a socket path above 107 bytes, or, on Windows,
// the name of a pipe above 255.
func NewEndpoint(runDir, service string) (Endpoint, error) {
	name, err := protocol.NewServiceName(service)
	if err != nil {
		return Endpoint{}, err
	}
	socket, err := socketName(runDir, name)
	if err != nil {
		return Endpoint{}, err
	}
	return Endpoint{runDir: runDir, service: name, socket: socket}, nil
}

// socketName is what the system knows an endpoint by: a path, or the name of a pipe (spec section 5).
func socketName(runDir string, service protocol.ServiceName) (string, error) {
	if sys.OwnFamily == sys.FamilyWindows {
		return protocol.PipeName(runDir, service)
	}
	return protocol.SocketPath(runDir, service, sys.MaxSocketPathBytes)
}

// RunDir is the run directory, as given.
func (e Endpoint) RunDir() string { return e.runDir }

// Service is the name of the service.
func (e Endpoint) Service() string { return e.service.String() }

// SocketPath is the path of its socket: {run_dir}/{service}.sock. On Windows, the name of its pipe.
func (e Endpoint) SocketPath() string { return e.socket }

// String is SocketPath, for messages and logs.
func (e Endpoint) String() string { return e.socket }

// Inspect looks at what stands at the socket's path, as a server does before it takes the name, and
// changes nothing. No session is asked for: a live server counts a client that left.
//
// It takes 150 ms when the socket is stale; otherwise it does not wait. An error means that the system
// refused to look: nothing is known then.
func (e Endpoint) Inspect() (Inspection, error) { return sys.InspectEndpoint(e.socket) }
