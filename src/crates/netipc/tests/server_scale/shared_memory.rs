//! The same of sessions over shared memory, each of which has a thread.

use super::*;

/// Of the messages of an idle session, so that what it costs beside them shows.
const SMALL_BYTES: u32 = 1024;
const IDLE_SESSIONS: usize = 400;
/// What an idle session may take beside its buffers.
const KIB_PER_SESSION: u64 = 64;
/// Address space for a region at both its ends, and for no stack.
const ROOM_BYTES: u64 = 1 << 20;

fn with_shared_memory(config: ServerConfig) -> ServerConfig {
    ServerConfig {
        supported_profiles: shared_memory(),
        preferred_profiles: shared_memory(),
        ..config
    }
}

/// Files of regions in the run directory.
fn regions(endpoint: &Endpoint) -> usize {
    let entries = std::fs::read_dir(endpoint.run_dir()).expect("the directory");
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    names.filter(|name| name.to_string_lossy().ends_with(".ipcshm")).count()
}

/// Regions that this process has mapped.
pub(super) fn mappings() -> usize {
    let maps = std::fs::read_to_string("/proc/self/maps").expect("proc");
    maps.lines().filter(|line| line.contains(".ipcshm")).count()
}

#[test]
fn idle_sessions_over_shared_memory_are_cheap() {
    alone("shared_memory::idle_sessions_over_shared_memory_are_cheap", |endpoint| {
        raise_descriptor_limit();
        let server = serve(
            endpoint,
            with_shared_memory(ServerConfig {
                worker_count: 2,
                max_sessions: IDLE_SESSIONS as u32,
                max_response_payload_bytes: SMALL_BYTES,
                ..ServerConfig::default()
            }),
            None,
        );
        let limits = Limits { payload_bytes: SMALL_BYTES, batch_items: 1 };
        let mut clients = vec![Client::with(endpoint, limits, shared_memory())];
        clients[0].ping();
        let (threads, memory_kib) = (proc_status("Threads:"), proc_status("VmRSS:"));
        let more = IDLE_SESSIONS - 1;
        clients.extend((0..more).map(|_| Client::with(endpoint, limits, shared_memory())));
        for client in &mut clients {
            client.ping();
        }
        let grown_kib = proc_status("VmRSS:").saturating_sub(memory_kib);
        println!("{IDLE_SESSIONS} idle sessions: {grown_kib} KiB resident for both ends");
        assert_eq!(server.status().shared_memory_sessions as usize, IDLE_SESSIONS);
        assert_eq!(proc_status("Threads:"), threads + more as u64);
        assert!(grown_kib < KIB_PER_SESSION * more as u64, "{grown_kib} KiB");
        drop(clients);
        eventually("no session", || server.status().sessions == 0);
        eventually("no thread more", || proc_status("Threads:") < threads);
        eventually("no region", || regions(endpoint) == 0 && mappings() == 0);
    });
}

#[test]
fn an_idle_server_of_shared_memory_makes_no_system_call() {
    alone("shared_memory::an_idle_server_of_shared_memory_makes_no_system_call", |endpoint| {
        let server = serve(endpoint, with_shared_memory(ServerConfig::default()), None);
        let make = |_| Client::with(endpoint, LIMITS, shared_memory());
        let mut clients: Vec<Client> = (0..20).map(make).collect();
        for client in &mut clients {
            client.ping();
        }
        // Whoever was busy a moment ago looks once more, and then no more.
        wait_for(Duration::from_millis(300));
        let threads = threads_named("netipc-");
        assert_eq!(threads.len(), server.status().workers + 1 + clients.len());
        makes_no_system_call(&threads);
        clients[0].ping();
    });
}

#[test]
fn killed_clients_of_shared_memory_leave_nothing() {
    let test = "shared_memory::killed_clients_of_shared_memory_leave_nothing";
    if let Some(endpoint) = endpoint_of_client() {
        return be_a_client(Client::with(&endpoint, LIMITS, shared_memory()), 1);
    }
    alone(test, |endpoint| {
        let server = serve(
            endpoint,
            with_shared_memory(ServerConfig { max_sessions: 1, ..ServerConfig::default() }),
            None,
        );
        let kill = || kill_a_client(test, endpoint, &server);
        // What is made once is made by the first; its thread may end a moment after its region.
        kill();
        eventually("its thread ended", || threads_named("netipc-shm").is_empty());
        let kept = (proc_status("Threads:"), descriptors(), regions(endpoint), mappings());
        assert_eq!((kept.2, kept.3), (0, 0));
        let memory_kib = proc_status("VmRSS:");
        killed_are_noticed(rounds(KILLS), kill);
        let grown_kib = proc_status("VmRSS:").saturating_sub(memory_kib);
        println!("{grown_kib} KiB more");
        eventually("all as before", || {
            (proc_status("Threads:"), descriptors(), regions(endpoint), mappings()) == kept
        });
        assert!(grown_kib < 1024, "{grown_kib} KiB more after {} clients", rounds(KILLS));
        eventually("nothing in flight", || server.status().in_flight == 0);
        Client::with(endpoint, LIMITS, shared_memory()).ping();
    });
}

#[test]
fn a_thread_that_cannot_be_made_costs_its_session_and_nothing_else() {
    alone(
        "shared_memory::a_thread_that_cannot_be_made_costs_its_session_and_nothing_else",
        |endpoint| {
            let config = ServerConfig { worker_count: 1, ..ServerConfig::default() };
            let server = serve(endpoint, with_shared_memory(config), None);
            let mut before = Client::with(endpoint, LIMITS, shared_memory());
            before.ping();
            // Room for regions, and for no thread's stack.
            let limit = getrlimit(Resource::As);
            let used_bytes = proc_status("VmSize:") * 1024;
            let current = Some(used_bytes + ROOM_BYTES);
            setrlimit(Resource::As, Rlimit { current, maximum: limit.maximum })
                .expect("the soft limit");
            // The session may end before the client has attached its region; either says "full".
            match Client::try_with(endpoint, LIMITS, shared_memory()) {
                Ok(mut refused) => {
                    let deadline = Deadline::after(PATIENCE);
                    let end = refused.session.receive(&mut refused.inbox, deadline, &refused.abort);
                    assert_eq!(end.map(|_| ()), Err(ReceiveError::Closed));
                }
                Err(error) => assert_eq!(error.met(), Some(Met::RegionVanished), "{error}"),
            }
            eventually("it is counted", || server.status().ended.failed == 1);
            before.ping();
            setrlimit(Resource::As, limit).expect("the limit as it was");
            Client::with(endpoint, LIMITS, shared_memory()).ping();
            eventually("only those that live", || regions(endpoint) == 1);
        },
    );
}
