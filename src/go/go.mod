module github.com/netipc/netipc/src/go

go 1.23
