//! Every field of every message, as data: where it is, what may stand there, and what the contract says of
//! everything else. The values that a sweep writes are derived from this table.

use super::cases::PACKET_BYTES;
use super::wire::{self, Offer, Status};

/// A field: its name, its place in the message, how many bytes it has, and what a value of it comes to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) at: usize,
    pub(crate) bytes: usize,
    pub(crate) rule: Rule,
}

/// What the other end must do when it meets a value that is not the right one.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Rule {
    /// The same for all.
    Always(Reaction),
    /// As the value says.
    Depends(fn(u64) -> Reaction),
}

/// What must be seen of the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reaction {
    /// It closes, without a word.
    Close,
    /// It says this, and closes.
    Refuse(Status),
    /// It says the one or closes without a word: both are right.
    RefuseOrClose(Status),
    /// It answers this, and serves on.
    Decline(Status),
    /// It serves, or answers with a status of the request's failure: the value is one that may stand there.
    Serve,
    /// A batch's item does not decode, or decodes to something else: answered, whatever that comes to.
    Answer,
    /// It closes, whatever it says before.
    End,
    /// Anything that is no hang.
    Any,
}

use Reaction::{Answer, Any, Close, Decline, Refuse, RefuseOrClose, Serve};
use Rule::{Always, Depends};

const BAD: Rule = Always(Refuse(Status::BAD_ENVELOPE));
const OTHER_VERSION: Rule = Always(Refuse(Status::INCOMPATIBLE));
const ENDS: Rule = Always(Close);

/// What servers under test allow for a request, as every typed service does by default.
pub(crate) const SERVER_REQUEST_CEILING_BYTES: u64 = 1 << 20;
/// Packets hold a header and more.
const PACKET_TOO_SHORT_BYTES: u64 = 32;

const fn field(name: &'static str, at: usize, bytes: usize, rule: Rule) -> Field {
    Field { name, at, bytes, rule }
}

/// HELLO, its header and its payload (spec section 4).
pub(crate) const HELLO: &[Field] = &[
    field("magic", 0, 4, BAD),
    field("version", 4, 2, OTHER_VERSION),
    field("header_len", 6, 2, BAD),
    field("kind", 8, 2, BAD),
    field("flags", 10, 2, BAD),
    field("code", 12, 2, BAD),
    field("transport_status", 14, 2, BAD),
    field("payload_len", 16, 4, BAD),
    field("item_count", 20, 4, BAD),
    field("message_id", 24, 8, BAD),
    field("layout_version", 32, 2, OTHER_VERSION),
    field("payload flags", 34, 2, BAD),
    field("supported_profiles", 36, 4, Depends(supported)),
    field("preferred_profiles", 40, 4, Always(Serve)),
    field("max_request_payload_bytes", 44, 4, Depends(request_ceiling)),
    field("max_request_batch_items", 48, 4, Depends(not_zero)),
    field("max_response_payload_bytes", 52, 4, Depends(not_zero)),
    field("max_response_batch_items", 56, 4, Depends(not_zero)),
    field("reserved", 60, 4, BAD),
    field("auth_token", 64, 8, Always(Refuse(Status::AUTH_FAILED))),
    field("packet_size", 72, 4, Depends(packet_size)),
];

/// What servers under test support where these are sent.
const SERVER_SUPPORTS: u32 = wire::BASELINE;

const fn supported(value: u64) -> Reaction {
    match value as u32 & SERVER_SUPPORTS {
        0 => Refuse(Status::UNSUPPORTED),
        _ => Serve,
    }
}

const fn request_ceiling(value: u64) -> Reaction {
    match value {
        0 => Refuse(Status::BAD_ENVELOPE),
        1..=SERVER_REQUEST_CEILING_BYTES => Serve,
        _ => Refuse(Status::LIMIT_EXCEEDED),
    }
}

const fn not_zero(value: u64) -> Reaction {
    match value {
        0 => Refuse(Status::BAD_ENVELOPE),
        _ => Serve,
    }
}

const fn packet_size(value: u64) -> Reaction {
    match value {
        0..=PACKET_TOO_SHORT_BYTES => Refuse(Status::INCOMPATIBLE),
        _ => Serve,
    }
}

/// A request's header (spec section 1), its limits being [`LIMIT_BYTES`] and [`LIMIT_ITEMS`].
pub(crate) const REQUEST: &[Field] = &[
    field("magic", 0, 4, ENDS),
    field("version", 4, 2, ENDS),
    field("header_len", 6, 2, ENDS),
    field("kind", 8, 2, ENDS),
    field("flags", 10, 2, Depends(request_flags)),
    field("code", 12, 2, Always(Decline(Status::UNSUPPORTED))),
    field("transport_status", 14, 2, ENDS),
    field("payload_len", 16, 4, Depends(payload_len)),
    field("item_count", 20, 4, Depends(item_count)),
    field("message_id", 24, 8, Always(Serve)),
];

