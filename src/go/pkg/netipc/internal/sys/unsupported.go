//go:build !linux && !windows

package sys

import "time"

// The names of a platform that has no transport yet: it builds, and every construction fails with
// [ErrUnsupported]. Nothing else here can be reached, since there is nothing to call it on.

// OwnFamily is this platform's.
const OwnFamily = FamilyNone

// PacketChannel cannot be made here.
type PacketChannel struct{}

// Connect fails with [ErrUnsupported].
func Connect(string, *Wait) (*PacketChannel, error) { return nil, ErrUnsupported }

// Send fails with [ErrUnsupported].
func (*PacketChannel) Send([]byte, []byte, *Wait) error { return ErrUnsupported }

// TrySend fails with [ErrUnsupported].
func (*PacketChannel) TrySend([]byte, []byte) (bool, error) { return false, ErrUnsupported }

// Recv fails with [ErrUnsupported].
func (*PacketChannel) Recv([]byte, *Wait) (int, error) { return 0, ErrUnsupported }

// TryRecv fails with [ErrUnsupported].
func (*PacketChannel) TryRecv([]byte) (int, error) { return 0, ErrUnsupported }

// WaitReadable fails with [ErrUnsupported].
func (*PacketChannel) WaitReadable(*Wait) error { return ErrUnsupported }

// SpinAtMost does nothing.
func (*PacketChannel) SpinAtMost(time.Duration) {}

// PeerGone fails with [ErrUnsupported].
func (*PacketChannel) PeerGone() (bool, error) { return true, ErrUnsupported }

// Peer fails with [ErrUnsupported].
func (*PacketChannel) Peer() (PeerIdentity, error) { return PeerIdentity{}, ErrUnsupported }

// MaxPacketSize fails with [ErrUnsupported].
func (*PacketChannel) MaxPacketSize() (int, error) { return 0, ErrUnsupported }

// FinishSending does nothing.
func (*PacketChannel) FinishSending() {}

// Shutdown does nothing.
func (*PacketChannel) Shutdown() {}

// Close does nothing.
func (*PacketChannel) Close() error { return nil }

// InspectEndpoint fails with [ErrUnsupported].
func InspectEndpoint(string) (Inspection, error) { return Inspection{}, ErrUnsupported }

// Listener cannot be made here.
type Listener struct{}

// Bind fails with [ErrUnsupported].
func Bind(string, *BindOptions) (*Listener, error) { return nil, ErrUnsupported }

// Accept fails with [ErrUnsupported].
func (*Listener) Accept(*Wait) (Accepted, error) { return Accepted{}, ErrUnsupported }

// Close does nothing.
func (*Listener) Close() error { return nil }

func hostNow() int64 { return now() }

func severalCPUs() bool { return false }

func yieldCPU() {}

// RegionsTellOfClose: there are none.
const RegionsTellOfClose = false

// RegionChannel cannot be made here.
type RegionChannel struct{}

// CreateRegion fails with [ErrUnsupported].
func CreateRegion(RegionName, RegionSizes) (*RegionChannel, error) { return nil, ErrUnsupported }

// AttachRegion fails with [ErrUnsupported].
func AttachRegion(RegionName, RegionSizes, uint32, *PacketChannel, *Wait) (*RegionChannel, error) {
	return nil, ErrUnsupported
}

// RemoveStaleRegions fails with [ErrUnsupported].
func RemoveStaleRegions(string, func(string) bool) (int, error) { return 0, ErrUnsupported }

// SpinAtMost does nothing.
func (*RegionChannel) SpinAtMost(time.Duration) {}

// Bytes is nothing.
func (*RegionChannel) Bytes() uint64 { return 0 }

// Send fails with [ErrUnsupported].
func (*RegionChannel) Send([]byte, []byte) error { return ErrUnsupported }

// TryReceive fails with [ErrUnsupported].
func (*RegionChannel) TryReceive(Room) (int, error) { return 0, ErrUnsupported }

// Receive fails with [ErrUnsupported].
func (*RegionChannel) Receive(Room, *PacketChannel, *Wait) (int, error) { return 0, ErrUnsupported }

// Wait fails with [ErrUnsupported].
func (*RegionChannel) Wait(*PacketChannel, *Wait) error { return ErrUnsupported }

// End does nothing.
func (*RegionChannel) End() {}

// Close does nothing.
func (*RegionChannel) Close() {}
