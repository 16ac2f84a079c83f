//! Processes that are killed: nothing of theirs cleans up.

use std::time::Duration;

use netipc_bench::Failure;
use netipc_bench::lines::{CLOSE, DIE};

use crate::fault::{Bound, Counts, Fault, Language, Over, Sides, Turn, anyone};
use crate::stage::{PATIENCE, Server, Stage};

/// Within which a dead peer is noticed.
const NOTICED: Duration = Duration::from_millis(100);
/// Harm is done within this time of a call that was answered.
const MOMENT: Duration = Duration::from_millis(5);
/// Strings of several packets.
const LONG_BYTES: usize = 600_000;
/// Steps of a publication, after which a process can be told to die.
const STEPS: [&str; 5] = ["Copied", "Measured", "Numbered", "Signalled", "Woken"];

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        name: "kill-server",
        promise: "a call under way fails or recovers within 100 ms; the successor takes the name and the \
                  client is answered",
        how: "SIGKILL to the server at a random moment of calls, and another one started",
        sides: anyone,
        counts: Counts { quick: 36, full: 1008 },
        bound: Some(Bound { what: "the longest call", within: NOTICED }),
        turn: kill_server,
    },
    Fault {
        name: "kill-client",
        promise: "the server has given back all of a dead client's session within 100 ms, and serves others \
                  as ever",
        how: "SIGKILL to the client at a random moment of calls, a bystander calling",
        sides: anyone,
        counts: Counts { quick: 36, full: 1008 },
        bound: Some(Bound { what: "until all is given back", within: NOTICED }),
        turn: kill_client,
    },
    Fault {
        name: "kill-server-in-chunks",
        promise: "an answer that is half there is none: the call fails or recovers, and the client is answered by \
                  the successor",
        how: "the same with strings of up to 600,000 bytes, which take several packets over the socket",
        sides: anyone,
        counts: Counts { quick: 18, full: 1008 },
        bound: None,
        turn: kill_server_in_chunks,
    },
    Fault {
        name: "kill-client-in-chunks",
        promise: "a request that is half there costs its session alone, all of which is given back",
        how: "the same with strings of up to 600,000 bytes",
        sides: anyone,
        counts: Counts { quick: 18, full: 1008 },
        bound: Some(Bound { what: "until all is given back", within: NOTICED }),
        turn: kill_client_in_chunks,
    },
    Fault {
        name: "client-dies-publishing",
        promise: "the server has a whole request or none, and gives all back",
        how: "the client kills itself after each step of publishing a request, in turn",
        sides: dying_client,
        counts: Counts { quick: 30, full: 1020 },
        bound: Some(Bound { what: "until all is given back", within: NOTICED }),
        turn: client_dies_publishing,
    },
    Fault {
        name: "server-dies-publishing",
        promise: "the client has a whole answer or none, and goes on with the successor",
        how: "the server kills itself after each step of publishing an answer, in turn",
        sides: dying_server,
        counts: Counts { quick: 30, full: 1020 },
        bound: Some(Bound { what: "the longest call", within: NOTICED }),
        turn: server_dies_publishing,
    },
];

fn kill_server(stage: &mut Stage<'_>) -> Turn {
    stage.pair()?;
    // The session that is killed is not the first: its successor has another number, and another region.
    stage.ask_client(CLOSE)?;
    stage.recovers()?;
    stage.moment(MOMENT);
    stage.kill_server()?;
    stage.serve()?;
    let told = stage.recovers()?;
    stage.no_stale_regions()?;
    Ok(Some(Duration::from_nanos(told.longest_ns)))
}

fn kill_client(stage: &mut Stage<'_>) -> Turn {
    stage.pair()?;
    stage.bystander()?;
    stage.moment(MOMENT);
    let killed = stage.kill_client()?;
    stage.server_settles(1)?;
    let took = killed.elapsed();
    stage.bystander_is_well()?;
    Ok(Some(took))
}

fn kill_server_in_chunks(stage: &mut Stage<'_>) -> Turn {
    stage.bytes = LONG_BYTES;
    kill_server(stage)?;
    Ok(None)
}

fn kill_client_in_chunks(stage: &mut Stage<'_>) -> Turn {
    stage.bytes = LONG_BYTES;
    kill_client(stage)
}

/// Those whose drivers have failpoints; C's publishes by the code of Rust's.
fn dying_client(sides: &Sides) -> bool {
    sides.over == Over::Shared && sides.client != Language::C
}

fn dying_server(sides: &Sides) -> bool {
    sides.over == Over::Shared && sides.server != Language::C
}

fn client_dies_publishing(stage: &mut Stage<'_>) -> Turn {
    stage.serve()?;
    stage.bystander()?;
    let language = stage.sides.client;
    let mut client = stage.new_client_of(&stage.drivers.dying[&language], language, &[])?;
    stage.right += client.say(netipc_bench::lines::NEXT, PATIENCE)?.1;
    client.driver().say(&format!("{DIE} {}", stage.next_of(&STEPS)))?;
    client.driver().wait()?;
    let died = std::time::Instant::now();
    drop(client);
    stage.server_settles(1)?;
    let took = died.elapsed();
    stage.bystander_is_well()?;
    Ok(Some(took))
}

fn server_dies_publishing(stage: &mut Stage<'_>) -> Turn {
    if stage.server.is_none() {
        stage.server = Some(dying(stage)?);
    }
    stage.pair()?;
    let step = stage.next_of(&STEPS);
    let mut server = stage.server.take().ok_or("a server")?;
    server.driver.say(&format!("{DIE} {step}"))?;
    server.driver.wait()?;
    stage.server = Some(dying(stage)?);
    let told = stage.recovers()?;
    stage.no_stale_regions()?;
    Ok(Some(Duration::from_nanos(told.longest_ns)))
}

/// A server that can be told to die.
fn dying(stage: &Stage<'_>) -> Result<Server, Failure> {
    let language = stage.sides.server;
    stage.server_of(&stage.drivers.dying[&language], language)
}
