//go:build !amd64 && !arm64

package sys

// cpuPause does nothing where it would not pay.
func cpuPause() {}
