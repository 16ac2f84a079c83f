//! Servers that do what a test says, on bare sockets and regions: how peers in the field behave, and
//! worse.

use std::io::IoSlice;
use std::panic::resume_unwind;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use netipc::{Abort, Deadline, Endpoint, Header, Limits, PacketSize, Profiles, Status};
use netipc_proto::chunk::Split;
use netipc_proto::header::{HEADER_LEN, opcode};
use netipc_proto::hello::{HELLO_ACK_LEN, Hello, HelloAck};
use netipc_sys::{
    Accepted, BindOptions, CreateError, Events, Interest, Listener, PacketChannel, RegionChannel,
    RegionSizes, Until, WaitSet, WatchMode,
};

use super::region_name::region_name;

/// Longer than any test: what waits so long hangs.
const PATIENCE: Duration = Duration::from_secs(60);
const PACKET_BYTES: u32 = 100_000;
/// What any socket carries in one packet is less.
const LONGEST_PACKET_BYTES: usize = 300_000;

/// A server whose connections a script handles, each in a thread of its own.
pub struct Server {
    abort: Abort,
    accepted: Arc<AtomicUsize>,
    acceptor: Option<JoinHandle<()>>,
    connections: Arc<Mutex<Vec<JoinHandle<()>>>>,
}

impl Server {
    /// `script` is given the number of the connection, from 0 on, and its other end.
    pub fn start(
        endpoint: &Endpoint,
        script: impl Fn(usize, Peer) + Send + Sync + 'static,
    ) -> Self {
        let listener =
            Listener::bind(endpoint.socket_path(), &BindOptions::default()).expect("bind");
        let abort = Abort::new().expect("an abort handle");
        let accepted = Arc::new(AtomicUsize::new(0));
        let connections = Arc::new(Mutex::new(Vec::new()));
        let script = Arc::new(script);
        let endpoint = endpoint.clone();
        let acceptor = thread::spawn({
            let (abort, accepted, connections) =
                (abort.clone(), Arc::clone(&accepted), Arc::clone(&connections));
            move || {
                while let Ok(Accepted::Channel(channel) | Accepted::Overflow(channel)) =
                    listener.accept(Deadline::never(), &abort)
                {
                    let number = accepted.fetch_add(1, Ordering::SeqCst);
                    let (script, abort) = (Arc::clone(&script), abort.clone());
                    let peer = Peer { region: None, channel, abort, endpoint: endpoint.clone() };
                    let connection = thread::spawn(move || script(number, peer));
                    connections.lock().expect("no panic").push(connection);
                }
            }
        });
        Self { abort, accepted, acceptor: Some(acceptor), connections }
    }

    /// Connections accepted so far.
    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    /// Stops listening, ends all connections, and fails if a script has failed.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.abort.trigger();
        let mut threads: Vec<_> = self.acceptor.take().into_iter().collect();
        for thread in threads.drain(..) {
            thread.join().expect("the acceptor");
        }
        let connections = std::mem::take(&mut *self.connections.lock().expect("no panic"));
        for connection in connections {
            if let Err(panic) = connection.join()
                && !thread::panicking()
            {
                resume_unwind(panic);
            }
        }
    }
}

/// Where the region of a session is (spec section 5).
pub fn region_path(endpoint: &Endpoint, session_id: u64) -> PathBuf {
    endpoint.run_dir().join(format!("{}-{session_id:016x}.ipcshm", endpoint.service()))
}

/// The server's end of a connection. A client that offers shared memory gets it.
pub struct Peer {
    /// Gone before the socket is closed.
    region: Option<RegionChannel>,
    channel: PacketChannel,
    abort: Abort,
    endpoint: Endpoint,
}

/// What a scripted server grants.
#[derive(Clone, Copy)]
pub struct Grant {
    pub response_bytes: u32,
    pub packet_bytes: u32,
    pub session_id: u64,
}

impl Default for Grant {
    fn default() -> Self {
        Self { response_bytes: 65_536, packet_bytes: PACKET_BYTES, session_id: 1 }
    }
}

impl Grant {
    pub fn responses_of(response_bytes: u32) -> Self {
        Self { response_bytes, ..Self::default() }
    }
}

impl Peer {
    /// Receives HELLO.
    pub fn hello(&mut self) -> Hello {
        let packet = self.packet().expect("HELLO");
        Header::decode(&packet).expect("a header").check_control(opcode::HELLO).expect("HELLO");
        Hello::decode(&packet[HEADER_LEN..]).expect("a good HELLO")
    }

    /// Accepts a proposal.
    pub fn ack(&mut self, hello: &Hello, grant: Grant) -> Session {
        let offered = hello.supported & Profiles::SHM_HYBRID;
        let packet_bytes = hello.packet_size.min(grant.packet_bytes);
        let mut ack = HelloAck {
            server_supported: Profiles::BASELINE | offered,
            intersection: Profiles::BASELINE | offered,
            selected: if offered.is_empty() { Profiles::BASELINE } else { offered },
            request: hello.request,
            response: Limits {
                payload_bytes: grant.response_bytes,
                batch_items: hello.request.batch_items,
            },
            packet_size: packet_bytes,
            session_id: grant.session_id,
        };
        let region = (!offered.is_empty()).then(|| self.make_region(hello.auth_token, &mut ack));
        self.send_raw(&ack.message());
        let packet_size = match &region {
            Some(_) => PacketSize::MAX,
            None => PacketSize::new(packet_bytes).expect("a packet size"),
        };
        self.region = region;
        Session { request: ack.request, response: ack.response, packet_size }
    }

