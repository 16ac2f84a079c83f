package service_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/netipc/netipc/src/go/pkg/netipc/appslookup"
	"github.com/netipc/netipc/src/go/pkg/netipc/cgroupslookup"
	"github.com/netipc/netipc/src/go/pkg/netipc/cgroupssnapshot"
	"github.com/netipc/netipc/src/go/pkg/netipc/increment"
	"github.com/netipc/netipc/src/go/pkg/netipc/internal/testkit"
	"github.com/netipc/netipc/src/go/pkg/netipc/protocol"
	"github.com/netipc/netipc/src/go/pkg/netipc/service"
	"github.com/netipc/netipc/src/go/pkg/netipc/stringreverse"
)

// The cases of spec/conformance/services.json, over every row of transports.json: what a live client and a
// live server do, the same in every language. The README beside them says what each step means.

// conformanceToken is what both sides know.
const conformanceToken = 1311768467463790320

type conformanceTransport struct {
	Name     string
	Client   conformanceProfiles
	Server   conformanceProfiles
	Selected protocol.Profile
	// Windows is what is selected there, where that is another.
	Windows protocol.Profile
}

type conformanceProfiles struct{ Supported, Preferred protocol.Profiles }

type conformanceCase struct {
	Name    string
	Service string
	Served  string
	Handler string
	Needs   []string
	Server  struct {
		MaxRequestPayloadBytes  uint32 `json:"max_request_payload_bytes"`
		MaxResponsePayloadBytes uint32 `json:"max_response_payload_bytes"`
		MaxSessions             int    `json:"max_sessions"`
	}
	Client struct {
		MaxRequestPayloadBytes  uint32 `json:"max_request_payload_bytes"`
		MaxResponsePayloadBytes uint32 `json:"max_response_payload_bytes"`
	}
	Items conformanceItems
	Steps []conformanceStep
}

type conformanceItems struct {
	Count   int
	NameLen int `json:"name_len"`
	PathLen int `json:"path_len"`
}

type conformanceStep struct {
	Do         string
	On         int
	State      string
	Busy       bool
	Values     []testkit.Number
	Lens       []int
	Count      int
	First      uint32
	PathLen    int `json:"path_len"`
	Digits     int
	Paths      []string
	Oversized  []int
	Generation uint64
	Error      string
	Status     protocol.Status
	Equal, Min map[string]uint64
}

func TestConformanceOfServices(t *testing.T) {
	var transports []conformanceTransport
	testkit.LoadConformance(t, "transports", &transports)
	var cases []conformanceCase
	testkit.LoadConformance(t, "services", &cases)
	if len(transports) == 0 || len(cases) == 0 {
		t.Fatal("there are no cases")
	}
	for _, transport := range transports {
		if runtime.GOOS == "windows" && transport.Windows != 0 {
			transport.Selected = transport.Windows
		}
		t.Run(transport.Name, func(t *testing.T) {
			for _, c := range cases {
				if len(c.Needs) > 0 {
					t.Fatalf("%s needs what this runner does not know: %v", c.Name, c.Needs)
				}
				t.Run(c.Name, func(t *testing.T) { (&conformance{t: t, transport: transport, c: c}).run() })
			}
		})
	}
}

// conformance is one case under way.
type conformance struct {
	t         *testing.T
	transport conformanceTransport
	c         conformanceCase
	endpoint  service.Endpoint
	server    *service.Server
	starts    atomic.Uint64
	clients   map[int]conformanceClient
	cache     *cgroupssnapshot.Cache
}

// conformanceClient is what all clients have.
type conformanceClient interface {
	Refresh(ctx context.Context) bool
	State() protocol.ClientState
	Status() service.ClientStatus
	Close() error
}

func (r *conformance) run() {
	r.endpoint = endpointOf(r.t, "conformance")
	r.clients = map[int]conformanceClient{}
	r.start()
	r.t.Cleanup(func() {
		for _, client := range r.clients {
			_ = client.Close()
		}
		if r.cache != nil {
			_ = r.cache.Close()
		}
		stop(r.t, r.server)
	})
	for index, step := range r.c.Steps {
		r.step(fmt.Sprintf("step %d, %s", index, step.Do), step)
		if r.t.Failed() {
			return
		}
	}
}

