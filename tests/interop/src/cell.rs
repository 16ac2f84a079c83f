//! One cell: processes are started, a client asks, and what both ends counted is compared.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use netipc_bench::Failure;
use netipc_bench::drivers::{Driver, run_dir};
use netipc_bench::lines::{AWAY, Checked, GO, Line};

use crate::rows::{Offer, Offers, Play, Row};

/// What a driver may be silent for: as long as one of its answers may take, and more.
const PATIENCE: Duration = Duration::from_secs(330);
/// The endpoint's name in each run directory.
const SERVICE: &str = "interop";
/// The generation of the first server; each that comes after it has the next.
const FIRST_GENERATION: u64 = 42;
/// What every driver says where an answer is not what it must be.
const WRONG: &str = "wrong answer";
/// The answers that are right before the wrong ones.
const RIGHT_BEFORE_WRONG: &str = "0";

/// The drivers, and how they are started.
#[derive(Debug)]
pub(crate) struct Drivers {
    /// By their languages.
    pub(crate) programs: BTreeMap<String, PathBuf>,
    /// What runs them, where the system does not by itself.
    pub(crate) runner: Option<PathBuf>,
}

impl Drivers {
    fn command(&self, language: &str) -> Result<Command, Failure> {
        let driver = self.programs.get(language).ok_or("a language without a driver")?;
        Ok(match &self.runner {
            None => Command::new(driver),
            Some(runner) => {
                let mut command = Command::new(runner);
                command.arg(driver);
                command
            }
        })
    }
}

/// Both ends of a cell.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pair<'a> {
    pub(crate) client: &'a str,
    pub(crate) server: &'a str,
}

/// A place in which a row is played.
struct Stage<'a> {
    drivers: &'a Drivers,
    row: &'a Row,
    offers: &'a Offers,
    run_dir: &'a Path,
}

/// Plays a row for a pair. Answers how many items were verified.
pub(crate) fn play(
    drivers: &Drivers,
    row: &Row,
    offers: &Offers,
    pair: Pair<'_>,
) -> Result<u64, Failure> {
    let run_dir = run_dir()?;
    let stage = Stage { drivers, row, offers, run_dir: run_dir.path() };
    match row.play {
        Play::Pair | Play::Pipeline | Play::Split => stage.pair(pair),
        Play::Back | Play::CacheBack => stage.back(pair),
    }
}

/// Has a client see a server's wrong answer, which must fail it.
pub(crate) fn play_wrong(
    drivers: &Drivers,
    row: &Row,
    offers: &Offers,
    pair: Pair<'_>,
) -> Result<(), Failure> {
    let run_dir = run_dir()?;
    let stage = Stage { drivers, row, offers, run_dir: run_dir.path() };
    let mut server =
        stage.server(pair.server, FIRST_GENERATION, &["--wrong-after", RIGHT_BEFORE_WRONG])?;
    let mut words = tempfile::tempfile()?;
    let mut client = stage.client(pair.client, words.try_clone()?.into())?;
    client.say(GO)?;
    if client.hear().is_ok() {
        return Err("the client has taken a wrong answer".into());
    }
    drop(client);
    let words = said(&mut words)?;
    if !words.contains(WRONG) {
        return Err(format!("the client ended for another reason than {WRONG:?}: {words}").into());
    }
    server.end()
}

/// Starts two servers on one name at once: exactly one must win, and be reached.
pub(crate) fn play_race(
    drivers: &Drivers,
    row: &Row,
    offers: &Offers,
    pair: Pair<'_>,
) -> Result<(), Failure> {
    let run_dir = run_dir()?;
    let stage = Stage { drivers, row, offers, run_dir: run_dir.path() };
    let languages = [pair.client, pair.server];
    let mut servers = Vec::new();
    for language in languages {
        servers.push(stage.start_server(language, FIRST_GENERATION, &[], Stdio::null())?);
    }
    let won: Vec<bool> = servers.iter_mut().map(|server| server.expect_ready().is_ok()).collect();
    let Some(winner) = won.iter().position(|won| *won) else {
        return Err("neither server got the name".into());
    };
    if won.iter().all(|won| *won) {
        return Err("both servers got the name".into());
    }
    let mut client = stage.client(languages[1 - winner], Stdio::inherit())?;
    let checked = go(&mut client, "")?;
    let handled = servers[winner].mark()?.handled;
    if handled != checked.requests {
        return Err(format!("the winner handled {handled} of {} requests", checked.requests).into());
    }
    client.end()?;
    servers[winner].end()
}

