package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/netipc/netipc/src/go/pkg/netipc/protocol"
	"github.com/netipc/netipc/src/go/pkg/netipc/transport"
)

// A client's way to its server: the session it has, or why it has none and when it tries again.
//
//	refresh ──▶ connect ──▶ proposals, hint ──▶ transport.Connect ──▶ Ready
//	               ▲                                  │ what was met
//	call, recovery ┘               protocol.Retry ◀───┘
//
// What is decided, package protocol decides; here it is put into effect. Requests and answers are the
// engine's.
type link struct {
	endpoint    Endpoint
	config      ClientConfig
	environment environment
	abort       transport.Abort
	retry       protocol.Retry
	nextTry     protocol.NextTry
	proposals   protocol.RequestProposals
	hint        protocol.ResponseHint
	shared      sharedMemory
	state       protocol.ClientState
	reason      error
	counters    ClientCounters

	// The session, nil when there is none, and what the client knows of it.
	session *transport.Session
	inbox   *transport.Inbox
	// lastID is the id of the last request; they count from 1.
	lastID uint64
	// answered tells whether anything was answered on it.
	answered bool
	// notShared is why it was offered no shared memory, if it was not.
	notShared error
}

// environment is time and chance, as [protocol.Retry] wants them. Deadlines of calls are not its affair.
type environment struct {
	// nowMs is milliseconds of a clock that does not go back.
	nowMs func() uint64
	// random is a number that others cannot guess, so that clients of one server spread.
	random func() uint64
}

// clockStart is when the clock of back-offs started: that of the program, at the latest.
var clockStart = time.Now()

func systemEnvironment() environment {
	return environment{
		nowMs:  func() uint64 { return uint64(time.Since(clockStart).Milliseconds()) },
		random: rand.Uint64,
	}
}

var (
	// errLeft is the reason for a session that a refresh found gone.
	errLeft = errors.New("the server closed the session")
	// errClosedHere is the reason for a session that was closed on purpose.
	errClosedHere = errors.New("closed by this side")
	// errRequestTooLarge: the server refuses the request that needed more than usual.
	errRequestTooLarge = errors.New("the server refuses the longer request")
)

func (l *link) init(endpoint Endpoint, config ClientConfig) {
	l.endpoint, l.config, l.environment = endpoint, config, systemEnvironment()
	l.proposals = protocol.NewRequestProposals(config.MaxRequestPayloadBytes, config.MaxRequestBatchItems)
	l.hint = protocol.NewResponseHint(config.MaxResponsePayloadBytes)
}

// refresh looks whether the session is still there, or tries to get one if it is time to.
func (l *link) refresh(ctx context.Context) bool {
	stateBefore, connectsBefore := l.state, l.counters.Connects
	if l.session != nil {
		gone, err := l.session.PeerGone()
		switch {
		case err != nil:
			l.lost(err)
		case gone:
			l.lost(errLeft)
		default:
			return false
		}
	}
	if l.mayTry() {
		timeout := min(ConnectTimeout, l.config.CallTimeout)
		// What went wrong is in the state and its reason.
		_ = l.connect(l.wait(ctx, transport.After(timeout)))
	}
	return l.state != stateBefore || l.counters.Connects != connectsBefore
}

// wait is until when a call with this context may wait.
func (l *link) wait(ctx context.Context, deadline transport.Deadline) transport.Wait {
	if at, ok := ctx.Deadline(); ok {
		deadline = deadline.Earlier(transport.At(at))
	}
	return transport.Wait{Deadline: deadline, Abort: &l.abort, Done: ctx.Done()}
}

// mayTry tells whether the back-off lets this client connect.
func (l *link) mayTry() bool { return l.retry.MayTry(l.environment.nowMs()) }

// connect gets a session in place of the one there is, if any. Limits that are refused, and may be lower,
// are proposed lower at once; shared memory that cannot be used is not offered again. It fails with
// errRequestTooLarge, and otherwise with what it met.
func (l *link) connect(wait transport.Wait) error {
	l.drop()
	before := l.state
	if before == protocol.StateReady {
		before = protocol.StateBroken
	}
	l.state = protocol.StateConnecting
	for {
		notShared := l.shared.whyNot(l.environment.nowMs())
		session, err := transport.Connect(l.endpoint, l.proposal(), wait)
		if err == nil {
			l.connected(session, notShared)
			return nil
		}
		l.counters.FailedConnects++
		if l.offersOtherwise(err, notShared) {
			continue
		}
		after := protocol.RefusedGiveUp
		if isRefusal(err, protocol.StatusLimitExceeded) {
			after = l.proposals.Refused()
		}
		if after == protocol.RefusedProposeAgain {
			continue
		}
		l.proposals.ForgetNeed()
		if met, learnt := transport.MetBy(err); learnt {
			l.met(met)
		} else {
			// This side aborted: nothing was learnt of the server.
			l.state = before
		}
		l.reason = err
		l.log(slog.LevelInfo, "no session", slog.Any("error", err), slog.String("state", l.state.String()))
		if after == protocol.RefusedTooLarge {
			return errRequestTooLarge
		}
		return err
	}
}

