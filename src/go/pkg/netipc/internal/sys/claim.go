package sys

const (
	// DefaultMode is the mode of an endpoint unless configured: its owner alone.
	DefaultMode uint32 = 0o600
	// DefaultBacklog is how many clients may wait to be accepted unless configured. The kernel caps it
	// (somaxconn).
	DefaultBacklog = 512
)

// BindOptions say how an endpoint is made.
type BindOptions struct {
	// Mode is its permission bits, exactly, whatever the umask; zero is [DefaultMode].
	Mode uint32
	// Group is its group, by id, if SetGroup. Needs membership or privilege.
	Group uint32
	// SetGroup: false leaves the group that the system gives.
	SetGroup bool
	// Backlog is how many clients may wait to be accepted; zero is [DefaultBacklog].
	Backlog uint16
}

// Accepted is a client that was accepted.
type Accepted struct {
	// Channel is its connection.
	Channel *PacketChannel
	// Overflow: it has the last descriptor. Tell it that the server is full, and close it soon: nobody
	// else is accepted until then.
	Overflow bool
}
