//! What servers answer, by the name that a case gives a handler.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use netipc::server::{RunningServer, ServerConfig};
use netipc::{Endpoint, ListenError};
use netipc_services::{apps_lookup, cgroups_lookup, cgroups_snapshot, increment, string_reverse};
use netipc_testkit::{Value, text};

use crate::items::{app_is_known, name_of, padded};
use crate::steps::number;

/// Serves the service of a case as it says. `starts` counts how often.
pub(crate) fn serve(
    case: &Value,
    endpoint: &Endpoint,
    config: ServerConfig,
    starts: &Arc<AtomicU64>,
) -> Result<RunningServer, ListenError> {
    starts.fetch_add(1, Ordering::Relaxed);
    Ok(match text(case, "handler") {
        "increment" => increment::Server::bind(endpoint, config)?.spawn(|request, response| {
            Ok(response.value(request.value().wrapping_add(1)).finish()?)
        }),
        "fail" => increment::Server::bind(endpoint, config)?
            .spawn(|_, _| Err(std::io::Error::other("as the case wants").into())),
        "reverse" => string_reverse::Server::bind(endpoint, config)?.spawn(|request, response| {
            let reversed: Vec<u8> = request.bytes().iter().rev().copied().collect();
            Ok(response.bytes(&reversed).finish()?)
        }),
        "lengths" => string_reverse::Server::bind(endpoint, config)?.spawn(|request, response| {
            let len = std::str::from_utf8(request.bytes())?.parse()?;
            Ok(response.bytes(&vec![b'x'; len]).finish()?)
        }),
        "apps" => apps_lookup::Server::bind(endpoint, config)?.spawn(|request, response| {
            response.generation(3);
            for pid in request.keys() {
                if app_is_known(pid) {
                    let status = apps_lookup::CgroupStatus::HostRoot;
                    let comm = format!("p{pid}");
                    response.known(pid).ppid(pid / 2).cgroup_status(status).comm(&comm).finish()?;
                } else {
                    response.unknown(pid)?;
                }
            }
            Ok(())
        }),
        "paths" => cgroups_lookup::Server::bind(endpoint, config)?.spawn(|request, response| {
            response.generation(4);
            for path in request.keys() {
                let docker = cgroups_lookup::Orchestrator::DOCKER;
                response.known(path).orchestrator(docker).name(&name_of(path)).finish()?;
            }
            Ok(())
        }),
        "snapshot" => {
            let items = case["items"].clone();
            let generation = starts.load(Ordering::Relaxed);
            cgroups_snapshot::Server::bind(endpoint, config)?.spawn(move |_, response| {
                response.generation(generation).systemd_enabled(1);
                for index in 0..number::<u32>(&items, "count") {
                    let name = padded(index, number(&items, "name_len"));
                    let path =
                        format!("/{}", padded(index, number::<usize>(&items, "path_len") - 1));
                    response.item().hash(index).enabled(1).name(&name).path(&path).finish()?;
                }
                Ok(())
            })
        }
        other => panic!("no such handler: {other}"),
    }
    .expect("threads"))
}
