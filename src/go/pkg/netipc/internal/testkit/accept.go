package testkit

import (
	"io"
	"testing"
)

// Accept serves until the test ends: each connection that accept yields, with its number from 0, is handed to act,
// and closed after it. To close the listener makes accept fail.
func Accept[C io.Closer](
	t testing.TB, listener io.Closer, accept func() (C, error), act func(connection C, number int),
) {
	t.Helper()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for number := 0; ; number++ {
			connection, err := accept()
			if err != nil {
				return
			}
			act(connection, number)
			_ = connection.Close()
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		<-ended
	})
}
