//go:build armbe || arm64be || mips || mips64 || ppc || ppc64 || s390 || s390x || sparc || sparc64

package protocol

// word is two numbers as they stand in memory one after the other, the second one of so many bits.
func word(first, second uint64, bits uint) uint64 { return first<<bits | second }
