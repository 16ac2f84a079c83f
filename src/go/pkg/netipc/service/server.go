package service

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/netipc/netipc/src/go/pkg/netipc/protocol"
	"github.com/netipc/netipc/src/go/pkg/netipc/transport"
)

var (
	// ErrHandlersRunning: handlers outlive the time that stopping may take. Nobody is served any more; what
	// they use stays until they return.
	ErrHandlersRunning = errors.New("handlers are still running")
	// ErrStarted: the server was started, or stopped, before, or belongs to a host.
	ErrStarted = errors.New("the server was started before")
	// ErrNoServers: a host without servers.
	ErrNoServers = errors.New("the host has no servers")
	// ErrNoHandler: a server was made without a handler.
	ErrNoHandler = errors.New("the server was given no handler: it could answer nothing")
)

// Server is an endpoint, one method, and workers that answer it (spec section 11). Made by a generated
// package's NewServer, which takes the endpoint; it serves once it is started.
//
//	NewServer ── Start ──▶ serving      Stop, Drain, Close, Status
//	     └─ Host: several of them, one set of workers
//
// All methods may be called from any goroutine. What it does not do: it retries nothing, and reads no
// environment.
type Server struct {
	lifecycle
	service *servedService
}

// bind takes an endpoint.
func bind(endpoint Endpoint, config ServerConfig, dispatch dispatch) (*Server, error) {
	info := dispatch.info()
	if !info.hasHandler {
		return nil, ErrNoHandler
	}
	config = config.resolved(info.responseCeiling)
	service := &servedService{
		info: info, dispatch: dispatch, logger: config.Logger, maxSessions: int32(config.MaxSessions),
		maxInFlight: config.MaxInFlightPerSession, ceiling: config.MaxResponsePayloadBytes,
	}
	listener, err := transport.Listen(endpoint, &transport.ListenerConfig{
		Access:                 config.Access,
		SupportedProfiles:      config.SupportedProfiles,
		PreferredProfiles:      config.PreferredProfiles,
		MaxRequestPayloadBytes: config.MaxRequestPayloadBytes,
		ResponsePayloadBytes:   protocol.StartingLimit(config.MaxResponsePayloadBytes),
		AuthToken:              config.AuthToken,
		Reserve:                service.reserve,
		Unreserve:              service.unreserve,
	})
	if err != nil {
		return nil, err
	}
	service.listener = listener
	server := &Server{service: service}
	server.lifecycle = lifecycle{workers: config.WorkerCount, services: []*servedService{service}}
	return server, nil
}

// Status is everything that a supporter needs.
func (s *Server) Status() ServerStatus {
	c := &s.service.counters
	c.mu.Lock()
	lastError := c.lastError
	c.mu.Unlock()
	s.mu.Lock()
	workers := s.workers
	s.mu.Unlock()
	return ServerStatus{
		Sessions:             int(s.service.sessions.Load()),
		MaxSessions:          int(s.service.maxSessions),
		InFlight:             int(c.inFlight.Load()),
		Workers:              workers,
		ResponseLimitBytes:   s.service.listener.ResponseLimit().Get(),
		ResponseCeilingBytes: s.service.ceiling,
		Handshakes:           s.service.listener.Counts(),
		Calls:                c.calls(),
		Ended:                c.ends(),
		RequestBytes:         c.requestBytes.Load(),
		ResponseBytes:        c.responseBytes.Load(),
		LastError:            lastError,
	}
}

// Host runs several servers in one process over shared workers: one plugin, many services. Its set of
// servers is fixed once started.
type Host struct{ lifecycle }

// NewHost is a host with so many workers; zero means one for each CPU, at most 8. The servers are its own
// from here on: it starts and stops them. It fails with [ErrNoServers], and with [ErrStarted], for which one of them
// is enough; the others stay as they were.
func NewHost(workers int, servers ...*Server) (*Host, error) {
	host := &Host{lifecycle{workers: workerCount(workers)}}
	if len(servers) == 0 {
		return nil, ErrNoServers
	}
	for index, server := range servers {
		if !server.claim() {
			for _, claimed := range servers[:index] {
				claimed.giveBack()
			}
			return nil, ErrStarted
		}
		host.services = append(host.services, server.service)
	}
	for _, server := range servers {
		server.haveWorkers(host.workers)
	}
	return host, nil
}

// lifecycle is what servers and hosts have in common: they start once, and stop.
type lifecycle struct {
	services []*servedService

	mu      sync.Mutex
	workers int
	// begun: it was started or stopped. hosted: it belongs to a host.
	begun, hosted bool
	engine        *engine
	// over is closed once a stop is complete; outcome is what it came to, set before.
	over    chan struct{}
	outcome error
}

// claim makes a server one of a host's. False when it cannot be.
func (l *lifecycle) claim() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.begun || l.hosted {
		return false
	}
	l.hosted = true
	return true
}

// giveBack is for a server whose host is not made.
func (l *lifecycle) giveBack() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hosted = false
}

// haveWorkers notes that a server runs with so many workers, its host's.
func (l *lifecycle) haveWorkers(workers int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.workers = workers
}

// Start serves, on goroutines of its own, until it is stopped. It fails with [ErrStarted].
func (l *lifecycle) Start() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.begun || l.hosted {
		return ErrStarted
	}
	l.begun = true
	l.engine, l.over = startEngine(l.services, l.workers), make(chan struct{})
	return nil
}

// Serve is Start, and Stop once the context is done; it returns when that, or a stop or drain by somebody else,
// is complete, with what it came to.
func (l *lifecycle) Serve(ctx context.Context) error {
	if err := l.Start(); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return l.Stop()
	case <-l.over:
		// Not stopped once more meanwhile: a drain, or a stop that may take longer, would be cut short.
		return l.outcome
	}
}

// Stop gives the endpoints back, ends sessions, drops requests that no handler has begun, and waits up to
// [StopTimeout] for those that run; their contexts are done. Answers still go out if there is room. It fails
// with [ErrHandlersRunning] if a handler outlives it. It may be called any number of times, but not by a
// handler, for which it would wait.
func (l *lifecycle) Stop() error { return l.StopWithin(StopTimeout) }

// StopWithin is Stop with another time.
func (l *lifecycle) StopWithin(timeout time.Duration) error {
	if e := l.stopping(); e != nil {
		return l.complete(e.stop(timeout))
	}
	return nil
}

// Drain gives the endpoints back and reads nothing more, waits up to [DrainTimeout] until what was read is
// answered, then stops. Requests that were not read are the clients' to resend.
func (l *lifecycle) Drain() error { return l.DrainWithin(DrainTimeout) }

// DrainWithin is Drain with another time.
func (l *lifecycle) DrainWithin(timeout time.Duration) error {
	if e := l.stopping(); e != nil {
		return l.complete(e.drain(timeout))
	}
	return nil
}

// Close is Stop, for those who want an io.Closer.
func (l *lifecycle) Close() error { return l.Stop() }

// stopping is the engine to stop; nil when there is none, and the endpoints are given back.
func (l *lifecycle) stopping() *engine {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.begun = true
	if l.engine == nil {
		for _, service := range l.services {
			_ = service.listener.Close()
		}
		return nil
	}
	return l.engine
}

// complete notes what a stop came to, the first time.
func (l *lifecycle) complete(outcome error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.over:
	default:
		l.outcome = outcome
		close(l.over)
	}
	return outcome
}
