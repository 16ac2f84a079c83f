//! Messages as a hostile peer writes them: bytes at the places that the contract names (spec sections 1 to 4),
//! put together here and by nothing that the libraries use, so that no mistake is made on both ends alike.

/// Bytes of a message header, and of a chunk's.
pub(crate) const HEADER_BYTES: usize = 32;
/// Bytes of HELLO and of HELLO_ACK, headers included.
pub(crate) const HELLO_BYTES: usize = 76;
pub(crate) const ACK_BYTES: usize = 80;

const MAGIC: u32 = 0x4e49_5043;
const CHUNK_MAGIC: u32 = 0x4e43_484b;
const VERSION: u16 = 1;

pub(crate) const REQUEST: u16 = 1;
pub(crate) const RESPONSE: u16 = 2;
pub(crate) const CONTROL: u16 = 3;
/// The flag of a batch.
pub(crate) const BATCH: u16 = 1;
/// Opcodes of control messages.
pub(crate) const OPCODE_HELLO: u16 = 1;
pub(crate) const OPCODE_HELLO_ACK: u16 = 2;
pub(crate) const OPCODE_BYE: u16 = 0x0100;
/// The service that all are asked for.
pub(crate) const STRING_REVERSE: u16 = 3;

/// Profiles.
pub(crate) const BASELINE: u32 = 1;
pub(crate) const SHARED_MEMORY: u32 = 2;

/// A transport status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Status(pub(crate) u16);

impl Status {
    pub(crate) const OK: Self = Self(0);
    pub(crate) const BAD_ENVELOPE: Self = Self(1);
    pub(crate) const AUTH_FAILED: Self = Self(2);
    pub(crate) const INCOMPATIBLE: Self = Self(3);
    pub(crate) const UNSUPPORTED: Self = Self(4);
    pub(crate) const LIMIT_EXCEEDED: Self = Self(5);
    pub(crate) const BUSY: Self = Self(0x0100);
}

/// A message header in the making.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header {
    pub(crate) kind: u16,
    pub(crate) flags: u16,
    pub(crate) code: u16,
    pub(crate) status: Status,
    pub(crate) payload_len: u32,
    pub(crate) item_count: u32,
    pub(crate) message_id: u64,
}

impl Header {
    pub(crate) const fn new(kind: u16, code: u16, message_id: u64, payload_len: usize) -> Self {
        let payload_len = payload_len as u32;
        Self { kind, flags: 0, code, status: Status::OK, payload_len, item_count: 1, message_id }
    }

    /// The message, `payload` behind it.
    pub(crate) fn message(&self, payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_BYTES + payload.len());
        bytes.extend(MAGIC.to_ne_bytes());
        for half in [VERSION, HEADER_BYTES as u16, self.kind, self.flags, self.code, self.status.0]
        {
            bytes.extend(half.to_ne_bytes());
        }
        bytes.extend(self.payload_len.to_ne_bytes());
        bytes.extend(self.item_count.to_ne_bytes());
        bytes.extend(self.message_id.to_ne_bytes());
        bytes.extend(payload);
        bytes
    }
}

/// What one side of a handshake offers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Offer {
    pub(crate) supported: u32,
    pub(crate) request_bytes: u32,
    pub(crate) items: u32,
    pub(crate) token: u64,
    pub(crate) packet_bytes: u32,
}

impl Offer {
    /// The whole HELLO.
    pub(crate) fn hello(&self) -> Vec<u8> {
        let mut payload = Vec::with_capacity(HELLO_BYTES);
        payload.extend(1_u16.to_ne_bytes());
        payload.extend(0_u16.to_ne_bytes());
        let (bytes, items) = (self.request_bytes, self.items);
        for word in [self.supported, self.supported, bytes, items, bytes, items, 0] {
            payload.extend(word.to_ne_bytes());
        }
        payload.extend(self.token.to_ne_bytes());
        payload.extend(self.packet_bytes.to_ne_bytes());
        Header::new(CONTROL, OPCODE_HELLO, 0, payload.len()).message(&payload)
    }