func (r *conformance) start() {
	r.starts.Add(1)
	config := service.ServerConfig{
		SupportedProfiles:       r.transport.Server.Supported,
		PreferredProfiles:       r.transport.Server.Preferred,
		MaxRequestPayloadBytes:  r.c.Server.MaxRequestPayloadBytes,
		MaxResponsePayloadBytes: r.c.Server.MaxResponsePayloadBytes,
		MaxSessions:             r.c.Server.MaxSessions,
		AuthToken:               conformanceToken,
		Logger:                  logger(r.t),
	}
	served := r.c.Served
	if served == "" {
		served = r.c.Service
	}
	server, err := r.bind(served, config)
	if err == nil {
		err = server.Start()
	}
	if err != nil {
		r.t.Fatal(err)
	}
	r.server = server
}

func (r *conformance) bind(served string, config service.ServerConfig) (*service.Server, error) {
	switch served {
	case increment.Service:
		handler := addOne
		if r.c.Handler == "fail" {
			handler = func(*service.Context, increment.RequestView, *increment.ResponseBuilder) error {
				return errors.New("it fails")
			}
		}
		return increment.NewServer(r.endpoint, config, handler)
	case stringreverse.Service:
		handler := reverse
		if r.c.Handler == "lengths" {
			handler = lengths
		}
		return stringreverse.NewServer(r.endpoint, config, handler)
	case appslookup.Service:
		return appslookup.NewServer(r.endpoint, config, conformanceApps)
	case cgroupslookup.Service:
		return cgroupslookup.NewServer(r.endpoint, config, conformancePaths)
	case cgroupssnapshot.Service:
		return cgroupssnapshot.NewServer(r.endpoint, config, r.snapshot)
	}
	r.t.Fatalf("no such service: %s", served)
	return nil, nil
}

func lengths(_ *service.Context, request stringreverse.RequestView, response *stringreverse.ResponseBuilder) error {
	length, err := strconv.Atoi(request.Bytes().String())
	if err != nil {
		return err
	}
	response.Bytes(strings.Repeat("x", length))
	return nil
}

