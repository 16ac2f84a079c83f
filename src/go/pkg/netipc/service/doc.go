// Package service holds Levels 2 and 3 of netipc: typed clients, managed servers and caches, written
// once over what generated packages say of their service.
//
//	3  cache     Cache ─▶ Contents, swapped in whole            uses a SnapshotClient
//	2  client    CallClient  LookupClient  SnapshotClient
//	                  └──────── engine ────────┘   one logical call: retry, growth
//	   server    Server ─▶ Host                    sessions, workers, batches
//
// Clients start no goroutine. Sessions, packets and names are package transport's.
package service