    /// The HELLO_ACK of a server that grants this, by the profile `selected`.
    pub(crate) fn ack(&self, selected: u32, session_id: u64) -> Vec<u8> {
        let mut payload = Vec::with_capacity(ACK_BYTES);
        payload.extend(1_u16.to_ne_bytes());
        payload.extend(0_u16.to_ne_bytes());
        let (bytes, items) = (self.request_bytes, self.items);
        let words = [
            self.supported,
            self.supported,
            selected,
            bytes,
            items,
            bytes,
            items,
            self.packet_bytes,
            0,
        ];
        for word in words {
            payload.extend(word.to_ne_bytes());
        }
        payload.extend(session_id.to_ne_bytes());
        Header::new(CONTROL, OPCODE_HELLO_ACK, 0, payload.len()).message(&payload)
    }

    /// What a HELLO asks for.
    pub(crate) fn of_hello(message: &[u8]) -> Option<Self> {
        (message.len() == HELLO_BYTES).then(|| Self {
            supported: u32_at(message, 36),
            request_bytes: u32_at(message, 44),
            items: u32_at(message, 48),
            token: u64_at(message, 64),
            packet_bytes: u32_at(message, 72),
        })
    }
}

/// What a server granted, as far as a hostile client wants to know.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Granted {
    pub(crate) selected: u32,
    pub(crate) session_id: u64,
}

impl Granted {
    /// Of a HELLO_ACK that is one.
    pub(crate) fn of_ack(message: &[u8]) -> Option<Self> {
        (message.len() == ACK_BYTES && status_of(message) == Some(Status::OK))
            .then(|| Self { selected: u32_at(message, 44), session_id: u64_at(message, 72) })
    }
}

/// A chunk's header.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chunk {
    pub(crate) message_id: u64,
    pub(crate) total_bytes: u32,
    pub(crate) index: u32,
    pub(crate) count: u32,
}

impl Chunk {
    pub(crate) fn packet(&self, payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_BYTES + payload.len());
        bytes.extend(CHUNK_MAGIC.to_ne_bytes());
        bytes.extend(VERSION.to_ne_bytes());
        bytes.extend(0_u16.to_ne_bytes());
        bytes.extend(self.message_id.to_ne_bytes());
        for word in [self.total_bytes, self.index, self.count, payload.len() as u32] {
            bytes.extend(word.to_ne_bytes());
        }
        bytes.extend(payload);
        bytes
    }
}

/// The payload of string-reverse, both ways (spec section 10.2).
pub(crate) fn string(text: &[u8]) -> Vec<u8> {
    const TEXT_AT: u32 = 8;
    let mut payload = Vec::with_capacity(text.len() + 9);
    payload.extend(TEXT_AT.to_ne_bytes());
    payload.extend((text.len() as u32).to_ne_bytes());
    payload.extend(text);
    payload.push(0);
    payload
}

/// A request to reverse `text`.
pub(crate) fn request(message_id: u64, text: &[u8]) -> Vec<u8> {
    let payload = string(text);
    Header::new(REQUEST, STRING_REVERSE, message_id, payload.len()).message(&payload)
}

/// The right answer to that.
pub(crate) fn response(message_id: u64, text: &[u8]) -> Vec<u8> {
    let reversed: Vec<u8> = text.iter().rev().copied().collect();
    let payload = string(&reversed);
    Header::new(RESPONSE, STRING_REVERSE, message_id, payload.len()).message(&payload)
}

