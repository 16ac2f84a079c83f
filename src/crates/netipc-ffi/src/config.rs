//! Configurations, where zero means the named default everywhere, and what names an endpoint.

use std::ffi::c_char;

use netipc::client::ClientConfig;
use netipc::server::ServerConfig;
use netipc::{AccessPolicy, Endpoint, Profiles, path_of_bytes, token};

use crate::boundary::{Caller, boundary};
use crate::error::nipc_error_t;
use crate::failure::Failure;

/// Profile bit: Unix seqpacket sockets (named pipes on Windows). Always there.
pub const NIPC_PROFILE_BASELINE: u32 = 0x01;
/// Profile bit: shared memory. Used where both peers have it among their supported profiles.
pub const NIPC_PROFILE_SHM_HYBRID: u32 = 0x02;
/// Profile bit: shared memory whose ends never sleep while they wait, which costs a CPU at each. Windows
/// alone has it; elsewhere it is as if it were not there.
pub const NIPC_PROFILE_SHM_BUSYWAIT: u32 = 0x04;

/// How a client is configured. Zero, and NULL for all of it, means the defaults that are named.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct nipc_client_config_t {
    /// NIPC_PROFILE_… bits that may be used. Default: the baseline alone.
    pub supported_profiles: u32,
    /// Those of them that are used rather than others.
    pub preferred_profiles: u32,
    /// The longest request that this client may send, in bytes of payload. Default: 1 MiB.
    pub max_request_payload_bytes: u32,
    /// The most items of a batch. Default: 1,024.
    pub max_request_batch_items: u32,
    /// The longest answer that this client holds, in bytes of payload. Default: 1 MiB for calls and
    /// lookups, 16 MiB for snapshots.
    pub max_response_payload_bytes: u32,
    /// A hint of the most items of a batch's answer. Default: that of requests.
    pub max_response_batch_items: u32,
    /// What both ends know: see nipc_token_from_session_uuid(). Compared, zero included.
    pub auth_token: u64,
    /// How long a call may take, its reconnects included, in milliseconds. Default: 30,000.
    pub call_timeout_ms: u64,
    /// The most keys of one lookup. Default: 65,536.
    pub max_lookup_items: u32,
    /// The most requests that one lookup is split into. Default: 4,096.
    pub max_lookup_sub_calls: u32,
    /// The most bytes of answers that one lookup may take. Default: 64 MiB.
    pub max_lookup_response_bytes: u64,
}

/// Who may use an endpoint, beside those who know its token.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct nipc_access_policy_t {
    /// Permission bits of the socket, whatever the umask. Default: 0600.
    pub mode: u32,
    /// Group of the socket, by id, where has_group is set.
    pub group: u32,
    /// Whether `group` is to be set. Default: what the system gives.
    pub has_group: bool,
    /// The users that are admitted, by uid: borrowed for the time of the call. Default, with NULL:
    /// this process's own and root.
    pub uids: *const u32,
    /// How many they are.
    pub uid_count: usize,
}

/// How a server is configured. Zero, and NULL for all of it, means the defaults that are named. How
/// many workers run its handlers is said beside it.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct nipc_server_config_t {
    /// NIPC_PROFILE_… bits that sessions may use. Default: the baseline alone.
    pub supported_profiles: u32,
    /// Those of them that the server would rather use.
    pub preferred_profiles: u32,
    /// The longest request payload that is granted, in bytes. Default: 1 MiB.
    pub max_request_payload_bytes: u32,
    /// The longest response payload, in bytes: sessions start lower and grow up to it. Default: 1 MiB
    /// for calls and lookups, 16 MiB for snapshots.
    pub max_response_payload_bytes: u32,
    /// What clients must know: see nipc_token_from_session_uuid().
    pub auth_token: u64,
    /// Sessions at a time; clients above it are told to come later. Default: 64.
    pub max_sessions: u32,
    /// Requests of one session that are worked on at a time. Default: 16.
    pub max_in_flight_per_session: u32,
    /// Who may connect.
    pub access: nipc_access_policy_t,
}

