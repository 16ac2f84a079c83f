//! The server's end: serves a scenario, and tells its runner what was handled.

use std::sync::atomic::{AtomicU64, Ordering};

use netipc::codec::BuildError;
use netipc::server::{LookupServer, RunningServer, ServerConfig, ServerStatus};
use netipc_services::{
    apps_lookup, cgroups_lookup, cgroups_snapshot, increment, ip_to_asn, string_reverse,
};

use super::contents::{Group, groups, things};
use super::lookups::Looked;
#[cfg(feature = "failpoints")]
use super::process;
use super::process::{cpu_ns, hear, rss_kib, say};
use super::{ServerOptions, level1, raw, tally};
use crate::Failure;
use crate::lines::{self, Line, Mark, Unserved};
use crate::work::Scenario;

/// Sessions beside those of the clients that were announced: one that leaves may still be counted
/// when the next one comes.
const SPARE_SESSIONS: u32 = 8;

/// Serves until standard input ends.
pub(super) fn run(options: &ServerOptions) -> Result<(), Failure> {
    if let Some(word) = &options.after
        && hear()?.as_ref() != Some(word)
    {
        return Err("the runner left".into());
    }
    let running = serve(options)?;
    say(&Line::Ready)?;
    while let Some(word) = hear()? {
        match word.as_str() {
            #[cfg(feature = "failpoints")]
            word if word.starts_with(lines::DIE) => process::die_after(word)?,
            lines::MARK => {
                say(&Line::Mark(Mark { handled: tally::total(), cpu_ns: cpu_ns() }))?;
            }
            lines::MEMORY => say(&Line::Memory { rss_kib: rss_kib() })?,
            lines::COUNTS => {
                let running = running.as_ref().ok_or("this scenario counts nothing")?;
                say(&Line::Counts(counts(&running.status())))?;
            }
            other => return Err(format!("unknown word: {other}").into()),
        }
    }
    if let Some(running) = running {
        running.stop()?;
    }
    Ok(())
}

fn counts(status: &ServerStatus) -> Unserved {
    let ServerStatus { handshakes, calls, ended, .. } = status;
    let refused = handshakes.busy
        + handshakes.auth_failed
        + handshakes.incompatible
        + handshakes.limit_exceeded
        + handshakes.malformed;
    Unserved {
        refused_handshakes: refused + handshakes.timed_out + handshakes.displaced,
        auth_failed: handshakes.auth_failed,
        declined_requests: calls.unsupported
            + calls.bad_envelope
            + calls.limit_exceeded
            + calls.internal_error,
        ended_sessions: ended.answered
            + ended.violated
            + ended.chunk_gap
            + ended.not_read
            + ended.failed,
    }
}

/// What is served by threads of this process alone needs no hold.
fn serve(options: &ServerOptions) -> Result<Option<RunningServer>, Failure> {
    let ServerOptions { options: work, wrong_after, .. } = options;
    let wrong_after = *wrong_after;
    Ok(Some(match work.scenario {
        scenario if scenario.is_raw() => {
            raw::serve(work, wrong_after)?;
            return Ok(None);
        }
        Scenario::PingLevel1 => {
            level1::serve(work, &work.endpoint()?, wrong_after)?;
            return Ok(None);
        }
        Scenario::Reverse | Scenario::ReverseBatch | Scenario::PipelineReverse => reverse(options)?,
        Scenario::SnapshotChanging => changing_snapshot(options)?,
        Scenario::Snapshot
        | Scenario::Fetch
        | Scenario::Cache
        | Scenario::CacheLoad
        | Scenario::PipelineSnapshot => snapshot(options)?,
        Scenario::CgroupsLookup | Scenario::PipelineCgroupsLookup => {
            lookup::<cgroups_lookup::Service>(options)?
        }
        Scenario::AppsLookup | Scenario::PipelineAppsLookup => {
            lookup::<apps_lookup::Service>(options)?
        }
        Scenario::AsnLookup | Scenario::PipelineAsnLookup => lookup::<ip_to_asn::Service>(options)?,
        _ => increments(options)?,
    }))
}

