package main

import (
	"fmt"
	"strconv"
	"strings"
)

// keeper is a caller that can be told of another server than the one it began with.
type keeper interface {
	// expectGeneration: answers have this generation from now on.
	expectGeneration(generation uint64)
}

// without is a caller that has something when nobody serves.
type without interface {
	// expectNobody sees that this is told, and that what is known by then is kept.
	expectNobody() error
}

// check calls so many times whenever it is told to, while its runner ends servers and starts others in their
// place: tests/interop/README.md.
func check(o *options) error {
	c, err := newCaller(o, 0)
	if err != nil {
		return err
	}
	if err := say(line{Event: "ready"}); err != nil {
		return err
	}
	for {
		words, more := hear()
		if !more {
			return nil
		}
		word, generation, _ := strings.Cut(words, " ")
		switch word {
		case "go":
			err = checkOnce(c, generation, o.turns)
		case "away":
			w, ok := c.(without)
			if !ok {
				return fmt.Errorf("this scenario keeps nothing that it could have without its server")
			}
			if err = w.expectNobody(); err == nil {
				err = say(line{Event: "away"})
			}
		default:
			err = fmt.Errorf("unknown word: %s", words)
		}
		if err != nil {
			return err
		}
	}
}

func checkOnce(c caller, generation string, turns uint64) error {
	if k, ok := c.(keeper); ok && generation != "" {
		number, err := strconv.ParseUint(generation, 10, 64)
		if err != nil {
			return err
		}
		k.expectGeneration(number)
	}
	before := c.answered()
	for range turns {
		if _, err := c.turn(); err != nil {
			return err
		}
	}
	if err := c.settle(); err != nil {
		return err
	}
	after := c.answered()
	return say(line{Event: "checked", checked: &checked{
		Calls: after.calls - before.calls, Requests: after.requests - before.requests, Items: after.items - before.items,
	}})
}
