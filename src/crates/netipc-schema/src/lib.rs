//! The schema compiler: KDL in, a checked model, one backend a language.
#![forbid(unsafe_code)]
