package appslookup_test

import (
	"encoding/binary"
	"errors"
	"testing"

	"github.com/netipc/netipc/src/go/pkg/netipc/appslookup"
	"github.com/netipc/netipc/src/go/pkg/netipc/protocol"
	"github.com/netipc/netipc/src/go/pkg/netipc/protocol/payload"
)

// What each status of an item forbids (spec section 10.5), broken one rule at a time, by bytes that no encoder writes.

const (
	// itemAt is where the first item of a response starts: behind the header and a directory of one.
	itemAt = 16 + 8
	// itemFixed is an item's bytes before its strings.
	itemFixed = 60
)

// raw is an item as it is on the wire, lawful or not.
type raw struct {
	status       appslookup.Status
	orchestrator appslookup.Orchestrator
	cgroup       appslookup.CgroupStatus
	ppid, uid    uint32
	starttime    uint64
	comm         string
	path         string
	name         string
	labels       []payload.Label
}

// nobody is the uid of who has none.
const nobody = 0xFFFF_FFFF

// response is one of this item alone.
func (r raw) response(t *testing.T) []byte {
	t.Helper()
	item := binary.NativeEndian.AppendUint16(nil, 1)
	item = binary.NativeEndian.AppendUint16(item, uint16(r.status))
	item = binary.NativeEndian.AppendUint16(item, uint16(r.orchestrator))
	item = binary.NativeEndian.AppendUint16(item, uint16(r.cgroup))
	for _, number := range []uint32{7, r.ppid, r.uid, 0} {
		item = binary.NativeEndian.AppendUint32(item, number)
	}
	item = binary.NativeEndian.AppendUint64(item, r.starttime)
	texts := ""
	for _, text := range []string{r.comm, r.path, r.name} {
		item = binary.NativeEndian.AppendUint32(item, uint32(itemFixed+len(texts)))
		item = binary.NativeEndian.AppendUint32(item, uint32(len(text)))
		texts += text + "\x00"
	}
	item = binary.NativeEndian.AppendUint16(item, uint16(len(r.labels)))
	item = append(binary.NativeEndian.AppendUint16(item, 0), texts...)
	end := len(item)
	item = append(item, make([]byte, payload.LabelsLen(end, r.labels))...)
	if _, err := payload.PutLabels(item, end, r.labels, "labels"); err != nil {
		t.Fatal(err)
	}
	answer := binary.NativeEndian.AppendUint16(nil, 1)
	answer = binary.NativeEndian.AppendUint16(answer, 0)
	answer = binary.NativeEndian.AppendUint32(answer, 1)
	answer = binary.NativeEndian.AppendUint64(answer, 9)
	answer = binary.NativeEndian.AppendUint32(answer, 0)
	answer = binary.NativeEndian.AppendUint32(answer, uint32(len(item)))
	return append(answer, item...)
}

