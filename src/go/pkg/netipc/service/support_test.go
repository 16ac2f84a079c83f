package service_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/netipc/netipc/src/go/pkg/netipc/cgroupslookup"
	"github.com/netipc/netipc/src/go/pkg/netipc/cgroupssnapshot"
	"github.com/netipc/netipc/src/go/pkg/netipc/increment"
	"github.com/netipc/netipc/src/go/pkg/netipc/service"
	"github.com/netipc/netipc/src/go/pkg/netipc/stringreverse"
)

// patience is how long a test waits for what must come: longer than any machine takes, and no test is
// faster or slower for it.
const patience = 20 * time.Second

// background is a context that nothing ends.
var background = context.Background()

// endpointOf is an endpoint of its own for each test.
func endpointOf(t testing.TB, name string) service.Endpoint {
	t.Helper()
	return endpointIn(t, newRunDir(t), name)
}

// newRunDir is a run directory of its own for each test. On Windows it is but a name.
func newRunDir(t testing.TB) string {
	t.Helper()
	if runtime.GOOS == "windows" {
		return fmt.Sprintf(`C:\netipc\%d\%d`, os.Getpid(), runDirs.Add(1))
	}
	return t.TempDir()
}

var runDirs atomic.Uint64

func endpointIn(t testing.TB, runDir, name string) service.Endpoint {
	t.Helper()
	endpoint, err := service.NewEndpoint(runDir, name)
	if err != nil {
		t.Fatal(err)
	}
	return endpoint
}

// start starts a server, and stops it when the test ends.
func start(t testing.TB, server *service.Server, err error) *service.Server {
	t.Helper()
	if err == nil {
		err = server.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, server) })
	return server
}

// stop stops a server, whatever time a busy machine needs for its files.
func stop(t testing.TB, server *service.Server) {
	t.Helper()
	if err := server.StopWithin(patience); err != nil {
		t.Error(err)
	}
}

func addOne(_ *service.Context, request increment.RequestView, response *increment.ResponseBuilder) error {
	response.Value(request.Value() + 1)
	return nil
}

func reverse(_ *service.Context, request stringreverse.RequestView, response *stringreverse.ResponseBuilder) error {
	text := []byte(request.Bytes().String())
	for i, j := 0, len(text)-1; i < j; i, j = i+1, j-1 {
		text[i], text[j] = text[j], text[i]
	}
	response.BytesBytes(text)
	return nil
}

// incrementServer serves on an endpoint of its own.
func incrementServer(t testing.TB, config service.ServerConfig, handler increment.Handler) (service.Endpoint, *service.Server) {
	t.Helper()
	endpoint := endpointOf(t, increment.Service)
	server, err := increment.NewServer(endpoint, config, handler)
	return endpoint, start(t, server, err)
}

// ready is a client with a session.
func ready[C interface {
	Refresh(ctx context.Context) bool
	Ready() bool
	Status() service.ClientStatus
	Close() error
}](t testing.TB, client C) C {
	t.Helper()
	if client.Refresh(background); !client.Ready() {
		t.Fatalf("not ready: %v", client.Status().Reason)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func incrementClient(t testing.TB, endpoint service.Endpoint, config service.ClientConfig) *increment.Client {
	t.Helper()
	return ready(t, increment.NewClient(endpoint, config))
}

// asks calls, and wants the answer.
func asks(t testing.TB, client *increment.Client, value uint64) {
	t.Helper()
	answer, err := client.Call(background, increment.Request{Value: value})
	if err != nil || answer.Value() != value+1 {
		t.Fatalf("%v", err)
	}
}

// wantError fails unless err is all of these.
func wantError(t testing.TB, err error, wanted ...error) {
	t.Helper()
	for _, want := range wanted {
		if !errors.Is(err, want) {
			t.Fatalf("%v, want %v", err, want)
		}
	}
}

// eventually waits for what another goroutine or process brings about. There is nothing to wait on but the
// thing itself, so it looks again and again.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("in vain: %s", what)
		}
	}
}

// within fails unless do returns in time.
func within(t testing.TB, most time.Duration, do func()) time.Duration {
	t.Helper()
	started := time.Now()
	do()
	took := time.Since(started)
	if took > most {
		t.Fatalf("it took %v, and may take %v", took, most)
	}
	return took
}

// receives waits for a value.
func receives[T any](t testing.TB, from <-chan T) T {
	t.Helper()
	select {
	case value := <-from:
		return value
	case <-time.After(patience):
		t.Fatal("nothing came")
		panic("unreachable")
	}
}

// cgroups answers paths: those that begin with "/known" are, by a name of nameLen bytes.
func cgroups(nameLen int, generation func() uint64) cgroupslookup.Handler {
	return func(_ *service.Context, request cgroupslookup.RequestView, response *cgroupslookup.ResponseBuilder) error {
		response.Generation(generation())
		for path := range request.Keys() {
			var err error
			if len(path) >= 6 && string(path[:6]) == "/known" {
				err = response.Known(path).Name(fmt.Sprintf("%0*s", nameLen, path.String())).Finish()
			} else {
				err = response.UnknownPermanent(path)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
}

func always(generation uint64) func() uint64 { return func() uint64 { return generation } }

// snapshotOf answers so many items.
func snapshotOf(items int, generation uint64) cgroupssnapshot.Handler {
	return func(_ *service.Context, _ cgroupssnapshot.RequestView, response *cgroupssnapshot.ResponseBuilder) error {
		response.Generation(generation)
		for i := range items {
			name := fmt.Sprintf("cgroup-%d", i)
			err := response.Item().Hash(uint32(i)).Name(name).Path("/sys/fs/cgroup/" + name).Enabled(1).Finish()
			if err != nil {
				return err
			}
		}
		return nil
	}
}

// logger shows what clients and servers say where a test fails.
func logger(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(testWriter{t}, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

type testWriter struct{ t testing.TB }

func (w testWriter) Write(text []byte) (int, error) {
	w.t.Logf("%s", strings.TrimSpace(string(text)))
	return len(text), nil
}
