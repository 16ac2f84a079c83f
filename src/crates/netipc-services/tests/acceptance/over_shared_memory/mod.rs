//! The same promises over shared memory, but for those that are about sockets.

use netipc::{Profile, Profiles};

/// What servers and clients here offer, and get.
const OFFERED: Profiles = Profiles(Profiles::BASELINE.0 | Profiles::SHM_HYBRID.0);
const SELECTED: Profile = Profile::SHM_HYBRID;

#[path = "../deaths.rs"]
mod deaths;
#[path = "../idle.rs"]
mod idle;
#[path = "../restarts.rs"]
mod restarts;
#[path = "../sizes.rs"]
mod sizes;
#[path = "../support.rs"]
#[expect(dead_code, reason = "those about sockets need more")]
mod support;
