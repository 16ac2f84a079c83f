package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/netipc/netipc/src/go/pkg/netipc/appslookup"
	"github.com/netipc/netipc/src/go/pkg/netipc/cgroupslookup"
	"github.com/netipc/netipc/src/go/pkg/netipc/cgroupssnapshot"
	"github.com/netipc/netipc/src/go/pkg/netipc/increment"
	"github.com/netipc/netipc/src/go/pkg/netipc/iptoasn"
	"github.com/netipc/netipc/src/go/pkg/netipc/protocol"
	"github.com/netipc/netipc/src/go/pkg/netipc/protocol/payload"
	"github.com/netipc/netipc/src/go/pkg/netipc/service"
	"github.com/netipc/netipc/src/go/pkg/netipc/stringreverse"
	"github.com/netipc/netipc/src/go/pkg/netipc/transport"
)

// spareSessions beside those of the clients that were announced: one that leaves may still be counted when
// the next one comes.
const spareSessions = 8

// handled counts what handlers handled.
var handled atomic.Uint64

// serve serves until standard input ends.
func serve(o *options) error {
	if o.after != "" {
		if word, _ := hear(); word != o.after {
			return fmt.Errorf("the runner left")
		}
	}
	stop, status, err := start(o)
	if err != nil {
		return err
	}
	if err := say(line{Event: "ready"}); err != nil {
		return err
	}
	for {
		word, more := hear()
		if !more {
			return stop()
		}
		if told, err := dies(word); err != nil {
			return err
		} else if told {
			continue
		}
		count, cpu, rss := handled.Load(), cpuNs(), rssKib()
		switch word {
		case "mark":
			err = say(line{Event: "mark", Handled: &count, CPUNs: &cpu})
		case "memory":
			err = say(line{Event: "memory", RSSKib: &rss})
		case "counts":
			err = say(line{Event: "counts", counts: countsOf(status())})
		default:
			err = fmt.Errorf("unknown word: %s", word)
		}
		if err != nil {
			return err
		}
	}
}

func countsOf(status service.ServerStatus) *counts {
	h, c, e := status.Handshakes, status.Calls, status.Ended
	return &counts{
		RefusedHandshakes: h.Busy + h.AuthFailed + h.Incompatible + h.LimitExceeded + h.Malformed + h.TimedOut +
			h.Displaced,
		AuthFailed:       h.AuthFailed,
		DeclinedRequests: c.Unsupported + c.BadEnvelope + c.LimitExceeded + c.InternalError,
		EndedSessions:    e.Answered + e.Violated + e.ChunkGap + e.NotRead + e.Failed,
	}
}

func start(o *options) (stop func() error, status func() service.ServerStatus, err error) {
	endpoint, err := o.endpoint()
	if err != nil {
		return nil, nil, err
	}
	if o.scenario == "ping-level1" {
		stop, err = serveByHand(o, endpoint)
		// Which counts nothing.
		return stop, func() service.ServerStatus { return service.ServerStatus{} }, err
	}
	supported, preferred := o.profiles()
	config := service.ServerConfig{
		SupportedProfiles: supported, PreferredProfiles: preferred, WorkerCount: o.workers,
		MaxSessions: o.clients + spareSessions,
	}
	server, err := bind(o, endpoint, config)
	if err != nil {
		return nil, nil, err
	}
	return server.Stop, server.Status, server.Start()
}

func bind(o *options, endpoint service.Endpoint, config service.ServerConfig) (*service.Server, error) {
	switch o.scenario {
	case "reverse", "reverse-batch", "pipeline-reverse":
		return stringreverse.NewServer(endpoint, config, o.reverse)
	case "snapshot", "snapshot-changing", "fetch", "cache", "cache-load", "pipeline-snapshot":
		return cgroupssnapshot.NewServer(endpoint, config, o.snapshot())
	case "cgroups-lookup", "pipeline-cgroups-lookup":
		return cgroupslookup.NewServer(endpoint, config, o.cgroups())
	case "apps-lookup", "pipeline-apps-lookup":
		return appslookup.NewServer(endpoint, config, o.apps())
	case "asn-lookup", "pipeline-asn-lookup":
		return iptoasn.NewServer(endpoint, config, o.asns())
	}
	return increment.NewServer(endpoint, config, o.increment)
}

// isWrong counts a request, and tells whether its answer is to be wrong.
func (o *options) isWrong() bool { return handled.Add(1) > o.wrongAfter }

func (o *options) generation() uint64 {
	if o.isWrong() {
		return o.current + 1
	}
	return o.current
}

func (o *options) increment(_ *service.Context, request increment.RequestView, response *increment.ResponseBuilder) error {
	step := uint64(1)
	if o.isWrong() {
		step = 2
	}
	response.Value(request.Value() + step)
	return nil
}

// reversed is memory for strings.
var reversed = sync.Pool{New: func() any { return new([]byte) }}

func (o *options) reverse(_ *service.Context, request stringreverse.RequestView, response *stringreverse.ResponseBuilder) error {
	text := reversed.Get().(*[]byte)
	defer reversed.Put(text)
	*text = append((*text)[:0], request.Bytes()...)
	// Where it is to be wrong, it is not reversed.
	if !o.isWrong() {
		slices.Reverse(*text)
	}
	_, err := response.BytesBytes(*text).Finish()
	return err
}