    /// A region under the first id from the one that was to be granted on.
    fn make_region(&self, auth_token: u64, ack: &mut HelloAck) -> RegionChannel {
        let sizes = RegionSizes {
            request_bytes: HEADER_LEN + ack.request.payload_bytes as usize,
            response_bytes: HEADER_LEN + ack.response.payload_bytes as usize,
        };
        loop {
            let name = region_name(&self.endpoint, auth_token, ack.session_id);
            match RegionChannel::create(name, sizes) {
                Ok(region) => return region,
                Err(CreateError::Taken) => ack.session_id += 1,
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// See [`region_path`].
    pub fn region_path(&self, session_id: u64) -> PathBuf {
        region_path(&self.endpoint, session_id)
    }

    /// Promises shared memory, and makes none.
    pub fn promise_region(&mut self, hello: &Hello, session_id: u64) {
        let both = Profiles::BASELINE | Profiles::SHM_HYBRID;
        let ack = HelloAck {
            server_supported: both,
            intersection: both,
            selected: Profiles::SHM_HYBRID,
            request: hello.request,
            response: hello.request,
            packet_size: hello.packet_size,
            session_id,
        };
        self.send_raw(&ack.message());
    }

    /// Refuses a proposal.
    pub fn refuse(&mut self, status: Status) {
        let header = Header::control(opcode::HELLO_ACK, status, HELLO_ACK_LEN as u32);
        let mut payload = [0; HELLO_ACK_LEN];
        payload[..2].copy_from_slice(&1_u16.to_ne_bytes());
        self.send_raw(&[&header.encode()[..], &payload].concat());
        self.hold();
    }

    /// The whole handshake with default limits.
    pub fn accept(&mut self) -> Session {
        self.accept_with(Grant::default())
    }

    pub fn accept_with(&mut self, grant: Grant) -> Session {
        let hello = self.hello();
        self.ack(&hello, grant)
    }

    /// The next request; `None` when the client has left.
    pub fn request(&mut self, session: &Session) -> Option<(Header, Vec<u8>)> {
        let first = self.packet()?;
        let header = Header::decode(&first).expect("a header");
        header.check_request(&session.request).expect("a good request");
        let mut payload = first[HEADER_LEN..].to_vec();
        while payload.len() < header.payload_len as usize {
            payload.extend_from_slice(&self.packet()?[HEADER_LEN..]);
        }
        assert_eq!(payload.len(), header.payload_len as usize);
        Some((header, payload))
    }

    /// Answers a request with this payload.
    pub fn answer(&mut self, session: &Session, request: &Header, payload: &[u8]) {
        self.send(session, Header::response(request, payload.len() as u32), payload);
    }

    /// Answers a request with a failure, as the contract wants it.
    pub fn fail(&mut self, request: &Header, status: Status) {
        self.send_raw(&Header::failure(request, status).encode());
    }

    /// Sends any message, in as many packets as it takes.
    pub fn send(&mut self, session: &Session, header: Header, payload: &[u8]) {
        for packet in Split::new(header, session.packet_size).expect("not that long") {
            self.send_raw(&[&packet.head[..], &payload[packet.payload]].concat());
        }
    }

    /// Sends one packet. That the client has left is none of the script's concern.
    pub fn send_raw(&mut self, packet: &[u8]) {
        let deadline = Deadline::after(PATIENCE);
        if let Some(region) = &self.region {
            return region.send(&[packet]).expect("an area with room");
        }
        let _gone = self.channel.send(&[IoSlice::new(packet)], deadline, &self.abort);
    }

    /// Waits until the client leaves, or the server is stopped.
    pub fn hold(&mut self) {
        while self.packet().is_some() {}
    }

    /// Reads nothing until the server is stopped.
    pub fn wait_for_stop(&mut self) {
        let mut watched = Events::with_capacity(1);
        let stopped = WaitSet::new().expect("a wait set");
        stopped.add(&self.abort, 0, Interest::Read, WatchMode::Level).expect("watched");
        stopped.wait(&mut watched, Deadline::after(PATIENCE)).expect("the stop");
    }

    /// Answers every request by `answer` until the client leaves.
    pub fn serve(&mut self, session: &Session, mut answer: impl FnMut(&Header, &[u8]) -> Vec<u8>) {
        while let Some((header, payload)) = self.request(session) {
            let answer = answer(&header, &payload);
            self.answer(session, &header, &answer);
        }
    }

    /// The next packet, whatever it is; `None` when the client has left.
    pub fn packet(&mut self) -> Option<Vec<u8>> {
        let mut packet = vec![0; LONGEST_PACKET_BYTES];
        let deadline = Deadline::after(PATIENCE);
        let Some(region) = &self.region else {
            let len = self.channel.recv(&mut packet, deadline, &self.abort).ok()?;
            packet.truncate(len);
            return Some(packet);
        };
        let until = Until { deadline, abort: Some(&self.abort), socket: Some(&self.channel) };
        let len = region.receive(&mut packet, usize::MAX, until).ok()?;
        packet.truncate(len);
        // A client that says goodbye has left.
        let is_bye = Header::decode(&packet).is_ok_and(|header| header.is_bye());
        (!is_bye).then_some(packet)
    }
}

/// What a scripted server has agreed on.
#[derive(Clone, Copy)]
pub struct Session {
    pub request: Limits,
    pub response: Limits,
    pub packet_size: PacketSize,
}
