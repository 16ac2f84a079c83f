package transport

import "github.com/netipc/netipc/src/go/pkg/netipc/protocol"

// Pipeline is a client's session with many requests in flight, their answers taken in any order (spec
// section 1). Each carries a T, which comes back with its answer. The caller chooses the message ids.
//
// Mind the room: a server that waits until its answers are read reads no more requests. So a caller that
// submits more than the sockets hold must receive in between, or in its deadline's time be told that the
// peer does not read.
//
// One goroutine uses it at a time.
type Pipeline[T any] struct {
	session  *Session
	inbox    *Inbox
	inFlight *protocol.InFlight[T]
}

// NewPipeline holds at most capacity requests in flight: at least 1, and no more than
// [Session.InFlightLimit]. Memory for as many is taken at once.
func NewPipeline[T any](session *Session, capacity int) *Pipeline[T] {
	return &Pipeline[T]{
		session:  session,
		inbox:    session.NewInbox(),
		inFlight: protocol.NewInFlight[T](min(capacity, session.InFlightLimit())),
	}
}

// Session is the session underneath. Messages sent on it directly are none of the pipeline's.
func (p *Pipeline[T]) Session() *Session { return p.session }

// InFlight counts the requests in flight.
func (p *Pipeline[T]) InFlight() int { return p.inFlight.Len() }

// Submit sends a request, and keeps value until its answer comes. The errors are [ErrInFlight],
// [ErrDuplicateID] and those of [Session.Send]; the request is not in flight then.
func (p *Pipeline[T]) Submit(request *protocol.Header, payload []byte, value T, wait Wait) error {
	if err := p.inFlight.Insert(request.MessageID, value); err != nil {
		return err
	}
	if err := p.session.Send(request, payload, wait); err != nil {
		p.inFlight.Take(request.MessageID)
		return err
	}
	return nil
}

// Receive receives the next answer, whichever it is; its payload lies here until the next call. The
// errors are those of [Session.Receive], and [UnknownIDError]: an answer to nothing in flight ends the
// session.
func (p *Pipeline[T]) Receive(wait Wait) (T, protocol.Message, error) {
	var none T
	message, err := p.session.Receive(p.inbox, wait)
	if err != nil {
		return none, protocol.Message{}, err
	}
	value, found := p.inFlight.Take(message.Header.MessageID)
	if !found {
		return none, protocol.Message{}, p.inbox.end(&UnknownIDError{MessageID: message.Header.MessageID})
	}
	return value, message, nil
}

// Abandon takes all that is in flight, in no order: when the session has ended, nobody answers it.
func (p *Pipeline[T]) Abandon(each func(messageID uint64, value T)) { p.inFlight.Drain(each) }
