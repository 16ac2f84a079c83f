package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/netipc/netipc/src/go/pkg/netipc/service"
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
		case "through":
			err = checkThrough(c, generation)
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
	return sayChecked(before, c.answered(), 0)
}

func sayChecked(before, after answered, lost uint64) error {
	return say(line{Event: "checked", checked: &checked{
		Calls: after.calls - before.calls, Requests: after.requests - before.requests, Items: after.items - before.items,
		Lost: lost,
	}})
}

// checkThrough makes turns at fixed times, so many a second for so many seconds, whether or not somebody serves.
func checkThrough(c caller, how string) error {
	var seconds, rate float64
	if _, err := fmt.Sscanf(how, "%g %g", &seconds, &rate); err != nil {
		return err
	}
	before, start, lost := c.answered(), monotonicNs(), uint64(0)
	for count := range uint64(seconds * rate) {
		restUntil(start + uint64(float64(count)*float64(time.Second)/rate))
		if _, err := c.turn(); isLost(err) {
			lost++
			refresh()
		} else if err != nil {
			return err
		}
	}
	if err := c.settle(); err != nil {
		return err
	}
	return sayChecked(before, c.answered(), lost)
}

// isLost tells whether a call failed because nobody served, and by nothing else.
func isLost(err error) bool {
	var failure *service.CallError
	return errors.As(err, &failure) && (failure.Kind == service.KindNotReady || failure.Kind == service.KindLost)
}
