package transport

import (
	"errors"
	"sync/atomic"

	"github.com/netipc/netipc/src/go/pkg/netipc/internal/sys"
	"github.com/netipc/netipc/src/go/pkg/netipc/protocol"
)

// DefaultRegionBytes is the shared memory of all sessions of a listener, unless configured; beyond it,
// sessions get the baseline.
const DefaultRegionBytes uint64 = 64 << 20

// idsPerHandshake is how many ids one handshake tries, where live sessions of an earlier server still
// have regions: more than a server usually has sessions; the next handshake goes on from there.
const idsPerHandshake = 256

// errRegionBudget: the sessions of this listener have all the shared memory that they may have.
var errRegionBudget = errors.New("the sessions of this server have all the shared memory that they may have")

// regions makes the regions of one endpoint: before they are promised, within a budget (spec section 4,
// step 9). What cannot be made costs nobody a session: the client gets the baseline, or is told BUSY
// where it offers nothing else.
type regions struct {
	endpoint Endpoint
	// token is in the names of regions on Windows.
	token uint64
	most  uint64
	used  atomic.Uint64
}

// prepared is what was agreed, and a region where that needs one.
type prepared struct {
	offer     protocol.Agreed
	sessionID uint64
	channel   *sys.RegionChannel
	// fallback is why the session has no region although it was to have one.
	fallback error
}

// regionSizes are how long the messages of a session may be (spec section 7).
func regionSizes(terms *protocol.Terms) sys.RegionSizes {
	return sys.RegionSizes{
		RequestBytes:  protocol.HeaderLen + uint64(terms.Request.PayloadBytes),
		ResponseBytes: protocol.HeaderLen + uint64(terms.Response.PayloadBytes),
	}
}

// regionName is where the region of a session is found (spec section 5).
func regionName(endpoint Endpoint, token uint64, profile protocol.Profile, sessionID uint64) (sys.RegionName, error) {
	if sys.OwnFamily != sys.FamilyWindows {
		path, err := protocol.RegionPath(endpoint.runDir, endpoint.service, sessionID)
		return sys.RegionName{Path: path}, err
	}
	objects := protocol.WindowsSession{
		RunDir: endpoint.runDir, Service: endpoint.service, AuthToken: token, Profile: profile, SessionID: sessionID,
	}
	name := sys.RegionName{Profile: uint32(profile)}
	var err error
	if name.Mapping, err = objects.ObjectName(protocol.ObjectMapping); err != nil || profile == protocol.ProfileShmBusywait {
		return name, err
	}
	if name.RequestEvent, err = objects.ObjectName(protocol.ObjectRequestEvent); err != nil {
		return name, err
	}
	name.ResponseEvent, err = objects.ObjectName(protocol.ObjectResponseEvent)
	return name, err
}

// removeStale removes what dead servers of this service left. Whatever is left is in nobody's way: its
// name is skipped.
func (r *regions) removeStale() {
	_, _ = sys.RemoveStaleRegions(r.endpoint.runDir, func(name string) bool {
		_, isRegion := protocol.RegionSessionID(r.endpoint.service, name)
		return isRegion
	})
}

// prepare makes the region of a session that was agreed to use one, or agrees on less.
func (r *regions) prepare(offer protocol.Agreed, lastID *atomic.Uint64) (prepared, *protocol.Rejection) {
	terms := offer.Terms()
	if !terms.Profile.IsSharedMemory() {
		return prepared{offer: offer, sessionID: lastID.Add(1)}, nil
	}
	channel, id, err := r.make(&terms, lastID)
	if err == nil {
		return prepared{offer: offer, sessionID: id, channel: channel}, nil
	}
	offer, rejection := offer.WithoutSharedMemory()
	if rejection != nil {
		return prepared{}, rejection
	}
	return prepared{offer: offer, sessionID: lastID.Add(1), fallback: err}, nil
}

func (r *regions) make(terms *protocol.Terms, lastID *atomic.Uint64) (*sys.RegionChannel, uint64, error) {
	sizes := regionSizes(terms)
	bytes, ok := sizes.FileBytes()
	if !ok {
		return nil, 0, sys.ErrRegionTooLarge
	}
	if !r.takeShare(bytes) {
		return nil, 0, errRegionBudget
	}
	var err error
	for range idsPerHandshake {
		id := lastID.Add(1)
		var name sys.RegionName
		if name, err = regionName(r.endpoint, r.token, terms.Profile, id); err != nil {
			break
		}
		var channel *sys.RegionChannel
		if channel, err = sys.CreateRegion(name, sizes); err == nil {
			return channel, id, nil
		}
		if err != sys.ErrRegionTaken {
			break
		}
	}
	r.giveShare(bytes)
	return nil, 0, err
}

// takeShare takes so many bytes of the budget; false when there are not as many.
func (r *regions) takeShare(bytes uint64) bool {
	for {
		used := r.used.Load()
		if bytes > r.most-used {
			return false
		}
		if r.used.CompareAndSwap(used, used+bytes) {
			return true
		}
	}
}

func (r *regions) giveShare(bytes uint64) { r.used.Add(-bytes) }

// releaser gives a region's share of the budget back, once.
func (r *regions) releaser(channel *sys.RegionChannel) func() {
	if channel == nil {
		return func() {}
	}
	bytes := channel.Bytes()
	return func() { r.giveShare(bytes) }
}

// attach attaches to the region of a session that was just granted (spec section 7).
func attach(
	name sys.RegionName, terms *protocol.Terms, socket *sys.PacketChannel, serverUID uint32, wait *Wait,
) (*sys.RegionChannel, error) {
	channel, err := sys.AttachRegion(name, regionSizes(terms), serverUID, socket, wait)
	switch {
	case err == nil:
		return channel, nil
	case err == ErrAborted:
		return nil, err
	case err == ErrTimedOut:
		return nil, ErrSilent
	}
	failed := &SharedMemoryError{Err: err}
	var defect *sys.RegionDefect
	if errors.As(err, &defect) && defect.NotReady() {
		// Both are gone: that is a server which is full or dead, and nothing against shared memory.
		failed.Vanished, _ = socket.PeerGone()
	}
	return nil, failed
}
