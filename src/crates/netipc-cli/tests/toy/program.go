// Command toy round-trips values through what was generated for the toy schemas. It fails at the first
// that comes back differently.
package main

import (
	"errors"
	"fmt"
	"math"
	"os"
	"reflect"
	"slices"

	"toy/services/badge"
	"toy/services/door"
	"toy/services/names"
	"toy/services/sensor"
	"toy/services/shelf"
	"toy/services/tick"
	"toy/services/valve"

	"github.com/netipc/netipc/src/go/pkg/netipc/protocol/payload"
)

// bufferBytes is more than any payload here.
const bufferBytes = 1024

func main() {
	valveMovesNumbersOfEveryType()
	valveAnswersATableAlone()
	sensorIsAskedBySeveralNumbers()
	badgeIsAskedByAnOpenEnumeration()
	doorKeepsTheLimitsOfStrings()
	namesDoNotClash()
	shelfHasAHeaderWithRules()
	tickIsNumbersAlone()
	fmt.Println("all toys came back")
}

// check ends the program unless it holds.
func check(holds bool, what string, found ...any) {
	if !holds {
		fmt.Fprintln(os.Stderr, what, found)
		os.Exit(1)
	}
}

// message is an owned type.
type message interface {
	Encode(out []byte) (int, error)
	EncodedLen() int
}

// encoded is a message's bytes.
func encoded(m message) []byte {
	out := make([]byte, m.EncodedLen())
	length, err := m.Encode(out)
	check(err == nil && length == len(out), "it encodes", m, length, err)
	return out
}

// roundTrip checks that a message comes back the same from its own bytes, and that no shorter payload
// decodes.
func roundTrip[V interface{ ToOwned() M }, M any](m message, decode func([]byte) (V, error)) []byte {
	out := encoded(m)
	view, err := decode(out)
	check(err == nil, "it decodes", err)
	owned := view.ToOwned()
	check(reflect.DeepEqual(&owned, any(m)), "it comes back", owned, m)
	for short := range out {
		_, err := decode(out[:short])
		check(err != nil, "a shorter payload is refused", short, len(out))
	}
	return out
}

// refuses checks that a field is refused, for that reason.
func refuses(err error, field string, fault payload.Fault) {
	var refused *payload.FieldError
	check(errors.As(err, &refused) && refused.Field == field && refused.Fault == fault, "it is refused", err)
}

func valveMovesNumbersOfEveryType() {
	ask := valve.Request{
		Mode: valve.ModeAjar, Turn: math.MinInt32, Limit: -2, Serial: math.MaxUint64 - 1,
		Colour: valve.Colour(77), Label: "front", Pressure: 9, Reading: math.MaxUint8, Note: "abc",
		Tags: []payload.Label{{Key: "a", Value: "1"}, {Key: "b", Value: ""}},
	}
	out := roundTrip[valve.RequestView, valve.Request](&ask, valve.DecodeRequest)
	view, err := valve.DecodeRequest(out)
	check(err == nil && view.Colour().String() == "77" && view.Mode().String() == "ajar", "names", err)
	value, ok := view.Tags().ValueOf("a")
	check(ok && value.Equal("1"), "tags", value)

	shut := valve.Request{
		Mode: valve.ModeShut, Turn: -1, Limit: math.MinInt64, Serial: math.MaxUint64,
		Colour: valve.Colour(7), Label: "x",
	}
	roundTrip[valve.RequestView, valve.Request](&shut, valve.DecodeRequest)
	encode := func(change func(m *valve.Request)) error {
		changed := shut
		change(&changed)
		_, err := changed.Encode(make([]byte, bufferBytes))
		return err
	}
	refuses(encode(func(m *valve.Request) { m.Turn = 3 }), "turn", payload.FaultRule)
	refuses(encode(func(m *valve.Request) { m.Tags = ask.Tags }), "tags", payload.FaultRule)
	refuses(encode(func(m *valve.Request) { m.Mode = valve.ModeAjar }), "note", payload.FaultRule)
	refuses(encode(func(m *valve.Request) { m.Mode = 3 }), "mode", payload.FaultValue)
	refuses(encode(func(m *valve.Request) { m.Label = "" }), "label", payload.FaultLength)
	refuses(encode(func(m *valve.Request) { m.Label = "123456789" }), "label", payload.FaultLength)
}

func valveAnswersATableAlone() {
	answer := valve.Response{Tags: []payload.Label{{Key: "key", Value: "value"}, {Key: "k", Value: ""}}}
	out := roundTrip[valve.ResponseView, valve.Response](&answer, valve.DecodeResponse)
	var builder valve.ResponseBuilder
	room := make([]byte, bufferBytes)
	builder.Reset(room)
	length, err := builder.Tags(answer.Tags...).Finish()
	check(err == nil && slices.Equal(room[:length], out), "the builder writes the same", err)
	roundTrip[valve.ResponseView, valve.Response](&valve.Response{}, valve.DecodeResponse)
}

