package payload

// SnapshotWriter writes the items of a snapshot's response, and remembers the first that could not
// be written: a snapshot that lacks an item must not pass for a complete one.
type SnapshotWriter struct {
	DirectoryWriter
	failure error
}

// Reset begins a response without items: see DirectoryWriter.
func (w *SnapshotWriter) Reset(out []byte, headerLen, expected int) error {
	w.failure = w.DirectoryWriter.Reset(out, headerLen, expected)
	return w.failure
}

// Fail makes the response one that cannot be finished, and answers the error.
func (w *SnapshotWriter) Fail(err error) error {
	if w.failure == nil {
		w.failure = err
	}
	return err
}

// Finish ends the response: see DirectoryWriter. It fails with the first error of all before.
func (w *SnapshotWriter) Finish(field string) (count uint32, length int, err error) {
	if w.failure != nil {
		return 0, 0, w.failure
	}
	return w.DirectoryWriter.Finish(field)
}