/// What hostile clients propose.
pub(crate) const LIMIT_BYTES: u32 = 8192;
pub(crate) const LIMIT_ITEMS: u32 = 16;

/// The same.
pub(crate) const OFFER: Offer = Offer {
    supported: wire::BASELINE,
    request_bytes: LIMIT_BYTES,
    items: LIMIT_ITEMS,
    token: 0,
    packet_bytes: PACKET_BYTES,
};

/// A batch that is none: what stands where its directory should.
const BAD_DIRECTORY: Reaction = RefuseOrClose(Status::BAD_ENVELOPE);

const fn request_flags(value: u64) -> Reaction {
    if value == wire::BATCH as u64 { BAD_DIRECTORY } else { Close }
}

const fn payload_len(value: u64) -> Reaction {
    if value > LIMIT_BYTES as u64 { Refuse(Status::LIMIT_EXCEEDED) } else { Close }
}

const fn item_count(value: u64) -> Reaction {
    if value > LIMIT_ITEMS as u64 { RefuseOrClose(Status::LIMIT_EXCEEDED) } else { Close }
}

/// A request's payload: string-reverse (spec section 10.2). The length of what is asked is [`TEXT`]'s.
pub(crate) const PAYLOAD: &[Field] = &[field("offset", 32, 4, BAD), field("length", 36, 4, BAD)];

/// What well-meant requests ask for.
pub(crate) const TEXT: &[u8] = b"a text of some length";

/// A chunk's header (spec section 3): whatever is wrong with it ends the session.
pub(crate) const CHUNK: &[Field] = &[
    field("magic", 0, 4, ENDS),
    field("version", 4, 2, ENDS),
    field("flags", 6, 2, ENDS),
    field("message_id", 8, 8, ENDS),
    field("total_message_len", 16, 4, ENDS),
    field("chunk_index", 20, 4, ENDS),
    field("chunk_count", 24, 4, ENDS),
    field("chunk_payload_len", 28, 4, ENDS),
];

/// The directory of a batch of [`BATCH_TEXTS`] (spec section 2).
pub(crate) const BATCH: &[Field] = &[
    field("flags", 10, 2, ENDS),
    field("item_count", 20, 4, Depends(batch_items)),
    field("offset of the first", 32, 4, Depends(item_offset)),
    field("length of the first", 36, 4, Depends(item_length)),
    field("offset of the last", 48, 4, Depends(item_offset)),
    field("length of the last", 52, 4, Depends(last_length)),
];

/// What a batch asks for. Each of its items has 16 bytes, padded, so that the packed area has 48.
pub(crate) const BATCH_TEXTS: [&[u8]; 3] = [b"first", b"secnd", b"third"];
const PACKED_BYTES: u64 = 48;
const ITEM_BYTES: u64 = 14;
const LAST_OFFSET: u64 = 32;
const OFFSET_ALIGNMENT: u64 = 8;

const fn batch_items(value: u64) -> Reaction {
    // With fewer, the packed area begins earlier, and items that do not decode are its places; with more, the
    // directory ends in the items.
    match value {
        0 => Close,
        _ if value > LIMIT_ITEMS as u64 => RefuseOrClose(Status::LIMIT_EXCEEDED),
        1 | 2 => Answer,
        _ => BAD_DIRECTORY,
    }
}

const fn item_offset(value: u64) -> Reaction {
    if value.is_multiple_of(OFFSET_ALIGNMENT) && value + ITEM_BYTES <= PACKED_BYTES {
        Answer
    } else {
        BAD_DIRECTORY
    }
}

const fn item_length(value: u64) -> Reaction {
    if value <= PACKED_BYTES { Answer } else { BAD_DIRECTORY }
}

const fn last_length(value: u64) -> Reaction {
    if LAST_OFFSET + value <= PACKED_BYTES { Answer } else { BAD_DIRECTORY }
}

/// HELLO_ACK, its header and its payload, for clients: [`Serve`] means that the session may come to be.
pub(crate) const ACK: &[Field] = &[
    field("magic", 0, 4, ENDS),
    field("version", 4, 2, ENDS),
    field("header_len", 6, 2, ENDS),
    field("kind", 8, 2, ENDS),
    field("flags", 10, 2, ENDS),
    field("code", 12, 2, ENDS),
    field("transport_status", 14, 2, ENDS),
    field("payload_len", 16, 4, ENDS),
    field("item_count", 20, 4, ENDS),
    field("message_id", 24, 8, ENDS),
    field("layout_version", 32, 2, ENDS),
    field("payload flags", 34, 2, ENDS),
    field("server_supported_profiles", 36, 4, Always(Any)),
    field("intersection_profiles", 40, 4, Always(Any)),
    field("selected_profile", 44, 4, ENDS),
    field("agreed_max_request_payload_bytes", 48, 4, ENDS),
    field("agreed_max_request_batch_items", 52, 4, ENDS),
    field("agreed_max_response_payload_bytes", 56, 4, Always(Any)),
    field("agreed_max_response_batch_items", 60, 4, Always(Any)),
    // Servers may grant less than what was proposed, but for a header and nothing.
    field("agreed_packet_size", 64, 4, Always(Any)),
    field("reserved", 68, 4, ENDS),
    field("session_id", 72, 8, Always(Serve)),
];

