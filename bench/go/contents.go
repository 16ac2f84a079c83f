package main

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"

	"github.com/netipc/netipc/src/go/pkg/netipc/protocol/payload"
)

// What providers know and clients expect: made from an index, so that both ends have it without asking.
const (
	// generation is what every answer carries, unless another one is asked for.
	generation = 42
	// firstPID that is known is this one plus the item's index; an unknown one comes after all of those.
	firstPID        = 1_000
	firstUnknownPID = 10_000_000
	// firstIP and firstUnknownIP are the same of addresses: the networks 10.0.0.0/8 and 11.0.0.0/8.
	firstIP        = 10 << 24
	firstUnknownIP = 11 << 24
	// country is where all known addresses are.
	country = "GR"
	// hashFactor is Knuth's multiplicative hash: spreads indices over 32 bits.
	hashFactor uint32 = 2_654_435_761
)

// group is an item of a snapshot.
type group struct {
	hash, options, enabled uint32
	name, path             string
}

func groups(count int) []group {
	all := make([]group, count)
	for i := range all {
		all[i] = group{
			hash: uint32(i) * hashFactor, options: uint32(i) % 7, enabled: uint32(i) % 2,
			name: fmt.Sprintf("docker-%06d", i),
			path: fmt.Sprintf("/sys/fs/cgroup/system.slice/docker-%06d.scope", i),
		}
	}
	return all
}

// thing can be looked up.
type thing struct {
	path, name, comm, ip string
	pid                  uint32
	known                bool
}

// things are what a lookup asks for. In mix long the first one's name has so many bytes.
func things(count int, mix string, bytes int) []thing {
	all := make([]thing, count)
	for i := range all {
		known := mix == "known" || mix == "plain" || mix == "long" || mix == "mixed" && i%2 == 0
		kind, pid, ip := "absent", uint32(firstUnknownPID), uint32(firstUnknownIP)
		if known {
			kind, pid, ip = "docker", firstPID, firstIP
		}
		address := [4]byte(binary.BigEndian.AppendUint32(nil, ip+uint32(i)))
		all[i] = thing{
			path: fmt.Sprintf("/system.slice/%s-%06d", kind, i), name: fmt.Sprintf("name-%05d", i),
			comm: fmt.Sprintf("comm-%05d", i), pid: pid + uint32(i), known: known,
			ip: netip.AddrFrom4(address).String(),
		}
	}
	if mix == "long" && count > 0 {
		all[0].name = longName(bytes)
	}
	return all
}

// longName is the alphabet, again and again.
func longName(bytes int) string {
	const alphabet = "abcdefghijklmnopqrstuvwxyz"
	return strings.Repeat(alphabet, bytes/len(alphabet)+1)[:bytes]
}

// labels of the known items of a lookup.
func labels(mix string) []payload.Label {
	if mix == "plain" {
		return nil
	}
	return []payload.Label{
		{Key: "key-0001", Value: "value-0123456789"}, {Key: "key-0002", Value: "value-9876543210"},
	}
}

const knownPath = "/system.slice/docker-"

// ofPath is the thing that a path asks for, by its last six digits: a provider's table, at its cheapest.
func ofPath(all []thing, path payload.StringView) *thing {
	if len(path) < len(knownPath) || !strings.HasPrefix(knownPath, string(path[:len(knownPath)])) {
		return nil
	}
	index := 0
	for _, digit := range path[len(knownPath):] {
		if digit < '0' || digit > '9' {
			return nil
		}
		index = index*10 + int(digit-'0')
	}
	if index >= len(all) {
		return nil
	}
	return &all[index]
}

// ofPID is the thing that a pid asks for.
func ofPID(all []thing, pid uint32) *thing {
	if pid < firstPID || pid >= firstUnknownPID || int(pid-firstPID) >= len(all) {
		return nil
	}
	return &all[pid-firstPID]
}

// ofIP is the thing that an address asks for.
func ofIP(all []thing, ip payload.StringView) *thing {
	address, err := netip.ParseAddr(string(ip))
	if err != nil || !address.Is4() {
		return nil
	}
	four := address.As4()
	number := binary.BigEndian.Uint32(four[:])
	if number < firstIP || number >= firstUnknownIP || int(number-firstIP) >= len(all) {
		return nil
	}
	return &all[number-firstIP]
}
