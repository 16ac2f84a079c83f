//! A peer that sends packets of its own making, and sees those that come as they are.

use std::io::IoSlice;
use std::path::PathBuf;
use std::time::Duration;

use netipc::{Deadline, Endpoint, Limits, Profiles, Status};
use netipc_proto::hello::{Hello, HelloAck};
use netipc_sys::{
    Accepted, BindOptions, Listener, PacketChannel, RecvError, RegionChannel, RegionSizes, Until,
    connect,
};

use super::region_name::region_name;
use super::{HEADER_BYTES, Place, TOKEN, abort, long};

/// Longer than any packet.
const BUFFER_BYTES: usize = 1 << 20;

/// Of the sessions that a raw server grants.
const RAW_SESSION_ID: u64 = 1;

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

/// One end of a session over shared memory: messages of the test's own making.
pub(crate) struct RawRegion {
    pub(crate) socket: Raw,
    pub(crate) channel: RegionChannel,
    pub(crate) path: PathBuf,
}

impl RawRegion {
    /// A client's end, with limits of `bytes` both ways.
    pub(crate) fn session(endpoint: &Endpoint, bytes: u32) -> Self {
        let socket = Raw::connect(endpoint);
        socket.send(&shared_memory_hello(bytes).message());
        let ack = HelloAck::decode(&socket.recv()[HEADER_BYTES..]).expect("a session");
        assert_eq!(ack.selected, Profiles::SHM_HYBRID);
        let path = region_path(endpoint, ack.session_id);
        let name = region_name(endpoint, TOKEN, ack.session_id);
        let (own, sizes) = (netipc_sys::own_uid(), sizes(&ack));
        let channel = RegionChannel::attach(name, sizes, own, &socket.0, long(), &abort());
        Self { channel: channel.expect("attached"), socket, path }
    }

    pub(crate) fn publish(&self, message: &[u8]) {
        self.channel.send(&[message]).expect("published");
    }

    pub(crate) fn recv(&self) -> Vec<u8> {
        let mut message = Vec::new();
        let abort = abort();
        let until = Until { deadline: long(), abort: Some(&abort), socket: Some(&self.socket.0) };
        let len = self.channel.receive(&mut message, BUFFER_BYTES, until).expect("a message");
        message.truncate(len);
        message
    }
}

/// The messages that were agreed on, headers included.
fn sizes(ack: &HelloAck) -> RegionSizes {
    RegionSizes {
        request_bytes: HEADER_BYTES + ack.request.payload_bytes as usize,
        response_bytes: HEADER_BYTES + ack.response.payload_bytes as usize,
    }
}

/// Where the region of a session is (spec section 5).
pub(crate) fn region_path(endpoint: &Endpoint, session_id: u64) -> PathBuf {
    endpoint.run_dir().join(format!("{}-{session_id:016x}.ipcshm", endpoint.service()))
}

pub(crate) fn shared_memory_hello(bytes: u32) -> Hello {
    let supported = Profiles::BASELINE | Profiles::SHM_HYBRID;
    Hello { supported, preferred: supported, ..hello(bytes) }
}

impl RawServer {
    pub(crate) fn start(place: &Place) -> Self {
        let options = BindOptions { backlog: 1, ..BindOptions::default() };
        Self(Listener::bind(place.endpoint.socket_path(), &options).expect("bound"))
    }

    /// One whose backlog is full, and who fills it.
    pub(crate) fn full(place: &Place) -> (Self, Vec<Raw>) {
        let server = Self::start(place);
        let mut fillers = Vec::new();
        let soon = || Deadline::after(Duration::ZERO);
        while let Ok(channel) = connect(place.endpoint.socket_path(), soon(), &abort()) {
            fillers.push(Raw(channel));
        }
        (server, fillers)
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

    /// Accepts a client that offers shared memory, which it gets, after `make` was given the region's
    /// path: whether there is one is the test's business.
    pub(crate) fn promise_region<T>(
        &self,
        place: &Place,
        make: impl FnOnce(PathBuf, RegionSizes) -> T,
    ) -> (Raw, T) {
        let raw = self.accept();
        let hello = decode_hello(&raw.recv());
        assert!(hello.supported.contains(Profiles::SHM_HYBRID), "{hello:?}");
        let both = Profiles::BASELINE | Profiles::SHM_HYBRID;
        let ack = HelloAck {
            server_supported: both,
            intersection: both,
            selected: Profiles::SHM_HYBRID,
            ..ack(&hello)
        };
        let made = make(region_path(&place.endpoint, ack.session_id), sizes(&ack));
        // That the client has left is none of the server's concern.
        let _gone = raw.0.send(&[IoSlice::new(&ack.message())], long(), &abort());
        (raw, made)
    }

    /// Accepts a client that offers shared memory, with all that belongs to it.
    pub(crate) fn agree_region(&self, place: &Place) -> RawRegion {
        let name = region_name(&place.endpoint, TOKEN, RAW_SESSION_ID);
        let (socket, (channel, path)) = self.promise_region(place, |path, sizes| {
            (RegionChannel::create(name, sizes).expect("a region"), path)
        });
        RawRegion { socket, channel, path }
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
        session_id: RAW_SESSION_ID,
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
