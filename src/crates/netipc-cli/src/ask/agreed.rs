//! What a handshake agreed on, for people and for programs.

use netipc::client::SessionStatus;
use netipc::{PeerIdentity, Profiles};
use serde_json::{Value, json};

use crate::table::grouped;

/// A line for each thing agreed: its name and value.
pub(crate) fn agreed_lines(session: &SessionStatus) -> [(&'static str, String); 5] {
    let terms = &session.terms;
    let limits = |limits: &netipc::Limits| {
        let (bytes, items) = (grouped(limits.payload_bytes.into()), limits.batch_items);
        format!("{bytes} bytes, {} items a batch", grouped(items.into()))
    };
    [
        ("profile", format!("{} ({})", terms.profile.name(), session.profile_reason)),
        ("requests", limits(&terms.request)),
        ("responses", limits(&terms.response)),
        ("packets", format!("{} bytes", grouped(terms.packet_size.bytes().into()))),
        ("server", format!("pid {}, uid {}", peer_pid(&session.peer), session.peer.uid)),
    ]
}

/// The same as an object.
pub(crate) fn agreed_json(session: &SessionStatus) -> Value {
    let SessionStatus { id, terms, server_supported, peer, profile_reason } = session;
    let mut object = terms_json(*id, terms, *server_supported, peer);
    object["profile_reason"] = profile_reason.as_str().into();
    object
}

/// The same of a session that is no client's.
pub(crate) fn terms_json(
    id: u64,
    terms: &netipc::Terms,
    server_supported: Profiles,
    peer: &PeerIdentity,
) -> Value {
    json!({
        "id": id,
        "profile": terms.profile.name(),
        "profile_bit": terms.profile.bit(),
        "server_profiles": server_supported.0,
        "max_request_payload_bytes": terms.request.payload_bytes,
        "max_request_batch_items": terms.request.batch_items,
        "max_response_payload_bytes": terms.response.payload_bytes,
        "max_response_batch_items": terms.response.batch_items,
        "packet_bytes": terms.packet_size.bytes(),
        "server_pid": peer.pid,
        "server_uid": peer.uid,
    })
}

/// A pid for people: a process of a foreign pid namespace has none here.
pub(crate) fn peer_pid(peer: &PeerIdentity) -> String {
    peer.pid.map_or_else(|| "?".to_owned(), |pid| pid.to_string())
}