fn config(options: &ServerOptions) -> ServerConfig {
    ServerConfig {
        supported_profiles: options.options.supported(),
        preferred_profiles: options.options.preferred(),
        worker_count: options.workers,
        max_sessions: options.clients.saturating_add(SPARE_SESSIONS),
        ..ServerConfig::default()
    }
}

fn increments(options: &ServerOptions) -> Result<RunningServer, Failure> {
    let wrong_after = options.wrong_after;
    let server = increment::Server::bind(&options.options.endpoint()?, config(options))?;
    Ok(server.spawn(move |request, response| {
        let step = if tally::count() > wrong_after { 2 } else { 1 };
        Ok(response.value(request.value().wrapping_add(step)).finish()?)
    })?)
}

fn reverse(options: &ServerOptions) -> Result<RunningServer, Failure> {
    thread_local! {
        static REVERSED: std::cell::RefCell<Vec<u8>> = const { std::cell::RefCell::new(Vec::new()) };
    }
    let wrong_after = options.wrong_after;
    let server = string_reverse::Server::bind(&options.options.endpoint()?, config(options))?;
    Ok(server.spawn(move |request, response| {
        REVERSED.with_borrow_mut(|reversed| {
            reversed.clear();
            reversed.extend_from_slice(request.bytes());
            // Where it is to be wrong, it is not reversed.
            if tally::count() <= wrong_after {
                reversed.reverse();
            }
            Ok(response.bytes(reversed.as_slice()).finish()?)
        })
    })?)
}

fn snapshot(options: &ServerOptions) -> Result<RunningServer, Failure> {
    let (wrong_after, current) = (options.wrong_after, options.options.generation);
    let groups = groups(options.options.items);
    let server = cgroups_snapshot::Server::bind(&options.options.endpoint()?, config(options))?;
    Ok(server.spawn(move |_, response| {
        response.generation(generation(current, wrong_after));
        Ok(answer_snapshot(response, &groups)?)
    })?)
}

fn changing_snapshot(options: &ServerOptions) -> Result<RunningServer, Failure> {
    let wrong_after = options.wrong_after;
    let groups = groups(options.options.items);
    let last = AtomicU64::new(options.options.generation);
    let server = cgroups_snapshot::Server::bind(&options.options.endpoint()?, config(options))?;
    Ok(server.spawn(move |_, response| {
        let is_wrong = tally::count() > wrong_after;
        response.generation(if is_wrong { 0 } else { last.fetch_add(1, Ordering::Relaxed) });
        Ok(answer_snapshot(response, &groups)?)
    })?)
}

fn answer_snapshot(
    response: &mut cgroups_snapshot::ResponseBuilder<'_>,
    groups: &[Group],
) -> Result<(), BuildError> {
    response.systemd_enabled(1);
    for Group { hash, options, enabled, name, path } in groups {
        let item = response.item().hash(*hash).options(*options).enabled(*enabled);
        item.name(name).path(path).finish()?;
    }
    Ok(())
}

fn lookup<S: Looked>(options: &ServerOptions) -> Result<RunningServer, Failure> {
    let (wrong_after, mix) = (options.wrong_after, options.options.mix);
    let (things, current) =
        (things(options.options.items, mix, options.options.bytes), options.options.generation);
    let server = LookupServer::<S>::bind(&options.options.endpoint()?, config(options))?;
    Ok(server.spawn(move |request, response| {
        Ok(S::answer(&request, response, &things, mix, generation(current, wrong_after))?)
    })?)
}

/// Counts a request, and is another than clients expect where the answer is to be wrong.
fn generation(current: u64, wrong_after: u64) -> u64 {
    if tally::count() > wrong_after { current + 1 } else { current }
}
