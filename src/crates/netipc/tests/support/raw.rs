//! A peer that sends packets of its own making, and sees those that come as they are.

use std::io::IoSlice;

use netipc::{Endpoint, Limits, Profiles, Status};
use netipc_proto::hello::{Hello, HelloAck};
use netipc_sys::{Accepted, BindOptions, Listener, PacketChannel, RecvError, connect};

use super::{Place, TOKEN, abort, long};

/// Longer than any packet.
const BUFFER_BYTES: usize = 1 << 20;

/// One end of a connection.
pub(crate) struct Raw(pub(crate) PacketChannel);

/// An endpoint that accepts, and does nothing by itself.
pub(crate) struct RawServer(Listener);

impl Raw {
    pub(crate) fn connect(endpoint: &Endpoint) -> Self {
        Self(connect(endpoint.socket_path(), long(), &abort()).expect("connected"))
    }

    /// A client with a session that was agreed on as `hello` says.
    pub(crate) fn session(endpoint: &Endpoint, hello: &Hello) -> Self {
        let raw = Self::connect(endpoint);
        raw.send(&hello.message());
        assert_eq!(status(&raw.recv()), Status::OK);
        raw
    }

    pub(crate) fn send(&self, packet: &[u8]) {
        self.0.send(&[IoSlice::new(packet)], long(), &abort()).expect("sent");
    }

    pub(crate) fn recv(&self) -> Vec<u8> {
        self.try_recv().expect("a packet")
    }

    /// The next packet, or how the connection ended.
    pub(crate) fn try_recv(&self) -> Result<Vec<u8>, RecvError> {
        let mut buffer = vec![0; BUFFER_BYTES];
        let len = self.0.recv(&mut buffer, long(), &abort())?;
        buffer.truncate(len);
        Ok(buffer)
    }

    /// The peer must close without a word.
    pub(crate) fn must_close(&self) {
        assert_eq!(self.try_recv(), Err(RecvError::Closed));
    }
}

impl RawServer {
    pub(crate) fn start(place: &Place) -> Self {
        let options = BindOptions { backlog: 1, ..BindOptions::default() };
        Self(Listener::bind(place.endpoint.socket_path(), &options).expect("bound"))
    }

    pub(crate) fn accept(&self) -> Raw {
        match self.0.accept(long(), &abort()).expect("a client") {
            Accepted::Channel(channel) => Raw(channel),
            Accepted::Overflow(_) => panic!("there are descriptors enough"),
        }
    }

    /// Accepts a client and agrees to what it proposes, with `change`.
    pub(crate) fn agree(&self, change: impl FnOnce(&mut HelloAck)) -> Raw {
        let raw = self.accept();
        let hello = decode_hello(&raw.recv());
        let mut ack = ack(&hello);
        change(&mut ack);
        raw.send(&ack.message());
        raw
    }
}

/// What a raw client proposes unless a test says otherwise.
pub(crate) fn hello(bytes: u32) -> Hello {
    let limits = Limits { payload_bytes: bytes, batch_items: 8 };
    Hello {
        supported: Profiles::BASELINE,
        preferred: Profiles::BASELINE,
        request: limits,
        response_hint: limits,
        auth_token: TOKEN,
        packet_size: 4096,
    }
}

pub(crate) fn decode_hello(message: &[u8]) -> Hello {
    Hello::decode(&message[32..]).expect("a good HELLO")
}

/// What a server grants that agrees to all.
pub(crate) fn ack(hello: &Hello) -> HelloAck {
    HelloAck {
        server_supported: Profiles::BASELINE,
        intersection: Profiles::BASELINE,
        selected: Profiles::BASELINE,
        request: hello.request,
        response: hello.response_hint,
        packet_size: hello.packet_size,
        session_id: 1,
    }
}

/// The transport status of a message.
pub(crate) fn status(message: &[u8]) -> Status {
    Status(u16::from_ne_bytes([message[14], message[15]]))
}

/// A header and what follows it.
pub(crate) fn packet(header: &netipc::Header, payload: &[u8]) -> Vec<u8> {
    [&header.encode()[..], payload].concat()
}
