//! The services of the netipc contract: generated code only.
#![forbid(unsafe_code)]
