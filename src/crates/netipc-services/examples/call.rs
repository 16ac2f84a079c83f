//! A provider and a consumer of increment, the smallest service there is: one source for every system, and
//! the same as the examples in C, which understand these.
//!
//! ```text
//! call provide RUN_DIR        serves until standard input ends
//! call ask RUN_DIR NUMBER     one call, and a batch of three
//! ```

use std::error::Error;

use netipc::client::ClientConfig;
use netipc::server::ServerConfig;
use netipc::{Endpoint, Profiles};
use netipc_services::increment::{Client, SERVICE, Server};

/// Shared memory with those peers that have it, too.
const SUPPORTED: Profiles = Profiles(Profiles::BASELINE.0 | Profiles::SHM_HYBRID.0);
const PREFERRED: Profiles = Profiles::SHM_HYBRID;

/// Numbers of the batch.
const BATCH_ITEMS: u64 = 3;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["provide", run_dir] => provide(run_dir),
        ["ask", run_dir, number] => ask(run_dir, number.parse()?),
        _ => Err("usage: call provide RUN_DIR, or call ask RUN_DIR NUMBER".into()),
    }
}

fn provide(run_dir: &str) -> Result<(), Box<dyn Error>> {
    let config = ServerConfig {
        supported_profiles: SUPPORTED,
        preferred_profiles: PREFERRED,
        ..ServerConfig::default()
    };
    let server = Server::bind(&Endpoint::new(run_dir, SERVICE)?, config)?;
    let running = server.spawn(|request, response| {
        Ok(response.value(request.value().wrapping_add(1)).finish()?)
    })?;
    println!("serving {SERVICE}");
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink())?;
    running.drain()?;
    Ok(())
}

fn ask(run_dir: &str, number: u64) -> Result<(), Box<dyn Error>> {
    let config = ClientConfig {
        supported_profiles: SUPPORTED,
        preferred_profiles: PREFERRED,
        ..ClientConfig::default()
    };
    let mut client = Client::new(Endpoint::new(run_dir, SERVICE)?, config);
    client.refresh();
    println!("{}", client.call(|request| request.value(number).finish())?.value());
    let count = usize::try_from(BATCH_ITEMS)?;
    let answers = client
        .batch(count, |index, request| request.value(number.wrapping_add(index as u64)).finish())?;
    let values: Vec<String> = answers.iter().map(|answer| answer.value().to_string()).collect();
    println!("{}", values.join(" "));
    Ok(())
}
