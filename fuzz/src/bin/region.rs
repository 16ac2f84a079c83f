//! A hostile region: whatever is written into its file, and whenever, both ends return what fits the
//! limit, or an error, and clients attach to nothing that does not fit its file.
//!
//! The input is a list of operations: a byte that says which, and what that takes (below).
#![no_main]

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use netipc_sys::{
    Abort, Accepted, BindOptions, Deadline, Listener, PacketChannel, RegionChannel, RegionError,
    RegionSizes, connect, own_uid,
};

const SIZES: RegionSizes = RegionSizes { request_bytes: 200, response_bytes: 333 };
/// Below the sizes, so that a message can be above it.
const LIMIT_BYTES: usize = 150;
/// A buffer that is shorter still.
const SHORT_BYTES: usize = 40;
/// Attaching again maps memory: enough to meet what one input can do.
const MOST_ATTACHED: usize = 4;

/// A session's socket, its two ends, and an abort handle; made once.
struct Session {
    client: PacketChannel,
    _server: PacketChannel,
    abort: Abort,
}

fuzz_target!(|data: &[u8]| {
    static SESSION: OnceLock<Session> = OnceLock::new();
    let session = SESSION.get_or_init(Session::new);
    let name = format!("netipc-fuzz-{}.ipcshm", std::process::id());
    let path = directory().join(name);
    let server = RegionChannel::create(&path, SIZES).expect("a region");
    let file = File::options().write(true).open(&path).expect("there");
    let mut clients = vec![session.attach(&path).expect("a sound region")];

    let mut rest = data;
    while let Some((operation, after)) = rest.split_first() {
        rest = after;
        match operation % 6 {
            // An offset, a length, and bytes to write there.
            0 => {
                let Some((&[low, high, len], after)) = rest.split_first_chunk::<3>() else { break };
                let (bytes, after) = after.split_at(usize::from(len).min(after.len()));
                rest = after;
                let at = u64::from(u16::from_le_bytes([low, high])) % file_len(&file);
                let room = usize::try_from(file_len(&file) - at).expect("small");
                file.write_all_at(&bytes[..bytes.len().min(room)], at).expect("written");
            }
            1 => exchange(&server, |server| server.send(&[&rest[..rest.len().min(300)]])),
            2 => clients.iter().for_each(|client| {
                exchange(client, |client| client.send(&[&rest[..rest.len().min(32)], rest]));
            }),
            3 => take(&server),
            4 => clients.iter().for_each(take),
            _ => {
                if clients.len() < MOST_ATTACHED {
                    clients.extend(session.attach(&path));
                }
            }
        }
    }
});

/// In memory, where there is one: each input makes a region, which takes longer on a disk.
fn directory() -> PathBuf {
    let in_memory = PathBuf::from("/dev/shm");
    if in_memory.is_dir() { in_memory } else { std::env::temp_dir() }
}

fn file_len(file: &File) -> u64 {
    file.metadata().expect("open").len()
}

fn exchange(channel: &RegionChannel, send: impl FnOnce(&RegionChannel) -> Result<(), RegionError>) {
    match send(channel) {
        Ok(()) | Err(RegionError::Empty | RegionError::TooLong { .. }) => {}
        Err(error) => panic!("sending fails for the message's sake alone: {error}"),
    }
}

fn take(channel: &RegionChannel) {
    let mut short = [0; SHORT_BYTES];
    let (is_ready, mut buffer) = (channel.is_ready(), Vec::new());
    let taken = channel.try_receive(&mut buffer, LIMIT_BYTES);
    assert!(buffer.len() <= LIMIT_BYTES);
    match taken {
        Ok(None) => assert!(!is_ready),
        Ok(Some(len)) => assert!(is_ready && (1..=buffer.len()).contains(&len)),
        Err(RegionError::TooLong { len, max }) => {
            assert!(is_ready && len > max && max == LIMIT_BYTES);
        }
        Err(RegionError::Broken(_)) => assert!(is_ready),
        Err(error) => panic!("it cannot be {error}"),
    }
    let _unless_taken = channel.try_receive(&mut short[..], LIMIT_BYTES);
}

impl Session {
    fn new() -> Self {
        let place = std::env::temp_dir().join(format!("netipc-fuzz-{}", std::process::id()));
        std::fs::create_dir(&place).expect("a directory");
        let (path, abort) = (place.join("fuzz.sock"), Abort::new().expect("an abort handle"));
        let listener = Listener::bind(&path, &BindOptions::default()).expect("bound");
        let client = connect(&path, Deadline::never(), &abort).expect("connected");
        let accepted = listener.accept(Deadline::never(), &abort).expect("accepted");
        let Accepted::Channel(server) = accepted else { panic!("there are descriptors enough") };
        drop(listener);
        std::fs::remove_dir_all(&place).expect("removed");
        Self { client, _server: server, abort }
    }

    /// At once or not at all.
    fn attach(&self, path: &Path) -> Option<RegionChannel> {
        let now = Deadline::after(Duration::ZERO);
        let client = RegionChannel::attach(path, SIZES, own_uid(), &self.client, now, &self.abort);
        client.ok()
    }
}
