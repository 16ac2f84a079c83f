//! The promises over the socket, and those that are about sockets.

use netipc::{Profile, Profiles};

/// What servers and clients here offer, and get.
const OFFERED: Profiles = Profiles::BASELINE;
const SELECTED: Profile = Profile::BASELINE;

#[path = "../deaths.rs"]
mod deaths;
#[path = "../field.rs"]
mod field;
#[path = "../hostile.rs"]
mod hostile;
#[path = "../idle.rs"]
mod idle;
#[path = "../restarts.rs"]
mod restarts;
#[path = "../silent.rs"]
mod silent;
#[path = "../sizes.rs"]
mod sizes;
#[path = "../support.rs"]
mod support;
