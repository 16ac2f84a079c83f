//! netipc: processes on one host ask each other for what they know.
#![forbid(unsafe_code)]

/// What generated codecs are built from.
pub mod codec {
    pub use netipc_proto::payload::*;
    pub use netipc_proto::{DecodeError, Defect};
}

pub mod service;