/// A response's header, for clients.
pub(crate) const RESPONSE: &[Field] = &[
    field("magic", 0, 4, ENDS),
    field("version", 4, 2, ENDS),
    field("header_len", 6, 2, ENDS),
    field("kind", 8, 2, ENDS),
    field("flags", 10, 2, ENDS),
    field("code", 12, 2, ENDS),
    field("transport_status", 14, 2, ENDS),
    field("payload_len", 16, 4, ENDS),
    field("item_count", 20, 4, ENDS),
    field("message_id", 24, 8, ENDS),
    field("offset", 32, 4, ENDS),
    field("length", 36, 4, ENDS),
];

/// The header and the directory of an answer to a batch, for clients.
pub(crate) const BATCH_RESPONSE: &[Field] = &[
    field("flags", 10, 2, ENDS),
    field("item_count", 20, 4, ENDS),
    field("offset of the first", 32, 4, ENDS),
    field("length of the first", 36, 4, ENDS),
];

/// A region's header (spec section 7), as a client meets it before it attaches. What is wrong with it makes a
/// client reconnect on the baseline; owner, generation and counters may be anything.
pub(crate) const REGION: &[Field] = &[
    field("magic", 0, 4, ENDS),
    field("version", 4, 2, ENDS),
    field("header_len", 6, 2, ENDS),
    field("owner_pid", 8, 4, Always(Serve)),
    field("owner_generation", 12, 4, Always(Serve)),
    field("request_offset", 16, 4, Always(Serve)),
    field("request_capacity", 20, 4, Always(Serve)),
    field("response_offset", 24, 4, Always(Serve)),
    field("response_capacity", 28, 4, Always(Serve)),
    field("req_seq", 32, 8, Always(Serve)),
    field("resp_seq", 40, 8, Always(Serve)),
    field("req_len", 48, 4, Always(Serve)),
    field("resp_len", 52, 4, Always(Serve)),
    field("req_signal", 56, 4, Always(Serve)),
    field("resp_signal", 60, 4, Always(Serve)),
];

/// The values to try where `message` has the right one: neighbours, every bit turned, the edges of every width,
/// and the numbers that mean something anywhere in the contract.
pub(crate) fn bad_values(field: &Field, message: &[u8]) -> Vec<u64> {
    const EDGES: [u64; 22] =
        [0, 1, 2, 3, 4, 7, 8, 16, 31, 32, 33, 44, 48, 63, 64, 127, 128, 255, 256, 8191, 8192, 8193];
    let bits = field.bytes * 8;
    let most = if bits == 64 { u64::MAX } else { (1 << bits) - 1 };
    let right = field.value(message);
    let mut values: Vec<u64> = EDGES.to_vec();
    values.extend([
        0x7fff,
        0x8000,
        0xffff,
        0x1_0000,
        1 << 20,
        (1 << 20) + 1,
        0x7fff_ffff,
        0x8000_0000,
    ]);
    values.extend([u64::from(u32::MAX), 1 << 32, 1 << 62, 1 << 63, most, most - 1, most / 2]);
    values.extend([right.wrapping_add(1), right.wrapping_sub(1), right.wrapping_mul(2), !right]);
    values.extend([right.swap_bytes() >> (64 - bits), right.rotate_left(8)]);
    values.extend((0..bits).map(|bit| right ^ (1 << bit)));
    for value in &mut values {
        *value &= most;
    }
    values.sort_unstable();
    values.dedup();
    values.retain(|value| *value != right);
    values
}

impl Field {
    /// What stands in the message.
    pub(crate) fn value(&self, message: &[u8]) -> u64 {
        let bytes = &message[self.at..self.at + self.bytes];
        match *bytes {
            [a, b] => u16::from_ne_bytes([a, b]).into(),
            [a, b, c, d] => u32::from_ne_bytes([a, b, c, d]).into(),
            _ => {
                let mut whole = [0; 8];
                whole.copy_from_slice(bytes);
                u64::from_ne_bytes(whole)
            }
        }
    }

    /// The message with another value.
    pub(crate) fn with(&self, message: &[u8], value: u64) -> Vec<u8> {
        let mut changed = message.to_vec();
        let place = &mut changed[self.at..self.at + self.bytes];
        match self.bytes {
            2 => place.copy_from_slice(&(value as u16).to_ne_bytes()),
            4 => place.copy_from_slice(&(value as u32).to_ne_bytes()),
            _ => place.copy_from_slice(&value.to_ne_bytes()),
        }
        changed
    }

    /// What must come of a value.
    pub(crate) fn reaction(&self, value: u64) -> Reaction {
        match self.rule {
            Always(reaction) => reaction,
            Depends(judge) => judge(value),
        }
    }
}
