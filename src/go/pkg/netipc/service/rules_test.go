package service_test

import (
	"errors"
	"testing"

	"github.com/netipc/netipc/src/go/pkg/netipc/appslookup"
	"github.com/netipc/netipc/src/go/pkg/netipc/protocol/payload"
)

// What an item of apps-lookup may say depends on what is known of the process, and of its cgroup (spec section 10):
// nobody writes one that its reader would have to refuse.
func TestAnItemSaysNothingThatItsStatusForbids(t *testing.T) {
	known := func(cgroup appslookup.CgroupStatus, path string) appslookup.Item {
		return appslookup.Item{
			Status: appslookup.StatusKnown, PID: 1, Comm: "init", CgroupStatus: cgroup, CgroupPath: path,
		}
	}
	unknown := appslookup.Item{Status: appslookup.StatusUnknown, PID: 1, UID: 1<<32 - 1}
	labels := []payload.Label{{Key: "k", Value: "v"}}
	var (
		orchestrator = func(item *appslookup.Item) { item.Orchestrator = appslookup.OrchestratorDocker }
		path         = func(item *appslookup.Item) { item.CgroupPath = "/a" }
		noPath       = func(item *appslookup.Item) { item.CgroupPath = "" }
		name         = func(item *appslookup.Item) { item.CgroupName = "web" }
		tables       = func(item *appslookup.Item) { item.Labels = labels }
	)
	for what, c := range map[string]struct {
		item      appslookup.Item
		forbidden map[string]func(*appslookup.Item)
	}{
		"known": {known(appslookup.CgroupStatusKnown, "/a"), map[string]func(*appslookup.Item){
			"cgroup_path": noPath,
			"comm":        func(item *appslookup.Item) { item.Comm = "" },
		}},
		"cgroup later": {known(appslookup.CgroupStatusUnknownRetryLater, ""), map[string]func(*appslookup.Item){
			"orchestrator": orchestrator, "cgroup_name": name, "labels": tables,
		}},
		"cgroup never": {known(appslookup.CgroupStatusUnknownPermanent, "/a"), map[string]func(*appslookup.Item){
			"orchestrator": orchestrator, "cgroup_path": noPath, "cgroup_name": name, "labels": tables,
		}},
		"host root": {known(appslookup.CgroupStatusHostRoot, ""), map[string]func(*appslookup.Item){
			"orchestrator": orchestrator, "cgroup_path": path, "cgroup_name": name, "labels": tables,
		}},
		"unknown": {unknown, map[string]func(*appslookup.Item){
			"orchestrator": orchestrator, "cgroup_path": path, "cgroup_name": name, "labels": tables,
			"ppid":      func(item *appslookup.Item) { item.PPID = 1 },
			"uid":       func(item *appslookup.Item) { item.UID = 0 },
			"starttime": func(item *appslookup.Item) { item.Starttime = 1 },
			"comm":      func(item *appslookup.Item) { item.Comm = "init" },
		}},
	} {
		out := make([]byte, c.item.EncodedLen())
		if length, err := c.item.Encode(out); err != nil || length != len(out) {
			t.Errorf("%s: %d of %d bytes, %v", what, length, len(out), err)
		}
		for field, change := range c.forbidden {
			item := c.item
			change(&item)
			_, err := item.Encode(make([]byte, item.EncodedLen()))
			var refused *payload.FieldError
			if !errors.As(err, &refused) || refused.Field != field || refused.Fault != payload.FaultRule {
				t.Errorf("%s, with another %s: %v", what, field, err)
			}
		}
	}
}