func TestWhatAStatusForbidsIsRejected(t *testing.T) {
	labels := []payload.Label{{Key: "k", Value: "v"}}
	unknown := raw{status: appslookup.StatusUnknown, uid: nobody}
	known := raw{status: appslookup.StatusKnown, comm: "init", path: "/", cgroup: appslookup.CgroupStatusKnown}
	later, permanent, root := known, known, known
	later.cgroup = appslookup.CgroupStatusUnknownRetryLater
	permanent.cgroup = appslookup.CgroupStatusUnknownPermanent
	root.cgroup, root.path = appslookup.CgroupStatusHostRoot, ""
	exceeded, oversized := unknown, unknown
	exceeded.status, oversized.status = appslookup.StatusPayloadExceeded, appslookup.StatusOversizedItem

	// Where each field stands in an item, and what is set there against its rule.
	orchestrator := func(r *raw) int { r.orchestrator = appslookup.OrchestratorDocker; return 4 }
	cgroup := func(r *raw) int { r.cgroup = appslookup.CgroupStatusHostRoot; return 6 }
	ppid := func(r *raw) int { r.ppid = 1; return 12 }
	uid := func(r *raw) int { r.uid = 0; return 16 }
	starttime := func(r *raw) int { r.starttime = 1; return 24 }
	comm := func(r *raw) int { r.comm = "c"; return 32 }
	noComm := func(r *raw) int { r.comm = ""; return 32 }
	path := func(r *raw) int { r.path = "p"; return 40 }
	noPath := func(r *raw) int { r.path = ""; return 40 }
	name := func(r *raw) int { r.name = "n"; return 48 }
	table := func(r *raw) int { r.labels = labels; return 56 }
	all := []func(*raw) int{orchestrator, cgroup, ppid, uid, starttime, comm, path, name, table}
	for is, each := range map[string]struct {
		lawful raw
		broken []func(*raw) int
	}{
		"unknown":          {unknown, all},
		"payload exceeded": {exceeded, all},
		"oversized":        {oversized, all},
		"known":            {known, []func(*raw) int{noComm, noPath}},
		"unknown for now":  {later, []func(*raw) int{noComm, orchestrator, name, table}},
		"unknown for good": {permanent, []func(*raw) int{noComm, noPath, orchestrator, name, table}},
		"the host's own":   {root, []func(*raw) int{noComm, orchestrator, path, name, table}},
	} {
		if _, err := appslookup.DecodeResponse(each.lawful.response(t)); err != nil {
			t.Fatalf("%s: %v", is, err)
		}
		for _, breaks := range each.broken {
			item := each.lawful
			field := breaks(&item)
			_, err := appslookup.DecodeResponse(item.response(t))
			var rejected protocol.DecodeError
			if !errors.As(err, &rejected) || rejected.Defect != protocol.DefectRule || rejected.Offset != itemAt+field {
				t.Errorf("%s, against the rule of byte %d: %v", is, field, err)
			}
		}
	}
	// And what is left open: a path may be unknown for now, or known.
	later.path = ""
	if _, err := appslookup.DecodeResponse(later.response(t)); err != nil {
		t.Error(err)
	}
}

// An encoder writes nothing that its decoder would reject.
func TestWhatAStatusForbidsIsNotWritten(t *testing.T) {
	labels := []payload.Label{{Key: "k", Value: "v"}}
	lawful := appslookup.Item{Status: appslookup.StatusKnown, Comm: "init", CgroupPath: "/"}
	for is, breaks := range map[string]func(*appslookup.Item){
		"unknown, with labels": func(i *appslookup.Item) {
			*i = appslookup.Item{Status: appslookup.StatusUnknown, UID: nobody, Labels: labels}
		},
		"known, without a path": func(i *appslookup.Item) { i.CgroupPath = "" },
		"unknown for now, with a name": func(i *appslookup.Item) {
			i.CgroupStatus, i.CgroupName = appslookup.CgroupStatusUnknownRetryLater, "n"
		},
		"unknown for now, with labels": func(i *appslookup.Item) {
			i.CgroupStatus, i.Labels = appslookup.CgroupStatusUnknownRetryLater, labels
		},
		"unknown for good, with a name": func(i *appslookup.Item) {
			i.CgroupStatus, i.CgroupName = appslookup.CgroupStatusUnknownPermanent, "n"
		},
		"unknown for good, with labels": func(i *appslookup.Item) {
			i.CgroupStatus, i.Labels = appslookup.CgroupStatusUnknownPermanent, labels
		},
		"the host's own, orchestrated": func(i *appslookup.Item) {
			i.CgroupStatus, i.CgroupPath = appslookup.CgroupStatusHostRoot, ""
			i.Orchestrator = appslookup.OrchestratorDocker
		},
		"the host's own, with a name": func(i *appslookup.Item) {
			i.CgroupStatus, i.CgroupPath, i.CgroupName = appslookup.CgroupStatusHostRoot, "", "n"
		},
		"the host's own, with labels": func(i *appslookup.Item) {
			i.CgroupStatus, i.CgroupPath, i.Labels = appslookup.CgroupStatusHostRoot, "", labels
		},
		"more labels than can be counted": func(i *appslookup.Item) { i.Labels = make([]payload.Label, 1<<16) },
	} {
		item := lawful
		breaks(&item)
		response := appslookup.Response{Items: []appslookup.Item{item}}
		if _, err := response.Encode(make([]byte, 1<<22)); !errors.As(err, new(*payload.FieldError)) {
			t.Errorf("%s: %v", is, err)
		}
	}
	response := appslookup.Response{Items: []appslookup.Item{lawful}}
	if _, err := response.Encode(make([]byte, response.EncodedLen())); err != nil {
		t.Error(err)
	}
}