func (o *options) snapshot() cgroupssnapshot.Handler {
	all := groups(o.items)
	var last atomic.Uint64
	last.Store(o.current - 1)
	return func(_ *service.Context, _ cgroupssnapshot.RequestView, response *cgroupssnapshot.ResponseBuilder) error {
		if o.scenario == "snapshot-changing" {
			now := uint64(0)
			if !o.isWrong() {
				now = last.Add(1)
			}
			response.Generation(now)
		} else {
			response.Generation(o.generation())
		}
		response.SystemdEnabled(1)
		for i := range all {
			g := &all[i]
			err := response.Item().Hash(g.hash).Options(g.options).Enabled(g.enabled).Name(g.name).Path(g.path).Finish()
			if err != nil {
				return err
			}
		}
		return nil
	}
}

func (o *options) cgroups() cgroupslookup.Handler {
	answer := answerCgroups(things(o.items, o.mix, o.bytes), labels(o.mix))
	return func(_ *service.Context, request cgroupslookup.RequestView, response *cgroupslookup.ResponseBuilder) error {
		response.Generation(o.generation())
		return answer(request, response)
	}
}

// answerCgroups answers every key, as a provider with a table does.
func answerCgroups(all []thing, with []payload.Label) func(cgroupslookup.RequestView, *cgroupslookup.ResponseBuilder) error {
	return func(request cgroupslookup.RequestView, response *cgroupslookup.ResponseBuilder) error {
		for path := range request.Keys() {
			var err error
			if t := ofPath(all, path); t != nil {
				err = response.Known(path).Orchestrator(cgroupslookup.OrchestratorDocker).Name(t.name).Labels(with...).Finish()
			} else {
				err = response.UnknownPermanent(path)
			}
			if err != nil {
				return err
			}
			if response.Full() {
				break
			}
		}
		return nil
	}
}

func (o *options) apps() appslookup.Handler {
	answer := answerApps(things(o.items, o.mix, o.bytes), labels(o.mix))
	return func(_ *service.Context, request appslookup.RequestView, response *appslookup.ResponseBuilder) error {
		response.Generation(o.generation())
		return answer(request, response)
	}
}

// answerApps answers every key, as a provider with a table does.
func answerApps(all []thing, with []payload.Label) func(appslookup.RequestView, *appslookup.ResponseBuilder) error {
	return func(request appslookup.RequestView, response *appslookup.ResponseBuilder) error {
		for pid := range request.Keys() {
			var err error
			if t := ofPID(all, pid); t != nil {
				err = response.Known(pid).Orchestrator(appslookup.OrchestratorDocker).PPID(1).UID(pid).
					Starttime(uint64(pid)).Comm(t.comm).CgroupPath(t.path).CgroupName(t.name).Labels(with...).Finish()
			} else {
				err = response.Unknown(pid)
			}
			if err != nil {
				return err
			}
			if response.Full() {
				break
			}
		}
		return nil
	}
}

// asns answers every address, as a provider with a table does: a system's number is the thing's pid, and its
// name the thing's.
func (o *options) asns() iptoasn.Handler {
	all := things(o.items, o.mix, o.bytes)
	return func(_ *service.Context, request iptoasn.RequestView, response *iptoasn.ResponseBuilder) error {
		response.Generation(o.generation())
		for ip := range request.Keys() {
			var err error
			if t := ofIP(all, ip); t != nil {
				err = response.Known(ip).ASN(t.pid).AsName(t.name).Country(country).Finish()
			} else {
				err = response.Unknown(ip)
			}
			if err != nil {
				return err
			}
			if response.Full() {
				break
			}
		}
		return nil
	}
}

// serveByHand serves increments by sessions and listeners: a goroutine a session, which receives and sends.
func serveByHand(o *options, endpoint service.Endpoint) (func() error, error) {
	supported, preferred := o.profiles()
	listener, err := transport.Listen(endpoint, &transport.ListenerConfig{
		SupportedProfiles: supported, PreferredProfiles: preferred,
		MaxRequestPayloadBytes: batchBytes, ResponsePayloadBytes: batchBytes,
	})
	if err != nil {
		return nil, err
	}
	go func() {
		for {
			session, err := listener.Accept(transport.Wait{})
			if err != nil {
				return
			}
			go func() {
				if err := o.answerAll(session); err != nil {
					fmt.Fprintln(os.Stderr, "netipc-bench-driver-go: a session failed:", err)
				}
			}()
		}
	}()
	return listener.Close, nil
}

func (o *options) answerAll(session *transport.Session) error {
	defer session.Close()
	inbox := session.NewInbox()
	var answer [8]byte
	for {
		request, err := session.Receive(inbox, transport.Wait{})
		if err == transport.ErrClosed {
			return nil
		}
		if err != nil {
			return err
		}
		view, err := increment.DecodeRequest(request.Payload)
		if err != nil {
			return err
		}
		step := uint64(1)
		if o.isWrong() {
			step = 2
		}
		binary.NativeEndian.PutUint64(answer[:], view.Value()+step)
		header := protocol.ResponseHeader(&request.Header, uint32(len(answer)))
		if err := session.Send(&header, answer[:], transport.Wait{}); err != nil {
			return err
		}
	}
}
