package transport

import "testing"

func TestCallsGoBackAndForth(t *testing.T) {
	client, server := pair(t, ListenerConfig{}, Proposal{})
	done := make(chan error, 1)
	go func() { done <- increment(server, nil) }()
	calls := newCounter(client)
	for range 1000 {
		if err := calls.call(within(soon)); err != nil {
			t.Fatal(err)
		}
	}
	_ = client.Close()
	if err := <-done; err != ErrClosed {
		t.Fatalf("the server's side ended with %v", err)
	}
}
