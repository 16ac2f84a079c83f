//go:build linux && failpoints

package main

import (
	"strings"

	"github.com/netipc/netipc/src/go/pkg/netipc/transport"
)

// dieWord begins the word, with a step of a publication, to either end of this build: die after it.
const dieWord = "die"

// dies has this process die in its next publication through shared memory, after the step that the word names. It is
// false for another word.
func dies(word string) (bool, error) {
	step, isIt := strings.CutPrefix(word, dieWord)
	if !isIt {
		return false, nil
	}
	if err := transport.DieAfter(strings.TrimSpace(step)); err != nil {
		return true, err
	}
	return true, say(line{Event: "ready"})
}