func sensorIsAskedBySeveralNumbers() {
	places := []sensor.Place{
		{X: -1, Y: math.MaxInt32, Axis: sensor.AxisVertical},
		{X: math.MinInt64, Y: 0, Axis: sensor.AxisHorizontal},
		{X: 0, Y: -9, Axis: sensor.AxisVertical},
		{X: 7, Y: 7, Axis: sensor.AxisVertical},
	}
	asked := roundTrip[sensor.RequestView, sensor.Request](&sensor.Request{Places: places}, sensor.DecodeRequest)
	wrong := slices.Clone(asked)
	// The first key's axis: it lies behind a header of 16 bytes, four entries, and 12 bytes.
	wrong[16+4*8+12] = 5
	_, err := sensor.DecodeRequest(wrong)
	check(err != nil, "the axis is closed")

	request, err := sensor.DecodeRequest(asked)
	check(err == nil && slices.Equal(slices.Collect(request.Places()), places), "places", err)
	out := make([]byte, bufferBytes)
	budget := payload.ResponseBudget{Out: out, AtCeiling: true}
	var response sensor.ResponseBuilder
	check(response.Reset(request, budget) == nil, "there is room")
	response.Epoch(5)
	err = errors.Join(
		response.Fresh(places[0]).Quality(200).Value(-40).TakenAt(math.MaxUint64).Finish(),
		response.Stale(places[1]).Value(12).Flags(3).Finish(),
		response.Broken(places[2]).Flags(1).Finish(),
		response.Unknown(places[3]),
	)
	check(err == nil, "all are answered", err)
	length, err := response.Finish()
	check(err == nil, "it is finished", err)
	view, err := sensor.DecodeResponse(out[:length])
	check(err == nil && view.Epoch() == 5 && view.Len() == 4, "it decodes", err)
	check(view.At(2).Value() == math.MinInt32 && view.At(2).Flags() == 1, "blank values")
	check(view.At(3).Status() == sensor.StatusUnknown, "unknown")
	owned := view.ToOwned()
	roundTrip[sensor.ResponseView, sensor.Response](&owned, sensor.DecodeResponse)

	// The wrong key, at the wrong turn.
	check(response.Reset(request, budget) == nil, "there is room")
	turned := places[0]
	turned.Axis = sensor.AxisHorizontal
	check(errors.Is(response.Unknown(turned), payload.ErrEcho), "the wrong key")
}

func badgeIsAskedByAnOpenEnumeration() {
	levels := []badge.Rank{badge.RankGuest, 900}
	asked := roundTrip[badge.RequestView, badge.Request](&badge.Request{Levels: levels}, badge.DecodeRequest)
	request, err := badge.DecodeRequest(asked)
	check(err == nil, "it decodes", err)
	// Room for the first badge's lines, and for "ask again" about the second.
	out := make([]byte, 16+2*8+40+8)
	var response badge.ResponseBuilder
	check(response.Reset(request, payload.ResponseBudget{Out: out, AtCeiling: true}) == nil, "there is room")
	for level := range request.Levels() {
		err := response.Known(level).Lines(payload.Label{Key: "name", Value: "Ada"}).Finish()
		check(err == nil, "it is next", err)
	}
	check(response.Full(), "the second does not fit")
	length, err := response.Finish()
	check(err == nil, "it is finished", err)
	view, err := badge.DecodeResponse(out[:length])
	check(err == nil, "it decodes", err)
	check(view.At(0).Status() == badge.StatusKnown && view.At(1).Status() == badge.StatusAgain, "statuses")
	owned := view.ToOwned()
	roundTrip[badge.ResponseView, badge.Response](&owned, badge.DecodeResponse)
}

func doorKeepsTheLimitsOfStrings() {
	for _, doors := range [][]string{{"x"}, {"sixsix"}} {
		request := door.Request{Doors: doors}
		_, err := request.Encode(make([]byte, bufferBytes))
		refuses(err, "title", payload.FaultLength)
	}
	asked := roundTrip[door.RequestView, door.Request](&door.Request{Doors: []string{"front", "up"}}, door.DecodeRequest)
	request, err := door.DecodeRequest(asked)
	check(err == nil, "it decodes", err)
	out := make([]byte, bufferBytes)
	budget := payload.ResponseBudget{Out: out, AtCeiling: true}
	var response door.ResponseBuilder
	check(response.Reset(request, budget) == nil, "there is room")
	err = errors.Join(
		response.Open(request.At(0)).By("Ada").WhyBytes([]byte("heat")).Finish(),
		response.Closed(request.At(1)).Finish(),
	)
	check(err == nil, "both are answered", err)
	length, err := response.Finish()
	check(err == nil, "it is finished", err)
	view, err := door.DecodeResponse(out[:length])
	check(err == nil && view.At(0).By().Equal("Ada") && view.At(0).Why().Equal("heat"), "it decodes", err)
	owned := view.ToOwned()
	roundTrip[door.ResponseView, door.Response](&owned, door.DecodeResponse)

	// An open door was opened by somebody, with a name of four bytes at most.
	for by, fault := range map[string]payload.Fault{"": payload.FaultRule, "Grace": payload.FaultLength} {
		check(response.Reset(request, budget) == nil, "there is room")
		refuses(response.Open(request.At(0)).By(by).Finish(), "by", fault)
		_, err := response.Finish()
		check(err != nil, "a response that failed cannot be finished")
	}
}

