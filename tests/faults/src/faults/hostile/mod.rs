//! Peers that mean ill: they speak raw bytes, to servers and to clients of every language, and what must come of
//! it is what the contract says, or a close. All of them have the same user: no right keeps them out.
//!
//! | file | what |
//! |---|---|
//! | `wire` | messages, as bytes at the places that the contract names |
//! | `fields` | every field of every message, and what the contract says of its values: the table |
//! | `cases` | what is sent in which state, derived from that |
//! | `raw`, `region` | the hostile peer's sockets and regions |
//! | `clients` | clients that lie to servers |
//! | `servers`, `batches` | servers that lie to clients |
//! | `harm` | third parties that harm the memory which two others share |
//! | `slow`, `floods` | clients that are slow or silent; that are many |
//! | `names` | things in the way, at every name of an endpoint |
//!
//! What it does **not** do: decode payloads of services, which fuzz targets do (`fuzz/`).

use crate::fault::{Over, Sides};
use crate::stage::Stage;

mod batches;
mod cases;
mod clients;
mod fields;
mod floods;
mod harm;
mod names;
mod raw;
mod region;
mod servers;
mod slow;
mod wire;

pub(super) use batches::BATCHES;
pub(super) use clients::CLIENTS;
pub(super) use floods::FLOODS;
pub(super) use harm::HARM;
pub(super) use names::NAMES;
pub(super) use servers::SERVERS;
pub(super) use slow::SLOW;

/// One side for each language of the server, over the socket.
fn servers_over_sockets(sides: &Sides) -> bool {
    crate::fault::each_server(sides) && sides.over == Over::Socket
}

/// The same over shared memory.
fn servers_over_regions(sides: &Sides) -> bool {
    crate::fault::each_server(sides) && sides.over == Over::Shared
}

/// One side for each language of the client, over the socket.
fn clients_over_sockets(sides: &Sides) -> bool {
    crate::fault::each_client(sides) && sides.over == Over::Socket
}

/// The same over shared memory.
fn clients_over_regions(sides: &Sides) -> bool {
    crate::fault::each_client(sides) && sides.over == Over::Shared
}

/// Sides of each of these tables.
const LANGUAGES: u32 = 3;

/// The next of these, from turn to turn: all of them in as many turns, and few turns are spread over all.
fn next_of<'t, T>(stage: &mut Stage<'_>, all: &'t [T]) -> &'t T {
    let len = all.len();
    // The golden section, made coprime: each step lands where there is most room.
    let stride = (len * 5 / 8..).find(|stride| coprime(*stride, len)).unwrap_or(1);
    &all[stage.turn_number() * stride % len]
}

fn coprime(mut a: usize, mut b: usize) -> bool {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a == 1
}