// offersOtherwise tells whether, after a connection that failed with err, another set of profiles is offered at
// once.
func (l *link) offersOtherwise(err, notShared error) bool {
	var unusable *transport.SharedMemoryError
	switch {
	case errors.As(err, &unusable) && !errors.Is(err, ErrAborted):
		if unusable.Vanished {
			l.shared.cameToNothing()
			return false
		}
		// The session was granted: what fails is its shared memory. Offered no more for a while, so that this
		// is tried once.
		l.shared.failed(err, l.environment.nowMs())
		return true
	case notShared == errFruitless && isRefusal(err, protocol.StatusUnsupported):
		// This server takes nothing else. Offered again, so that this is tried once.
		l.shared.rowEnded()
		return true
	}
	return false
}

// isRefusal tells whether the server refused by this status.
func isRefusal(err error, status protocol.Status) bool {
	var refusal *protocol.Refusal
	return errors.As(err, &refusal) && refusal.Kind == protocol.RefusalRejected && refusal.Status == status
}

func (l *link) proposal() *transport.Proposal {
	c := &l.config
	return &transport.Proposal{
		SupportedProfiles:    l.shared.offer(c.SupportedProfiles, l.environment.nowMs()),
		PreferredProfiles:    c.PreferredProfiles,
		Request:              l.proposals.Limits(),
		ResponseHint:         protocol.Limits{PayloadBytes: l.hint.Bytes(), BatchItems: c.MaxResponseBatchItems},
		ResponseCeilingBytes: l.hint.Ceiling(),
		AuthToken:            c.AuthToken,
	}
}

func (l *link) connected(session *transport.Session, notShared error) {
	l.proposals.Accepted()
	if session.Terms().Profile.IsSharedMemory() {
		l.shared.works()
	} else {
		l.shared.rowEnded()
	}
	l.session, l.inbox = session, session.NewInbox()
	l.lastID, l.answered, l.notShared = 0, false, notShared
	l.state, l.nextTry, l.reason = protocol.StateReady, protocol.NextTryAtOnce, nil
	l.counters.Connects++
	l.log(slog.LevelDebug, "session", slog.Uint64("id", session.ID()),
		slog.String("profile", session.Terms().Profile.String()))
}

func (l *link) met(met protocol.Met) {
	verdict := l.retry.Met(met, l.environment.nowMs(), l.environment.random())
	l.state, l.nextTry = verdict.State, verdict.NextTry
}

// nextHeader is the header of the next request, of items items.
func (l *link) nextHeader(method uint16, payloadLen uint32, items items) protocol.Header {
	l.lastID++
	header := protocol.RequestHeader(method, l.lastID, payloadLen)
	if items.batch {
		return header.BatchOf(items.count)
	}
	return header
}

// gotAnswer notes that an answer came on the session.
func (l *link) gotAnswer() {
	if l.session != nil && !l.answered {
		l.answered = true
		l.retry.Answered()
		l.shared.rowEnded()
	}
}

// lost notes that a Ready session has ended, for this reason.
func (l *link) lost(reason error) {
	if l.session == nil {
		return
	}
	left := reason == errLeft || errors.Is(reason, ErrPeerGone)
	// A session that was asked nothing tells nothing of a server that is full: its provider may just
	// have been restarted.
	askedInVain := l.lastID > 0 && !l.answered
	if askedInVain && (left || isBreach(reason)) && l.session.Terms().Profile.IsSharedMemory() {
		l.shared.cameToNothing()
	}
	l.drop()
	met := protocol.Met{What: protocol.MetSessionLost}
	if left && askedInVain {
		met.What = protocol.MetClosedEarly
	}
	l.met(met)
	l.reason = reason
	l.log(slog.LevelInfo, "session lost", slog.Any("error", reason))
}

// drop closes the session. Its inbox stays: the last answer lies there.
func (l *link) drop() {
	if l.session != nil {
		// The peer gets what was sent; nothing else can go wrong.
		_ = l.session.Close()
		l.session = nil
	}
}

// close ends the session because the caller wants so.
func (l *link) close() {
	if l.session != nil {
		l.drop()
		l.state, l.reason = protocol.StateDisconnected, errClosedHere
	}
	l.inbox = nil
}

// callFailed counts a failed call. Where its session goes on, it is the reason to show; else that is
// known.
func (l *link) callFailed(err *CallError) {
	l.counters.Errors[err.Kind]++
	if l.session != nil {
		l.reason = err
	}
}

func (l *link) status() ClientStatus {
	status := ClientStatus{State: l.state, Reason: l.reason, NextTry: l.nextTry, Counters: l.counters}
	if l.reason != nil && l.nextTry == protocol.NextTryBusy {
		status.Reason = fmt.Errorf("busy: %w", l.reason)
	}
	if at, waits := l.retry.RetryAtMs(); waits {
		if now := l.environment.nowMs(); at > now {
			status.RetryIn = time.Duration(at-now) * time.Millisecond
		}
	}
	if l.session != nil {
		terms := *l.session.Terms()
		server := l.session.ServerSupported()
		status.Session = &SessionStatus{
			ID:              l.session.ID(),
			Terms:           terms,
			ProfileReason:   profileReason(terms.Profile, l.config.SupportedProfiles, server, l.notShared),
			ServerSupported: server,
			Peer:            l.session.Peer(),
		}
	}
	return status
}

func (l *link) log(level slog.Level, message string, attributes ...slog.Attr) {
	logger := l.config.Logger
	if logger == nil || !logger.Enabled(context.Background(), level) {
		return
	}
	logger.LogAttrs(context.Background(), level, "netipc client: "+message,
		append(attributes, slog.String("endpoint", l.endpoint.String()))...)
}