func namesDoNotClash() {
	asked := roundTrip[names.RequestView, names.Request](&names.Request{Items: []string{"a", "bc"}}, names.DecodeRequest)
	request, err := names.DecodeRequest(asked)
	check(err == nil, "it decodes", err)
	out := make([]byte, bufferBytes)
	var response names.ResponseBuilder
	check(response.Reset(request, payload.ResponseBudget{Out: out, AtCeiling: true}) == nil, "there is room")
	pair := payload.Label{Key: "k", Value: "v"}
	err = errors.Join(
		response.Known(request.At(0)).Number(names.NumberOk).Budget(-1).Labels("l").Payloads("p").Count(pair).Finish(),
		response.Pushed(request.At(1)).Fields("f").Count(pair).Finish(),
	)
	check(err == nil, "both are answered", err)
	length, err := response.Finish()
	check(err == nil, "it is finished", err)
	view, err := names.DecodeResponse(out[:length])
	check(err == nil && view.At(0).Budget() == -1 && view.At(0).Labels().Equal("l"), "it decodes", err)
	owned := view.ToOwned()
	roundTrip[names.ResponseView, names.Response](&owned, names.DecodeResponse)
}

func shelfHasAHeaderWithRules() {
	zeros := roundTrip[shelf.RequestView, shelf.Request](&shelf.Request{}, shelf.DecodeRequest)
	check(slices.Equal(zeros, make([]byte, 5)), "five zeros", zeros)
	_, err := shelf.DecodeRequest([]byte{0, 0, 0, 0, 1})
	check(err != nil, "reserved bytes are zero")

	out := make([]byte, bufferBytes)
	var response shelf.ResponseBuilder
	check(response.Reset(out, 2) == nil, "there is room")
	response.Generation(8).State(shelf.StateSorted).TidiedBy(3).Offset(math.MaxInt64)
	marks := []payload.Label{{Key: "page", Value: "7"}, {Key: "line", Value: ""}}
	err = errors.Join(
		response.ThingsKept().ID(-3).Kind(shelf.KindBook).Title("KDL").Note("on loan").Marks(marks...).Finish(),
		response.ThingsKept().ID(4).Kind(200).Title("mug").State(shelf.StateSorted).Finish(),
	)
	check(err == nil, "two things", err)
	length, err := response.Finish()
	check(err == nil, "it is finished", err)
	view, err := shelf.DecodeResponse(out[:length])
	check(err == nil && view.TidiedBy() == 3 && view.Offset() == math.MaxInt64, "it decodes", err)
	check(view.At(0).Marks().Len() == 2 && view.At(1).Marks().Len() == 0, "marks")
	check(view.At(0).State() == shelf.StateMixed, "its blank value")
	owned := view.ToOwned()
	roundTrip[shelf.ResponseView, shelf.Response](&owned, shelf.DecodeResponse)

	// The rules of the header hold for builder, owned value and decoder alike.
	check(response.Reset(out, 0) == nil, "there is room")
	_, err = response.State(shelf.StateMixed).TidiedBy(1).Finish()
	refuses(err, "tidied_by", payload.FaultRule)
	mixed := shelf.Response{State: shelf.StateMixed, Generation: 1, Offset: -5}
	bad := roundTrip[shelf.ResponseView, shelf.Response](&mixed, shelf.DecodeResponse)
	mixed.Offset = 0
	_, err = mixed.Encode(out)
	refuses(err, "offset", payload.FaultRule)
	bad[6] = 1 // tidied_by
	_, err = shelf.DecodeResponse(bad)
	check(err != nil, "tidied by nobody")
	missing := response.Reset(out, 1)
	check(missing == nil, "there is room")
	refuses(response.ThingsKept().Kind(shelf.KindBook).Title("KDL").Finish(), "marks", payload.FaultRule)
	_, err = response.Finish()
	refuses(err, "marks", payload.FaultRule)
}

func tickIsNumbersAlone() {
	ticks := tick.Response{Ticks: []tick.Tick{{ID: 1, Value: math.MaxUint64}, {ID: 2, Value: 0}}}
	roundTrip[tick.ResponseView, tick.Response](&ticks, tick.DecodeResponse)
	_, err := tick.DecodeRequest([]byte{2})
	check(err == nil, "version 2", err)
	_, err = tick.DecodeRequest([]byte{1})
	check(err != nil, "version 1")
}
