package sys

// Family is what kind of system this is, as far as the contract knows kinds: which of its names and rules hold
// here. It is data, so that what is above this package needs no build tags.
type Family uint8

// The families.
const (
	// FamilyNone has no transport.
	FamilyNone Family = iota
	// FamilyPosix has packet sockets in the file system, and regions that are files (spec sections 6, 7).
	FamilyPosix
	// FamilyWindows has named pipes, and regions that are kernel objects (spec sections 8, 9).
	FamilyWindows
)
