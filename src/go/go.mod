module github.com/netipc/netipc/src/go

go 1.23.0

require (
	github.com/zeebo/xxh3 v1.1.0
	golang.org/x/sys v0.35.0
)

require github.com/klauspost/cpuid/v2 v2.2.10 // indirect
