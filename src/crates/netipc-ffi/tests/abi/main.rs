//! The functions as a program in C has them: by their names, on memory of its own, with what it reads by itself read
//! as the headers' inline functions do. What needs no peer is here, so that Miri can watch it (tools/miri); with
//! peers, programs in C do the same (src/libnetdata/netipc/tests).
//!
//! Structs are declared as in the headers, words that are the library's as words: their sizes are asserted there.

mod c;
mod lookups;
mod objects;
mod snapshots;
