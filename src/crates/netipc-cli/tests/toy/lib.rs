//! What was generated, with nothing between it and the compiler's warnings.
#![deny(warnings, missing_docs, missing_debug_implementations)]

/// Generated.
pub mod services;