/// The token of a session's UUID, by the convention by which agents give all their plugins one.
///
/// `uuid`: 32 hexadecimal digits, with hyphens in their usual places or without. Any thread.
/// NIPC_ERR_INVALID_ARGUMENT where it is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nipc_token_from_session_uuid(
    uuid: *const c_char,
    token: *mut u64,
) -> nipc_error_t {
    // SAFETY: as `boundary` says: what the header asks of callers.
    unsafe {
        boundary(|caller| {
            let (uuid, token) = (caller.in_utf8(uuid, "uuid")?, caller.out(token, "token")?);
            token.write(token::token_from_session_uuid(&token::parse_uuid(uuid)?));
            Ok(())
        })
    }
}

impl Caller<'_> {
    /// Where a service is: `run_dir` is taken byte for byte, the name is checked. Where systems have paths of
    /// characters, other bytes than UTF-8 would be another name for every program that reads them.
    pub(crate) fn endpoint(
        self,
        run_dir: *const c_char,
        service_name: *const c_char,
    ) -> Result<Endpoint, Failure> {
        let run_dir = self.in_c_str(run_dir, "run_dir")?;
        let service_name = self.in_utf8(service_name, "service_name")?;
        let run_dir = path_of_bytes(run_dir.to_bytes())
            .ok_or_else(|| Failure::argument("run_dir is not UTF-8, as it is to be here"))?;
        Ok(Endpoint::new(run_dir, service_name)?)
    }

    /// A client's configuration; NULL is the default.
    pub(crate) fn client_config(
        self,
        config: *const nipc_client_config_t,
    ) -> Result<ClientConfig, Failure> {
        let Some(config) = self.in_option(config, "config")? else {
            return Ok(ClientConfig::default());
        };
        Ok(ClientConfig {
            supported_profiles: Profiles(config.supported_profiles),
            preferred_profiles: Profiles(config.preferred_profiles),
            max_request_payload_bytes: config.max_request_payload_bytes,
            max_request_batch_items: config.max_request_batch_items,
            max_response_payload_bytes: config.max_response_payload_bytes,
            max_response_batch_items: config.max_response_batch_items,
            auth_token: config.auth_token,
            call_timeout_ms: config.call_timeout_ms,
            max_lookup_items: config.max_lookup_items,
            max_lookup_sub_calls: config.max_lookup_sub_calls,
            max_lookup_response_bytes: config.max_lookup_response_bytes,
        })
    }

    /// A server's configuration; NULL is the default.
    pub(crate) fn server_config(
        self,
        config: *const nipc_server_config_t,
    ) -> Result<ServerConfig, Failure> {
        let Some(config) = self.in_option(config, "config")? else {
            return Ok(ServerConfig::default());
        };
        Ok(ServerConfig {
            supported_profiles: Profiles(config.supported_profiles),
            preferred_profiles: Profiles(config.preferred_profiles),
            max_request_payload_bytes: config.max_request_payload_bytes,
            max_response_payload_bytes: config.max_response_payload_bytes,
            auth_token: config.auth_token,
            // The server's own count is given beside the configuration.
            worker_count: 0,
            max_sessions: config.max_sessions,
            max_in_flight_per_session: config.max_in_flight_per_session,
            access: self.access_policy(&config.access)?,
        })
    }

    /// Who may connect.
    pub(crate) fn access_policy(
        self,
        access: &nipc_access_policy_t,
    ) -> Result<AccessPolicy, Failure> {
        let default = AccessPolicy::default();
        let uids = match access.uids.is_null() && access.uid_count == 0 {
            true => None,
            false => Some(self.in_slice(access.uids, access.uid_count, "access.uids")?.to_vec()),
        };
        Ok(AccessPolicy {
            mode: if access.mode == 0 { default.mode } else { access.mode },
            group: access.has_group.then_some(access.group),
            uids,
        })
    }
}
