package transport

import (
	"os"
	"path/filepath"
	"testing"
)

// regionsIn are the regions that lie in the directory of a session's endpoint.
func regionsIn(t testing.TB, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.ipcshm"))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func countDescriptors(t testing.TB) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}
