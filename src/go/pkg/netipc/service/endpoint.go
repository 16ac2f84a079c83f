package service

import "github.com/netipc/netipc/src/go/pkg/netipc/transport"

// Endpoint is where a service is, or will be, served: a run directory and a service (spec section 5).
type Endpoint = transport.Endpoint

// NewEndpoint is the endpoint of a service in a run directory, which need not exist yet. It fails with a
// [protocol.NameError] for a name that cannot be.
func NewEndpoint(runDir, service string) (Endpoint, error) {
	return transport.NewEndpoint(runDir, service)
}
