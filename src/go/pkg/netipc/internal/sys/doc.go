// Package sys is the operating system under netipc: everything that is a system call, and nothing that
// is the protocol.
//
//	transport:  sessions, listeners
//	   |
//	internal/sys, the same names on every platform
//	   |-- Connect, PacketChannel        one packet out, one packet in (spec section 6)
//	   |-- Listener, InspectEndpoint     who owns an endpoint's name, and who may take it
//	   |-- Deadline, Abort, Wait         until when a call waits, and what ends it earlier
//	   |-- waiting                       when to spin, when to sleep, and how
//
// Files whose names end in _linux and _windows hold the two platforms that there are, and the others what both
// share; elsewhere every construction fails with [ErrUnsupported]. Code that is unsafe stands in files whose
// names end in _unsafe.go.
//
// Rules that hold for everything here:
//
//   - Every descriptor is close-on-exec, and no handle is inherited.
//   - Every call that waits takes a [Wait], tries its system call first, and sleeps only when there is
//     nothing to do. A sleeping goroutine is parked with Go's poller and costs no thread, but for the
//     few that waiting_linux.go names; on Windows, a server's at a completion port (port_windows.go).
//   - Sending and receiving allocate nothing.
//   - Errors name the operation and what the system said, and never carry bytes of a peer.
//
// What this package does not do: it knows no header, no handshake, no session, no token, no retry,
// starts no goroutine (but that of the completion port, in a process that listens) and reads no environment
// variable.
package sys
