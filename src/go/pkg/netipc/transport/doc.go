// Package transport is Level 1: the endpoint of a service, the sessions on it, and the messages between
// two peers that have agreed on terms.
//
//	 client                                   server
//	Connect ── HELLO ──▶ Listener: accept, hear, negotiate
//	   ▲                      │
//	   └──── HELLO_ACK ◀──────┴──▶ Listener.Accept
//	Session ◀──── messages ────▶ Session
//
// A session is made only by a completed handshake (spec section 4), so what it has agreed on is always
// there. It hides how messages move: over a Unix packet socket (spec section 6), or through shared
// memory (section 7).
//
// Calls that wait take a [Wait]: a deadline, and what ends them earlier. A goroutine that waits on a
// socket for longer than moments costs no thread; on Windows that is so for a server's sessions alone.
//
// What this package does not do: it chooses no message ids, knows no method, decodes no payload, and
// never reconnects. [Pipeline] matches answers with requests, for clients that want that. The client's
// side starts no goroutine.
//
// On platforms other than Linux and Windows everything builds, and Connect and Listen fail with [ErrUnsupported].
package transport
