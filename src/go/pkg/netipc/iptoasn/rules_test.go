package iptoasn_test

import (
	"errors"
	"testing"

	"github.com/netipc/netipc/src/go/pkg/netipc/iptoasn"
	"github.com/netipc/netipc/src/go/pkg/netipc/protocol/payload"
)

// An encoder writes nothing that its decoder would reject.
func TestANULIsNotWritten(t *testing.T) {
	for field, item := range map[string]iptoasn.Item{
		"ip": {IP: "\x00"}, "as_name": {IP: "::1", AsName: "a\x00"}, "country": {IP: "::1", Country: "\x00"},
	} {
		response := iptoasn.Response{Items: []iptoasn.Item{item}}
		var refused *payload.FieldError
		if _, err := response.Encode(make([]byte, 1<<10)); !errors.As(err, &refused) || refused.Field != field ||
			refused.Fault != payload.FaultInnerNul {
			t.Errorf("%s: %v", field, err)
		}
	}
}
