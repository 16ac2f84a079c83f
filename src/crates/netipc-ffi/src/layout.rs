//! The layout of everything that C allocates, in bytes: size and alignment, on hosts with 64 bits.
//!
//! Asserted here, and in netipc.h: netipc-headers reads these lines. A change to one of them is a change
//! of the ABI, and needs another SONAME.

#![cfg(target_pointer_width = "64")]

use crate::client::nipc_client_ctx_t;
use crate::config::{nipc_access_policy_t, nipc_client_config_t, nipc_server_config_t};
use crate::elements::nipc_elements_t;
use crate::handler::{nipc_handler_t, nipc_request_context_t};
use crate::level1::{
    nipc_abort_t, nipc_header_t, nipc_listener_config_t, nipc_listener_t, nipc_message_view_t,
    nipc_proposal_t, nipc_session_t,
};
use crate::server::{nipc_host_t, nipc_managed_server_t};
use crate::status::{
    nipc_client_counters_t, nipc_client_status_t, nipc_handshake_counts_t, nipc_peer_t,
    nipc_server_status_t, nipc_terms_t,
};
use crate::text::{nipc_label_t, nipc_labels_view_t, nipc_str_t};
use crate::typed::cache::{nipc_cache_status_t, nipc_cache_table_t};

macro_rules! layout {
    ($($type:ty: $size:literal, $align:literal;)+) => {
        $(const _: () = assert!(size_of::<$type>() == $size && align_of::<$type>() == $align);)+
    };
}

layout! {
    nipc_client_ctx_t: 16, 8;
    nipc_managed_server_t: 16, 8;
    nipc_host_t: 16, 8;
    nipc_listener_t: 16, 8;
    nipc_session_t: 16, 8;
    nipc_abort_t: 16, 8;
    nipc_str_t: 16, 8;
    nipc_label_t: 32, 8;
    nipc_labels_view_t: 24, 8;
    nipc_elements_t: 16, 8;
    nipc_client_config_t: 56, 8;
    nipc_server_config_t: 64, 8;
    nipc_access_policy_t: 32, 8;
    nipc_listener_config_t: 80, 8;
    nipc_proposal_t: 40, 8;
    nipc_handler_t: 24, 8;
    nipc_request_context_t: 32, 8;
    nipc_header_t: 24, 8;
    nipc_message_view_t: 40, 8;
    nipc_peer_t: 12, 4;
    nipc_terms_t: 40, 8;
    nipc_handshake_counts_t: 88, 8;
    nipc_client_counters_t: 160, 8;
    nipc_client_status_t: 752, 8;
    nipc_server_status_t: 496, 8;
    nipc_cache_status_t: 1064, 8;
    nipc_cache_table_t: 56, 8;
}