func conformanceApps(_ *service.Context, request appslookup.RequestView, response *appslookup.ResponseBuilder) error {
	response.Generation(3)
	for pid := range request.Keys() {
		if response.Full() {
			break
		}
		var err error
		if pid%3 == 0 {
			err = response.Unknown(pid)
		} else {
			err = response.Known(pid).PPID(pid / 2).Comm(fmt.Sprintf("p%d", pid)).
				CgroupStatus(appslookup.CgroupStatusHostRoot).Finish()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// nameOf is the name of a path: as long as the digits at its end say.
func nameOf(path string) string {
	length, _ := strconv.Atoi(path[len(strings.TrimRight(path, "0123456789")):])
	return strings.Repeat("n", length)
}

func conformancePaths(_ *service.Context, request cgroupslookup.RequestView, response *cgroupslookup.ResponseBuilder) error {
	response.Generation(4)
	for path := range request.Keys() {
		if response.Full() {
			break
		}
		err := response.Known(path).Orchestrator(cgroupslookup.OrchestratorDocker).Name(nameOf(path.String())).Finish()
		if err != nil {
			return err
		}
	}
	return nil
}

func (i conformanceItems) name(index int) string { return fmt.Sprintf("%0*d", i.NameLen, index) }

func (i conformanceItems) path(index int) string { return fmt.Sprintf("/%0*d", i.PathLen-1, index) }

func (r *conformance) snapshot(
	_ *service.Context, _ cgroupssnapshot.RequestView, response *cgroupssnapshot.ResponseBuilder,
) error {
	response.Generation(r.starts.Load())
	for index := range r.c.Items.Count {
		err := response.Item().Hash(uint32(index)).Enabled(1).
			Name(r.c.Items.name(index)).Path(r.c.Items.path(index)).Finish()
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *conformance) config() service.ClientConfig {
	return service.ClientConfig{
		SupportedProfiles:       r.transport.Client.Supported,
		PreferredProfiles:       r.transport.Client.Preferred,
		MaxRequestPayloadBytes:  r.c.Client.MaxRequestPayloadBytes,
		MaxResponsePayloadBytes: r.c.Client.MaxResponsePayloadBytes,
		AuthToken:               conformanceToken,
		Logger:                  logger(r.t),
	}
}

// client is the one with this number, made when it is first named.
func (r *conformance) client(on int) conformanceClient {
	if client, ok := r.clients[on]; ok {
		return client
	}
	var client conformanceClient
	switch r.c.Service {
	case increment.Service:
		client = increment.NewClient(r.endpoint, r.config())
	case stringreverse.Service:
		client = stringreverse.NewClient(r.endpoint, r.config())
	case appslookup.Service:
		client = appslookup.NewClient(r.endpoint, r.config())
	case cgroupslookup.Service:
		client = cgroupslookup.NewClient(r.endpoint, r.config())
	default:
		r.t.Fatalf("%s has no client", r.c.Service)
	}
	r.clients[on] = client
	return client
}

func (r *conformance) step(where string, step conformanceStep) {
	switch step.Do {
	case "refresh":
		r.refresh(where, step)
	case "state":
		r.state(where, step)
	case "close":
		r.close(step)
	case "stop":
		if err := r.server.Stop(); err != nil {
			r.t.Errorf("%s: %v", where, err)
		}
	case "start":
		r.start()
	case "increment", "batch", "reverse", "lengths", "apps", "paths":
		r.call(where, step)
	case "cache":
		r.refreshCache(where, step, true)
	case "kept":
		r.refreshCache(where, step, false)
	case "counters":
		r.counters(where, step)
	default:
		r.t.Fatalf("%s: no such step", where)
	}
}

func (r *conformance) refresh(where string, step conformanceStep) {
	client := r.client(step.On)
	client.Refresh(background)
	r.state(where, step)
	status := client.Status()
	if step.Busy != (status.NextTry == protocol.NextTryBusy) {
		r.t.Errorf("%s: busy is %v: %v", where, !step.Busy, status.Reason)
	}
	if status.Session != nil && status.Session.Terms.Profile != r.transport.Selected {
		r.t.Errorf("%s: selected is %v", where, status.Session.Terms.Profile)
	}
}

func (r *conformance) state(where string, step conformanceStep) {
	want := strings.ReplaceAll(step.State, "-", " ")
	if state := r.client(step.On).State(); state.String() != want {
		r.t.Errorf("%s: it is %v, want %s: %v", where, state, want, r.client(step.On).Status().Reason)
	}
}

func (r *conformance) close(step conformanceStep) {
	if err := r.client(step.On).Close(); err != nil {
		r.t.Error(err)
	}
	live := 0
	for _, client := range r.clients {
		if client.State() == protocol.StateReady {
			live++
		}
	}
	eventually(r.t, "the server notices", func() bool { return r.server.Status().Sessions == live })
}

// call makes the calls of a step, the last of which may have to fail.
func (r *conformance) call(where string, step conformanceStep) {
	var err error
	switch client := r.client(step.On).(type) {
	case *increment.Client:
		err = r.increments(where, client, step)
	case *stringreverse.Client:
		err = r.strings(where, client, step)
	case *appslookup.Client:
		err = r.apps(where, client, step)
	case *cgroupslookup.Client:
		err = r.paths(where, client, step)
	}
	var failed *service.CallError
	errors.As(err, &failed)
	switch {
	case step.Error == "" && err != nil:
		r.t.Errorf("%s: %v", where, err)
	case step.Error != "" && (failed == nil || failed.Kind.String() != strings.ReplaceAll(step.Error, "-", " ")):
		r.t.Errorf("%s: %v, want an error of kind %s", where, err, step.Error)
	case step.Status != 0 && !errors.Is(err, service.StatusError{Status: step.Status}):
		r.t.Errorf("%s: %v, want %v", where, err, step.Status)
	}
}

func (r *conformance) increments(where string, client *increment.Client, step conformanceStep) error {
	if step.Do == "increment" {
		for _, value := range step.Values {
			answer, err := client.Call(background, increment.Request{Value: uint64(value)})
			if err != nil {
				return err
			}
			if answer.Value() != uint64(value)+1 {
				r.t.Errorf("%s: %d answers %d", where, answer.Value(), value)
			}
		}
		return nil
	}
	requests := make([]increment.Request, step.Count)
	for i := range requests {
		requests[i].Value = uint64(i)
	}
	answers, err := client.Batch(background, requests)
	if err != nil {
		return err
	}
	if answers.Len() != step.Count {
		r.t.Errorf("%s: %d answers", where, answers.Len())
	}
	for i, answer := range answers.All() {
		if answer.Value() != uint64(i)+1 {
			r.t.Errorf("%s: %d answers %d", where, answer.Value(), i)
		}
	}
	return nil
}

func (r *conformance) strings(where string, client *stringreverse.Client, step conformanceStep) error {
	for _, length := range step.Lens {
		request, want := strconv.Itoa(length), []byte(strings.Repeat("x", length))
		if step.Do == "reverse" {
			for i := range want {
				want[i] = byte(i % 251)
			}
			request = string(want)
			slices.Reverse(want)
		}
		answer, err := client.Call(background, stringreverse.Request{Bytes: request})
		if err != nil {
			return err
		}
		if string(answer.Bytes()) != string(want) {
			r.t.Errorf("%s: another answer of %d bytes to %d", where, len(answer.Bytes()), length)
		}
	}
	return nil
}

func (r *conformance) apps(where string, client *appslookup.Client, step conformanceStep) error {
	pids := make([]uint32, step.Count)
	for i := range pids {
		pids[i] = step.First + uint32(i)
	}
	answer, err := client.Lookup(background, pids)
	if err != nil {
		return err
	}
	if answer.Len() != step.Count || answer.Generation() != 3 {
		r.t.Errorf("%s: %d items of generation %d", where, answer.Len(), answer.Generation())
	}
	for i, pid := range pids {
		item := answer.At(i)
		known := pid%3 != 0
		if item.PID() != pid || known != (item.Status() == appslookup.StatusKnown) ||
			known && (item.PPID() != pid/2 || item.Comm().String() != fmt.Sprintf("p%d", pid) ||
				item.CgroupStatus() != appslookup.CgroupStatusHostRoot) {
			r.t.Fatalf("%s: %d is %+v", where, pid, item.ToOwned())
		}
	}
	return nil
}

func (r *conformance) paths(where string, client *cgroupslookup.Client, step conformanceStep) error {
	paths := step.Paths
	for i := range step.Count {
		digits := fmt.Sprintf("%0*d", step.Digits, i%100)
		paths = append(paths, "/"+strings.Repeat("x", step.PathLen-1-len(digits))+digits)
	}
	answer, err := client.Lookup(background, paths)
	if err != nil {
		return err
	}
	if answer.Len() != len(paths) || answer.Generation() != 4 && len(step.Oversized) < len(paths) {
		r.t.Errorf("%s: %d items of generation %d", where, answer.Len(), answer.Generation())
	}
	for i, path := range paths {
		item := answer.At(i)
		want := cgroupslookup.StatusKnown
		if slices.Contains(step.Oversized, i) {
			want = cgroupslookup.StatusOversizedItem
		}
		if !item.Path().Equal(path) || item.Status() != want ||
			want == cgroupslookup.StatusKnown && !item.Name().Equal(nameOf(path)) {
			r.t.Fatalf("%s: %.40s is %v, want %v", where, path, item.Status(), want)
		}
	}
	return nil
}

func (r *conformance) refreshCache(where string, step conformanceStep, refreshes bool) {
	if r.cache == nil {
		r.cache = cgroupssnapshot.NewCache(r.endpoint, r.config())
	}
	err := r.cache.Refresh(background)
	if (err == nil) != refreshes {
		r.t.Errorf("%s: %v", where, err)
	}
	contents := r.cache.Load()
	if contents.Len() != step.Count || contents.Generation() != step.Generation {
		r.t.Errorf("%s: %d items of generation %d", where, contents.Len(), contents.Generation())
	}
	for i := range step.Count {
		identity := cgroupssnapshot.Identity{Hash: uint32(i), Name: r.c.Items.name(i)}
		item, found := contents.Get(identity)
		if !found || !item.Path().Equal(r.c.Items.path(i)) || item.Enabled() != 1 {
			r.t.Fatalf("%s: item %d is found: %v", where, i, found)
		}
	}
	for _, nobody := range []cgroupssnapshot.Identity{
		{Hash: uint32(step.Count), Name: r.c.Items.name(step.Count)}, {Hash: 0, Name: "nobody"}, {},
	} {
		if _, found := contents.Get(nobody); found {
			r.t.Errorf("%s: %v is found", where, nobody)
		}
	}
}

func (r *conformance) counters(where string, step conformanceStep) {
	var counters service.ClientCounters
	if r.cache != nil {
		counters = r.cache.Status().Client.Counters
	} else {
		counters = r.client(step.On).Status().Counters
	}
	named := map[string]uint64{
		"connects": counters.Connects, "reconnects": counters.Reconnects, "calls": counters.Calls,
		"failed_connects": counters.FailedConnects, "resends": counters.Resends, "growths": counters.Growths,
		"larger_requests": counters.LargerRequests, "sub_calls": counters.SubCalls,
		"restarted_lookups": counters.RestartedLookups, "errors": counters.Errors.Total(),
	}
	for name, want := range step.Equal {
		if got, ok := named[name]; !ok || got != want {
			r.t.Errorf("%s: %s is %d, want %d", where, name, got, want)
		}
	}
	for name, least := range step.Min {
		if got, ok := named[name]; !ok || got < least {
			r.t.Errorf("%s: %s is %d, want at least %d", where, name, got, least)
		}
	}
}
