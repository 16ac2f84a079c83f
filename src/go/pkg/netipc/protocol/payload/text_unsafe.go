package payload

import "unsafe"

// bytesOf is the bytes of a string, not copied: nobody may write them.
func bytesOf(text string) []byte { return unsafe.Slice(unsafe.StringData(text), len(text)) }
