module example.org/stranger/plugin-go

go 1.23.0

require github.com/netipc/netipc/src/go v0.0.0

require (
	github.com/klauspost/cpuid/v2 v2.2.10 // indirect
	github.com/zeebo/xxh3 v1.1.0 // indirect
	golang.org/x/sys v0.35.0 // indirect
)

replace github.com/netipc/netipc/src/go => ../src/go
