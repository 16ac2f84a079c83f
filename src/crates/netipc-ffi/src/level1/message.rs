//! Messages: a header, and a payload that nobody here looks into.

use netipc::{Header, Kind, Message, Status};

use crate::boundary::boundary;
use crate::error::nipc_error_t;
use crate::failure::Failure;

/// In nipc_header_t.kind: from client to server.
pub const NIPC_KIND_REQUEST: u16 = 1;
/// In nipc_header_t.kind: from server to client.
pub const NIPC_KIND_RESPONSE: u16 = 2;
/// In nipc_header_t.flags: the payload is a batch, with a directory.
pub const NIPC_FLAG_BATCH: u16 = 1;

/// In nipc_header_t.status: answered.
pub const NIPC_STATUS_OK: u16 = 0;
/// In nipc_header_t.status: the request does not decode.
pub const NIPC_STATUS_BAD_ENVELOPE: u16 = 1;
/// In nipc_header_t.status: not admitted.
pub const NIPC_STATUS_AUTH_FAILED: u16 = 2;
/// In nipc_header_t.status: another version.
pub const NIPC_STATUS_INCOMPATIBLE: u16 = 3;
/// In nipc_header_t.status: another method, or no profile in common.
pub const NIPC_STATUS_UNSUPPORTED: u16 = 4;
/// In nipc_header_t.status: the request or its answer is too long for the session.
pub const NIPC_STATUS_LIMIT_EXCEEDED: u16 = 5;
/// In nipc_header_t.status: the server failed.
pub const NIPC_STATUS_INTERNAL_ERROR: u16 = 6;

/// The header of a message. Everything in it is checked against what the session has agreed on, before
/// a message is sent and before one is handed out.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct nipc_header_t {
    /// NIPC_KIND_REQUEST or NIPC_KIND_RESPONSE.
    pub kind: u16,
    /// NIPC_FLAG_BATCH or 0.
    pub flags: u16,
    /// The method's code.
    pub code: u16,
    /// NIPC_STATUS_…; 0 in requests.
    pub status: u16,
    /// Bytes of the payload.
    pub payload_len: u32,
    /// 1, or the items of a batch.
    pub item_count: u32,
    /// Chosen by the client, echoed in the response.
    pub message_id: u64,
}

/// A message that was received: the payload is borrowed from the session until its next receive or its
/// close.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct nipc_message_view_t {
    /// The header.
    pub header: nipc_header_t,
    /// The payload. Not NULL, even where it has no bytes.
    pub payload: *const u8,
    /// Bytes of it.
    pub payload_len: usize,
}

/// The header of a request with one item.
#[unsafe(no_mangle)]
pub extern "C" fn nipc_header_request(
    code: u16,
    message_id: u64,
    payload_len: u32,
) -> nipc_header_t {
    nipc_header_t::new(&Header::request(code, message_id, payload_len))
}

/// The header of the answer to `request`, in kind: a batch is answered by a batch of as many items.
///
/// NIPC_ERR_INVALID_ARGUMENT where `request` is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nipc_header_response(
    request: *const nipc_header_t,
    payload_len: u32,
    response: *mut nipc_header_t,
) -> nipc_error_t {
    // SAFETY: as `boundary` says: what the header asks of callers.
    unsafe {
        boundary(|caller| {
            let (request, out) =
                (caller.in_ref(request, "request")?, caller.out(response, "response")?);
            out.write(nipc_header_t::new(&Header::response(&request.header()?, payload_len)));
            Ok(())
        })
    }
}

/// The header of an answer to `request` that is not OK: it has no payload.
///
/// NIPC_ERR_INVALID_ARGUMENT where `request` is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nipc_header_failure(
    request: *const nipc_header_t,
    status: u16,
    response: *mut nipc_header_t,
) -> nipc_error_t {
    // SAFETY: as `boundary` says: what the header asks of callers.
    unsafe {
        boundary(|caller| {
            let (request, out) =
                (caller.in_ref(request, "request")?, caller.out(response, "response")?);
            out.write(nipc_header_t::new(&Header::failure(&request.header()?, Status(status))));
            Ok(())
        })
    }
}

impl nipc_header_t {
    pub(super) const fn new(header: &Header) -> Self {
        Self {
            kind: header.kind as u16,
            flags: header.flags,
            code: header.code,
            status: header.status.0,
            payload_len: header.payload_len,
            item_count: header.item_count,
            message_id: header.message_id,
        }
    }

    /// The header as netipc has it.
    pub(super) fn header(&self) -> Result<Header, Failure> {
        let kind = match self.kind {
            NIPC_KIND_REQUEST => Kind::Request,
            NIPC_KIND_RESPONSE => Kind::Response,
            kind => {
                let words = format!("kind {kind} is neither a request's nor a response's");
                return Err(Failure::argument(words));
            }
        };
        Ok(Header {
            kind,
            flags: self.flags,
            code: self.code,
            status: Status(self.status),
            payload_len: self.payload_len,
            item_count: self.item_count,
            message_id: self.message_id,
        })
    }
}

impl nipc_message_view_t {
    pub(super) fn new(message: &Message<'_>) -> Self {
        Self {
            header: nipc_header_t::new(&message.header),
            payload: message.payload.as_ptr(),
            payload_len: message.payload.len(),
        }
    }
}
