// Package protocol holds the bytes and the decisions of the netipc wire contract (spec/wire.md).
//
// Everything here is a function of its arguments, so all of it is tested without a socket. What this
// package does not do: no I/O, no clock, no goroutines, no unsafe code, no service of its own (codecs
// of services are generated over package payload).
//
//	bytes                              decisions
//	header   hello   batch   payload   negotiate   profile    how a session comes to be
//	chunk    names   token             call  growth  retry    what a client does next
//	                                   inflight               what waits for its answer
//
// All integers on the wire are in host byte order: peers share a host.
package protocol

import "encoding/binary"

// order is the byte order of the contract: that of the host.
var order = binary.NativeEndian
