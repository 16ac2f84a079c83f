package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/netipc/netipc/src/go/pkg/netipc/protocol"
	"github.com/netipc/netipc/src/go/pkg/netipc/service"
	"github.com/netipc/netipc/src/go/pkg/netipc/stringreverse"
	"github.com/netipc/netipc/src/go/pkg/netipc/transport"
)

const (
	// numberBytes: a string has at least its number.
	numberBytes = 8
	// noSessionPauseNs follows a refresh that gave no session: who serves may be about to.
	noSessionPauseNs = uint64(time.Millisecond)
)

// endured is what came of the calls of a client that endures: tests/faults/README.md.
type endured struct {
	Right     uint64 `json:"right"`
	Wrong     uint64 `json:"wrong"`
	Broken    uint64 `json:"broken"`
	Failed    uint64 `json:"failed"`
	Refused   uint64 `json:"refused"`
	LongestNs uint64 `json:"longest_ns"`
	TookNs    uint64 `json:"took_ns"`
	Shared    bool   `json:"shared"`
	Reason    string `json:"reason"`
}

func (e *endured) missed() uint64 { return e.Failed + e.Refused }

// board is what the caller has come to, and what it was told.
type board struct {
	sync.Mutex
	changed sync.Cond
	told    endured
	// Calls begun, the last that returned, and the last that was answered rightly.
	begun, returned, lastRight uint64
	// holds: it is to pause; held: it does; closes: it is to close its session.
	holds, held, closes bool
}

// until waits, under the lock, until the board is so.
func (b *board) until(done func() bool) {
	for !done() {
		b.changed.Wait()
	}
}

// change changes the board, and says so.
func (b *board) change(change func()) {
	b.Lock()
	defer b.Unlock()
	change()
	b.changed.Broadcast()
}

// endure calls on and on, whatever becomes of its server, while its runner does harm. A failed call is counted,
// and never ends it; an answer that is wrong is counted, too, and a peer that broke the contract, each by itself,
// for the runner to judge.
func endure(o *options) error {
	// The runtime makes its poller with the first pipe: where it can have none it ends the process, which is to
	// be seen as a start that failed.
	read, write, err := os.Pipe()
	if err != nil {
		return err
	}
	_, _ = read.Close(), write.Close()
	endpoint, err := o.endpoint()
	if err != nil {
		return err
	}
	config := o.clientConfig()
	config.CallTimeout = time.Duration(o.timeoutMs) * time.Millisecond
	client := stringreverse.NewClient(endpoint, config)
	abort := client.Abort()
	b := &board{}
	b.changed.L = b
	if err := say(line{Event: "ready"}); err != nil {
		return err
	}
	go b.callOn(client, o)
	for {
		word, more := hear()
		if !more {
			return nil
		}
		if told, err := dies(word); err != nil {
			return err
		} else if told {
			continue
		}
		if err := b.obey(word, abort); err != nil {
			return err
		}
	}
}

// obey does what the runner says, and tells when it is done.
func (b *board) obey(word string, abort *transport.Abort) error {
	start := time.Now()
	b.Lock()
	begun, missed := b.begun, b.told.missed()
	switch word {
	case "tell":
	case "next":
		b.until(func() bool { return b.lastRight > begun })
	case "miss":
		b.until(func() bool { return b.told.missed() > missed })
	case "hold":
		b.holds = true
		b.changed.Broadcast()
		b.until(func() bool { return b.held })
	case "go":
		b.holds = false
		b.changed.Broadcast()
		b.until(func() bool { return !b.held })
	case "close":
		b.closes = true
		b.changed.Broadcast()
		b.until(func() bool { return !b.closes })
	case "abort":
		b.Unlock()
		abort.Trigger()
		b.Lock()
		b.until(func() bool { return b.returned >= begun })
		abort.Clear()
	default:
		b.Unlock()
		return fmt.Errorf("unknown word: %s", word)
	}
	told := b.told
	told.TookNs = uint64(time.Since(start))
	b.told.LongestNs = 0
	b.Unlock()
	return say(line{Event: "endured", endured: &told})
}

// callOn calls again and again.
func (b *board) callOn(client *stringreverse.Client, o *options) {
	text := make([]byte, max(o.bytes, numberBytes))
	for {
		b.Lock()
		if b.closes {
			client.Close()
			b.closes = false
		}
		b.held = b.holds
		b.changed.Broadcast()
		b.until(func() bool { return !b.holds || b.closes })
		if b.closes {
			b.Unlock()
			continue
		}
		b.held = false
		b.changed.Broadcast()
		b.begun++
		number := b.begun
		b.Unlock()
		pause := noSessionPauseNs
		if b.attempt(client, text, number) {
			pause = o.restUs * uint64(time.Microsecond)
		}
		if pause > 0 {
			restUntil(monotonicNs() + pause)
		}
	}
}

// attempt is one call, on a session that is made for it where there is none. It answers whether there was one.
func (b *board) attempt(client *stringreverse.Client, room []byte, number uint64) bool {
	start := time.Now()
	if !client.Ready() {
		client.Refresh(background)
	}
	if !client.Ready() {
		reason := client.Status().Reason
		took := uint64(time.Since(start))
		b.change(func() {
			b.returned = number
			b.told.Refused++
			b.told.LongestNs = max(b.told.LongestNs, took)
			if reason != nil {
				b.told.Reason = reason.Error()
			}
		})
		return false
	}
	text := enduranceText(room, number)
	start = time.Now()
	answer, err := client.Call(background, stringreverse.Request{Bytes: string(text)})
	took := uint64(time.Since(start))
	var failure *service.CallError
	isRight := err == nil && isReversed(answer.Bytes(), text)
	if err == nil && !isRight {
		err = fmt.Errorf("wrong answer to %d", number)
	}
	// Also an error that no call may end with.
	isWrong := err != nil && !errors.As(err, &failure)
	session := client.Status().Session
	b.change(func() {
		b.returned = number
		b.told.LongestNs = max(b.told.LongestNs, took)
		if session != nil {
			b.told.Shared = session.Terms.Profile != protocol.ProfileBaseline
		}
		switch {
		case isRight:
			b.told.Right++
			b.lastRight = number
		case isWrong:
			b.told.Wrong++
			b.told.Reason = err.Error()
		case failure.Kind == service.KindViolation:
			b.told.Broken++
			b.told.Reason = err.Error()
		default:
			b.told.Failed++
			b.told.Reason = err.Error()
		}
	})
	return true
}

// enduranceText is a string for each number, of a length and content of its own.
func enduranceText(room []byte, number uint64) []byte {
	lengths := uint64(len(room) - numberBytes + 1)
	text := room[:numberBytes+int(number%lengths)]
	for i := range text {
		text[i] = byte(number)*31 + byte(i)
	}
	binary.BigEndian.PutUint64(text, number)
	return text
}

func isReversed(answer, text []byte) bool {
	if len(answer) != len(text) {
		return false
	}
	for i, b := range answer {
		if b != text[len(text)-1-i] {
			return false
		}
	}
	return true
}
