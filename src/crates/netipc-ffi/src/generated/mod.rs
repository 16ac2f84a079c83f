//! Glue, one file a service, written by the schema compiler.

/// The services that nipc_client_init() knows.
pub(crate) const SERVICES: &[crate::client::KnownService] = &[];
