//! Regions, their two ends, and a peer in another process.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use netipc_sys::{
    Abort, AttachError, PacketChannel, RegionChannel, RegionSizes, Until, connect, own_uid,
};

use crate::support::{Place, abort, accept, bind, child, long};

/// Longest messages of most tests: not multiples of anything.
pub(crate) const SIZES: RegionSizes = RegionSizes { request_bytes: 1056, response_bytes: 4133 };

pub(crate) fn region_path(place: &Place) -> PathBuf {
    place.dir().join("svc-0000000000000001.ipcshm")
}

/// Both ends of a session in one process.
pub(crate) struct Ends {
    pub(crate) place: Place,
    pub(crate) server: RegionChannel,
    pub(crate) client: RegionChannel,
    pub(crate) server_socket: PacketChannel,
    pub(crate) client_socket: PacketChannel,
}

impl Ends {
    pub(crate) fn new(sizes: RegionSizes) -> Self {
        let place = Place::new();
        let (client_socket, server_socket) = crate::support::pair();
        let server = RegionChannel::create(region_path(&place), sizes).expect("created");
        let client = attach(&region_path(&place), sizes, &client_socket).expect("attached");
        Self { place, server, client, server_socket, client_socket }
    }

    pub(crate) fn path(&self) -> PathBuf {
        region_path(&self.place)
    }
}

pub(crate) fn attach(
    path: &Path,
    sizes: RegionSizes,
    socket: &PacketChannel,
) -> Result<RegionChannel, AttachError> {
    RegionChannel::attach(path, sizes, own_uid(), socket, long(), &abort())
}

/// As a client waits.
pub(crate) fn watching<'a>(socket: &'a PacketChannel, abort: &'a Abort) -> Until<'a> {
    Until { deadline: long(), abort: Some(abort), socket: Some(socket) }
}

pub(crate) fn receive(channel: &RegionChannel, until: Until<'_>) -> Vec<u8> {
    let mut buffer = Vec::new();
    let len = channel.receive(&mut buffer, usize::MAX, until).expect("a message");
    buffer.truncate(len);
    buffer
}

const PLACE_ENV: &str = "NETIPC_SYS_TEST_PLACE";

/// A client in a process of its own: this test binary running `test`, which calls [`Self::run`].
pub(crate) struct RemoteClient {
    pub(crate) child: Child,
    orders: ChildStdin,
    says: BufReader<ChildStdout>,
    pub(crate) socket: PacketChannel,
    pub(crate) server: RegionChannel,
    pub(crate) place: Place,
}

impl RemoteClient {
    pub(crate) fn start(test: &str, sizes: RegionSizes) -> Self {
        let place = Place::new();
        let server = RegionChannel::create(region_path(&place), sizes).expect("created");
        let listener = bind(&place.socket());
        let mut child = child(test)
            .env(PLACE_ENV, place.dir())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("started");
        let orders = child.stdin.take().expect("piped");
        let says = BufReader::new(child.stdout.take().expect("piped"));
        let socket = accept(&listener);
        Self { child, orders, says, socket, server, place }
    }

    pub(crate) fn order(&mut self, order: &str) {
        writeln!(self.orders, "{order}").expect("it listens");
    }

    /// The next line that is an answer, not the test harness talking.
    pub(crate) fn answer(&mut self) -> String {
        let mut line = String::new();
        while !line.trim_end().ends_with('!') {
            line.clear();
            assert_ne!(self.says.read_line(&mut line).expect("readable"), 0, "it died");
        }
        line.trim_end().trim_end_matches('!').to_owned()
    }

    /// The child's part: attaches, and answers each order by what `obey` says.
    pub(crate) fn run(
        sizes: RegionSizes,
        mut obey: impl FnMut(&RegionChannel, &PacketChannel, &str) -> String,
    ) {
        let place: PathBuf = std::env::var_os(PLACE_ENV).expect("the parent says where").into();
        let socket = connect(&place.join("svc.sock"), long(), &abort()).expect("connected");
        let path = place.join("svc-0000000000000001.ipcshm");
        let client = attach(&path, sizes, &socket).expect("attached");
        for line in std::io::stdin().lines() {
            let answer = obey(&client, &socket, &line.expect("an order"));
            println!("\n{answer}!");
        }
    }
}

impl Drop for RemoteClient {
    fn drop(&mut self) {
        // It may be dead already, which the test has said.
        let _dead = self.child.kill();
        let _dead = self.child.wait();
    }
}

/// The region's file, as a peer that does what it likes has it.
pub(crate) fn file_of(ends: &Ends) -> std::fs::File {
    std::fs::File::options().read(true).write(true).open(ends.path()).expect("there")
}

/// The header of a region of `owner`, its areas at the usual places.
pub(crate) fn header(owner: i32, generation: u32) -> Vec<u8> {
    let mut bytes = 0x4e53_484d_u32.to_ne_bytes().to_vec();
    bytes.extend([3_u16.to_ne_bytes(), 64_u16.to_ne_bytes()].concat());
    bytes.extend(owner.to_ne_bytes());
    bytes.extend([generation, 64, 1088, 1152, 4160].map(u32::to_ne_bytes).concat());
    bytes.resize(64, 0);
    bytes
}
