//go:build linux || windows

package transport

import (
	"sync"
	"testing"

	"github.com/netipc/netipc/src/go/pkg/netipc/protocol"
)

// overBoth runs a test with sessions over each transport.
func overBoth(t *testing.T, test func(t *testing.T, client, server *Session)) {
	t.Helper()
	t.Run("packets", func(t *testing.T) {
		client, server := pair(t, wideListener(), Proposal{Request: protocol.Limits{PayloadBytes: 65536, BatchItems: 10}})
		test(t, client, server)
	})
	t.Run("shared memory", func(t *testing.T) {
		client, server := sharedPair(t)
		test(t, client, server)
	})
}

// What this side has closed says so, whichever side it is, and whatever moves the messages.
func TestASessionThatThisSideClosedSaysSo(t *testing.T) {
	overBoth(t, func(t *testing.T, client, server *Session) {
		for name, session := range map[string]*Session{"client": client, "server": server} {
			inbox := session.NewInbox()
			for range 2 {
				if err := session.Close(); err != nil {
					t.Errorf("%s: closing: %v", name, err)
				}
			}
			header := protocol.RequestHeader(protocol.MethodIncrement, 1, 8)
			if session == server {
				header = protocol.ResponseHeader(&header, 8)
			}
			if err := session.Send(&header, make([]byte, 8), within(soon)); err != ErrClosed {
				t.Errorf("%s: sending: %v", name, err)
			}
			if _, err := session.Receive(inbox, within(soon)); err != ErrClosed {
				t.Errorf("%s: receiving: %v", name, err)
			}
			if _, _, err := session.TryReceive(session.NewInbox()); err != ErrClosed {
				t.Errorf("%s: trying to receive: %v", name, err)
			}
			if err := session.WaitReadable(within(soon)); err != ErrClosed {
				t.Errorf("%s: waiting: %v", name, err)
			}
			session.Shutdown()
			if _, err := session.Drain(within(soon)); err != nil {
				t.Errorf("%s: draining: %v", name, err)
			}
		}
	})
}

// Whoever waits returns when its own side closes, or ends, the session.
func TestEverybodyWhoWaitsReturnsWhenTheirSideCloses(t *testing.T) {
	for name, end := range map[string]func(*Session){
		"close": func(s *Session) { _ = s.Close() }, "shut down": (*Session).Shutdown,
	} {
		t.Run(name, func(t *testing.T) {
			overBoth(t, func(t *testing.T, client, server *Session) {
				for _, session := range []*Session{client, server} {
					var all sync.WaitGroup
					all.Add(3)
					begun := make(chan struct{}, 3)
					go func() {
						defer all.Done()
						begun <- struct{}{}
						inbox, err := session.NewInbox(), error(nil)
						for err == nil {
							// What the other one sent before comes first.
							_, err = session.Receive(inbox, within(soon))
						}
						if err == ErrTimedOut {
							t.Error("receiving waited in vain")
						}
					}()
					// One waits for room, and the other for its turn.
					for range 2 {
						go func() {
							defer all.Done()
							begun <- struct{}{}
							header := protocol.RequestHeader(protocol.MethodIncrement, 1, 60_000)
							if session == server {
								header = protocol.ResponseHeader(&header, 60_000)
							}
							for {
								if err := session.Send(&header, make([]byte, 60_000), within(soon)); err != nil {
									if err == ErrTimedOut {
										t.Error("sending waited in vain")
									}
									return
								}
							}
						}()
					}
					for range 3 {
						<-begun
					}
					end(session)
					all.Wait()
				}
			})
		})
	}
}
