//go:build !(linux && failpoints)

package main

// dies is for tests of faults, which build another one: die_failpoints.go.
func dies(string) (bool, error) { return false, nil }
