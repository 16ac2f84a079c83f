package service_test

import (
	"testing"
	"time"

	"github.com/netipc/netipc/src/go/pkg/netipc/increment"
	"github.com/netipc/netipc/src/go/pkg/netipc/protocol"
	"github.com/netipc/netipc/src/go/pkg/netipc/service"
)

func TestSlowHandlersKeepTheirSession(t *testing.T) {
	both := protocol.ProfilesBaseline | protocol.ProfilesShmHybrid
	for name, profiles := range map[string]protocol.Profiles{"socket": protocol.ProfilesBaseline, "shm": both} {
		t.Run(name, func(t *testing.T) {
			endpoint, server := incrementServer(t,
				service.ServerConfig{SupportedProfiles: profiles, PreferredProfiles: profiles},
				func(ctx *service.Context, request increment.RequestView, response *increment.ResponseBuilder) error {
					// Longer than the reader may be busy, by more and more.
					<-time.After(time.Duration(request.Value()) * 100 * time.Microsecond)
					return addOne(ctx, request, response)
				})
			client := incrementClient(t, endpoint, service.ClientConfig{SupportedProfiles: profiles, PreferredProfiles: profiles})
			for value := range uint64(200) {
				asks(t, client, value)
			}
			if counters := client.Status().Counters; counters.Connects != 1 {
				t.Fatalf("%+v, %+v", counters, server.Status())
			}
		})
	}
}
