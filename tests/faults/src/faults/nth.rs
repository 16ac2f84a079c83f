//! Each call that makes a descriptor, refused in turn.

use netipc_bench::Failure;
use netipc_bench::lines::{CLOSE, NEXT};

use crate::ending::ended_for_a_reason;
use crate::fault::{Language, Turn};
use crate::refusals::{Learned, Watched};
use crate::stage::{PATIENCE, SETTLING, Stage};
use crate::watch::{Belongings, settles};

/// Plays a driver's life once. Answers what it had with its first session, if it had one.
type Life = fn(&mut Stage<'_>, &Watched) -> Result<Option<Belongings>, Failure>;

pub(super) fn server(stage: &mut Stage<'_>) -> Turn {
    sweep(stage, serve)
}

pub(super) fn client(stage: &mut Stage<'_>) -> Turn {
    sweep(stage, ask)
}

/// One more of the calls refused: a turn is over when one was. One that is not made this time is no turn, and left
/// to the next round: how often connections are looked for is a matter of time.
fn sweep(stage: &mut Stage<'_>, life: Life) -> Turn {
    let learned = match &stage.learned {
        Some(learned) => learned,
        None => {
            let watched = Watched::new(None)?;
            let Some(belongings) = life(stage, &watched)? else {
                let said = watched.complained()?;
                return Err(format!("it never had a session: {}", said.trim()).into());
            };
            stage.learned.insert(Learned::new(watched.calls()?, belongings))
        }
    };
    let calls = learned.calls.clone();
    let all = calls.len();
    for _ in 0..all {
        let next = (stage.turn_number() - 1) % all;
        let call = calls[next].clone();
        let words = format!("{call:?}");
        let watched = Watched::new(Some(call))?;
        life(stage, &watched).map_err(|failure| format!("{words}: {failure}"))?;
        let was_refused = watched.was_refused()?;
        stage.learned.as_mut().ok_or("what was learnt")?.tried(next, was_refused);
        if was_refused {
            return Ok(None);
        }
    }
    Err(format!("none of its {all} calls is made again").into())
}

fn serve(stage: &mut Stage<'_>, watched: &Watched) -> Result<Option<Belongings>, Failure> {
    stage.server_wrapper = watched.wrapper(&stage.drivers.refusing);
    let server = stage.start_server(stage.sides.server, &[], watched.complaints()?.into());
    stage.server_wrapper.clear();
    let mut server = server?;
    if server.expect_ready().is_err() {
        ended_for_a_reason(&mut server, stage.sides.server, &watched.complained()?)?;
        stage.pair()?;
        stage.end_server()?;
        return Ok(None);
    }
    if stage.client.is_none() {
        stage.client = Some(stage.new_client(stage.sides.client, &[])?);
    }
    stage.recovers()?;
    let first = Belongings::of(server.id())?;
    stage.ask_client(CLOSE)?;
    stage.recovers()?;
    keeps_no_more(stage, server.id(), stage.sides.server, first)?;
    server.end()?;
    Ok(Some(first))
}

fn ask(stage: &mut Stage<'_>, watched: &Watched) -> Result<Option<Belongings>, Failure> {
    stage.serve()?;
    stage.client_wrapper = watched.wrapper(&stage.drivers.refusing);
    let client = stage.try_client(stage.sides.client, watched.complaints()?.into());
    stage.client_wrapper.clear();
    let mut client = match client? {
        Ok(client) => client,
        Err(mut ended) => {
            ended_for_a_reason(&mut ended, stage.sides.client, &watched.complained()?)?;
            stage.server_settles(0)?;
            return Ok(None);
        }
    };
    stage.right += client.say(NEXT, PATIENCE)?.1;
    let first = Belongings::of(client.driver().id())?;
    match client.say(CLOSE, PATIENCE) {
        Ok((_, right)) => stage.right += right,
        // In C what was closed is made anew by the program, and may then be refused as at its start.
        Err(_) if stage.sides.client == Language::C => {
            ended_for_a_reason(client.driver(), stage.sides.client, &watched.complained()?)?;
            stage.server_settles(0)?;
            return Ok(None);
        }
        Err(failure) => return Err(failure),
    }
    stage.right += client.say(NEXT, PATIENCE)?.1;
    keeps_no_more(stage, client.driver().id(), stage.sides.client, first)?;
    client.driver().end()?;
    stage.server_settles(0)?;
    Ok(Some(first))
}

/// That a driver with its second session has what it has when nothing is refused to it, and nothing beside: what it
/// had with its `first` one, where that is what is to be learnt. The second look alone may still see the first
/// session's socket, and would then hide that one is kept for good.
fn keeps_no_more(
    stage: &Stage<'_>,
    pid: u32,
    language: Language,
    first: Belongings,
) -> Result<(), Failure> {
    let most = stage.learned.as_ref().map_or(first, |learned| learned.belongings);
    settles(SETTLING, || Ok(Belongings::of(pid)?.more_than(&most, language)))?;
    Ok(())
}
