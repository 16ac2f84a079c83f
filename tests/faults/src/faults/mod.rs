//! The faults, by what does the harm. Another kind is another module, and a line here.

use crate::fault::Fault;

mod files;
mod forks;
mod hostile;
mod hot_path;
mod kills;
mod nth;
mod races;
mod scarce;
mod sessions;
mod stops;
mod storms;

/// All of them, in the report's order.
pub(crate) const TABLES: &[&[Fault]] = &[
    kills::FAULTS,
    stops::FAULTS,
    files::FAULTS,
    scarce::FAULTS,
    sessions::FAULTS,
    hot_path::FAULTS,
    storms::FAULTS,
    forks::FAULTS,
    races::FAULTS,
    hostile::CLIENTS,
    hostile::SERVERS,
    hostile::BATCHES,
    hostile::HARM,
    hostile::SLOW,
    hostile::FLOODS,
    hostile::NAMES,
];