impl Stage<'_> {
    /// A client asks a server, twice: the first time brings what limits must grow to.
    fn pair(&self, pair: Pair<'_>) -> Result<u64, Failure> {
        let mut server = self.server(pair.server, FIRST_GENERATION, &[])?;
        let mut client = self.client(pair.client, Stdio::inherit())?;
        let first = go(&mut client, "")?;
        self.check(&first)?;
        let before = server.mark()?.handled;
        if before < first.requests {
            return Err(format!("{before} requests handled of {}", first.requests).into());
        }
        let second = go(&mut client, "")?;
        self.check(&second)?;
        let handled = server.mark()?.handled - before;
        if handled != second.requests {
            return Err(format!("{handled} requests handled of {}", second.requests).into());
        }
        if self.row.play == Play::Split && second.requests <= second.calls {
            return Err(format!("{} calls took {} requests", second.calls, second.requests).into());
        }
        client.end()?;
        server.end()?;
        Ok(first.items + second.items)
    }

    /// A server is ended and comes back in each other language, and in its own in between, while one
    /// client goes on. Where there is no other, it comes back in its own.
    fn back(&self, pair: Pair<'_>) -> Result<u64, Failure> {
        let mut languages = vec![pair.server];
        for other in self.drivers.programs.keys().filter(|language| *language != pair.server) {
            languages.extend([other, pair.server]);
        }
        if languages.len() == 1 {
            languages.push(pair.server);
        }
        let mut generation = FIRST_GENERATION;
        let mut server = self.server(pair.server, generation, &[])?;
        let mut client = self.client(pair.client, Stdio::inherit())?;
        let mut items = go(&mut client, "")?.items;
        for language in languages.into_iter().skip(1) {
            server.end()?;
            if self.row.play == Play::CacheBack {
                client.say(AWAY)?;
                match client.hear()? {
                    Line::Away => {}
                    other => return Err(client.unexpected(&other)),
                }
            }
            generation += 1;
            server = self.server(language, generation, &[])?;
            let checked = go(&mut client, &generation.to_string())?;
            self.check(&checked)?;
            let handled = server.mark()?.handled;
            if handled != checked.requests {
                let requests = checked.requests;
                return Err(format!("{handled} requests handled of {requests} ({language})").into());
            }
            items += checked.items;
        }
        client.end()?;
        server.end()?;
        Ok(items)
    }

    /// That the client did what it was told.
    fn check(&self, checked: &Checked) -> Result<(), Failure> {
        if checked.calls < self.row.turns {
            return Err(format!("{} calls of {}", checked.calls, self.row.turns).into());
        }
        Ok(())
    }

    fn server(&self, language: &str, generation: u64, more: &[&str]) -> Result<Driver, Failure> {
        let mut server = self.start_server(language, generation, more, Stdio::inherit())?;
        server.expect_ready()?;
        Ok(server)
    }

    fn start_server(
        &self,
        language: &str,
        generation: u64,
        more: &[&str],
        complaints: Stdio,
    ) -> Result<Driver, Failure> {
        let mut command = self.command(language, "server", &self.offers.server)?;
        command.args(["--generation", &generation.to_string()]).args(more).stderr(complaints);
        Driver::start(command, "server", PATIENCE)
    }

    fn client(&self, language: &str, complaints: Stdio) -> Result<Driver, Failure> {
        let mut command = self.command(language, "check", &self.offers.client)?;
        command.args(["--turns", &self.row.turns.to_string()]).stderr(complaints);
        let mut client = Driver::start(command, "client", PATIENCE)?;
        client.expect_ready()?;
        Ok(client)
    }

    fn command(&self, language: &str, end: &str, offer: &Offer) -> Result<Command, Failure> {
        let transport = self.offers.transport().argument();
        let mut command = self.drivers.command(language)?;
        command
            .args([end, "--scenario"])
            .args(self.row.arguments)
            .args(["--transport", transport, "--service", SERVICE])
            .args(["--supported", &offer.supported.to_string()])
            .args(["--preferred", &offer.preferred.to_string()])
            .arg("--run-dir")
            .arg(self.run_dir);
        Ok(command)
    }
}

/// All that is in the file.
fn said(file: &mut File) -> Result<String, Failure> {
    let mut words = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut words)?;
    Ok(String::from_utf8_lossy(&words).into_owned())
}

/// Has a client make its turns, each answer being of this generation.
fn go(client: &mut Driver, generation: &str) -> Result<Checked, Failure> {
    client.say(format!("{GO} {generation}").trim_end())?;
    match client.hear()? {
        Line::Checked(checked) => Ok(checked),
        other => Err(client.unexpected(&other)),
    }
}