/// A batch of such texts, as a request or a response.
pub(crate) fn batch(kind: u16, message_id: u64, texts: &[&[u8]]) -> Vec<u8> {
    const ALIGNMENT: usize = 8;
    let (mut directory, mut items) = (Vec::new(), Vec::new());
    for text in texts {
        let item = string(text);
        directory.extend((items.len() as u32).to_ne_bytes());
        directory.extend((item.len() as u32).to_ne_bytes());
        items.extend(item);
        items.resize(items.len().next_multiple_of(ALIGNMENT), 0);
    }
    directory.extend(items);
    let mut header = Header::new(kind, STRING_REVERSE, message_id, directory.len());
    header.flags = BATCH;
    header.item_count = texts.len() as u32;
    header.message(&directory)
}

/// A control message without a payload.
pub(crate) fn control(opcode: u16) -> Vec<u8> {
    Header::new(CONTROL, opcode, 0, 0).message(&[])
}

/// Cuts a message into packets of at most `packet_bytes`, as both ends must (spec section 3).
pub(crate) fn packets(message: &[u8], packet_bytes: usize) -> Vec<Vec<u8>> {
    let room = packet_bytes - HEADER_BYTES;
    let (first, rest) = message.split_at(message.len().min(packet_bytes));
    let count = 1 + rest.len().div_ceil(room);
    let mut packets = vec![first.to_vec()];
    for (index, payload) in rest.chunks(room).enumerate() {
        let chunk = Chunk {
            message_id: u64_at(message, 24),
            total_bytes: message.len() as u32,
            index: index as u32 + 1,
            count: count as u32,
        };
        packets.push(chunk.packet(payload));
    }
    packets
}

/// The kind of a message; `None` where there is no header, or another magic number.
pub(crate) fn kind_of(message: &[u8]) -> Option<u16> {
    const KIND_AT: usize = 8;
    let bytes = message.get(KIND_AT..KIND_AT + 2)?.try_into().ok()?;
    (u32_at(message, 0) == MAGIC).then_some(u16::from_ne_bytes(bytes))
}

/// The status of a response, or of a control message; `None` where there is no header.
pub(crate) fn status_of(message: &[u8]) -> Option<Status> {
    let bytes = message.get(14..16)?.try_into().ok()?;
    Some(Status(u16::from_ne_bytes(bytes)))
}

/// The id of a message; 0 where there is no header.
pub(crate) fn id_of(message: &[u8]) -> u64 {
    if message.len() < HEADER_BYTES { 0 } else { u64_at(message, 24) }
}

fn u32_at(message: &[u8], at: usize) -> u32 {
    let mut bytes = [0; 4];
    bytes.copy_from_slice(&message[at..at + 4]);
    u32::from_ne_bytes(bytes)
}

fn u64_at(message: &[u8], at: usize) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&message[at..at + 8]);
    u64::from_ne_bytes(bytes)
}

/// Bytes of a message, as its header has it.
pub(crate) fn total_bytes(message: &[u8]) -> Option<usize> {
    (message.len() >= HEADER_BYTES).then(|| HEADER_BYTES + u32_at(message, 16) as usize)
}

/// What a request asks to reverse.
pub(crate) fn text_of(message: &[u8]) -> Option<Vec<u8>> {
    const TEXT_AT: usize = 40;
    let len = (message.len() >= TEXT_AT).then(|| u32_at(message, 36) as usize)?;
    Some(message.get(TEXT_AT..TEXT_AT + len)?.to_vec())
}

/// What a batch asks to reverse.
pub(crate) fn texts_of(message: &[u8]) -> Option<Vec<Vec<u8>>> {
    const ENTRY_BYTES: usize = 8;
    let items = (message.len() >= HEADER_BYTES).then(|| u32_at(message, 20) as usize)?;
    let packed = message.get(HEADER_BYTES + items * ENTRY_BYTES..)?;
    let text = |item: usize| {
        let offset = u32_at(message, HEADER_BYTES + item * ENTRY_BYTES) as usize;
        // An item is as the payload of a message is that has it alone.
        let alone = [&message[..HEADER_BYTES], packed.get(offset..)?].concat();
        text_of(&alone)
    };
    (0..items).map(text).collect()
}
