//! Every generated codec against its golden vectors and its properties.

#[rustfmt::skip]
mod generated;
mod support;
