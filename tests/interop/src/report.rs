//! The cells of the matrix, and the report of a run: a table for each mix of offers.
//!
//! It has no time and no figure in it that another run could have otherwise, so that a run is compared
//! with the report that is kept.

use std::fmt::{self, Display, Formatter, Write as _};

use netipc_bench::Failure;

use crate::cell::{Drivers, Pair, play, play_race, play_wrong};
use crate::rows::{Offers, ROWS, Row};
use crate::system::System;

/// What a cell is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    /// Every answer is verified.
    Answers,
    /// Answers are wrong, and that must be seen.
    WrongAnswers,
    /// Two servers start at once: pairs are of servers.
    Race,
}

/// One cell: what, between whom, over what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cell<'a> {
    /// Where it stands among all.
    pub(crate) place: usize,
    what: What,
    row: &'static Row,
    offers: &'static Offers,
    pair: Pair<'a>,
}

/// What came of a cell: how many items were verified.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// All was as it must be.
    Verified(u64),
    /// There is no such thing to play, for this reason.
    NotApplicable(&'static str),
    Failed(Failure),
}

impl Cell<'_> {
    /// Plays it.
    pub(crate) fn play(&self, drivers: &Drivers) -> Outcome {
        if let Some(why) = self.row.not_applicable(self.offers) {
            return Outcome::NotApplicable(why);
        }
        let Self { row, offers, pair, .. } = *self;
        let played = match self.what {
            What::Answers => play(drivers, row, offers, pair),
            What::WrongAnswers => play_wrong(drivers, row, offers, pair).map(|()| 0),
            What::Race => play_race(drivers, row, offers, pair).map(|()| 0),
        };
        played.map_or_else(Outcome::Failed, Outcome::Verified)
    }

    /// Whether it is one of the few that stand for all.
    pub(crate) fn is_brief(&self) -> bool {
        match self.what {
            What::Answers => self.row.is_brief(),
            What::WrongAnswers => race().any(|row| std::ptr::eq(row, self.row)),
            What::Race => false,
        }
    }

    fn is_in(&self, what: What, row: &Row, offers: &Offers) -> bool {
        self.what == what && std::ptr::eq(self.row, row) && std::ptr::eq(self.offers, offers)
    }
}

impl Display for Cell<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { row, offers, pair, .. } = self;
        match self.what {
            What::Answers => {}
            What::WrongAnswers => f.write_str("wrong answers: ")?,
            What::Race => f.write_str("one name, two servers: ")?,
        }
        write!(f, "{}, {}, {}, {}", Arrow(*pair), offers.name, row.service, row.kind)
    }
}

/// A pair as the report has it.
struct Arrow<'a>(Pair<'a>);

impl Display for Arrow<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}→{}", self.0.client, self.0.server)
    }
}

/// Every language with every language, itself included.
fn pairs<'a>(languages: &[&'a str]) -> Vec<Pair<'a>> {
    let with = |client: &&'a str| {
        let client = *client;
        languages.iter().map(move |server| Pair { client, server }).collect::<Vec<_>>()
    };
    languages.iter().flat_map(with).collect()
}

/// The rows that a wrong answer is tried in: the first call of each service.
fn first_calls() -> impl Iterator<Item = &'static Row> {
    ROWS.iter().filter(|row| row.kind == "call")
}

/// The row in which servers race, and the one that stands for all where answers are wrong.
fn race() -> impl Iterator<Item = &'static Row> {
    first_calls().take(1)
}

/// All cells, in the order of the report.
pub(crate) fn cells<'a>(system: &System, languages: &[&'a str]) -> Vec<Cell<'a>> {
    let mut lines: Vec<(What, &'static Row, &'static Offers)> = Vec::new();
    for offers in system.offers {
        lines.extend(ROWS.iter().map(|row| (What::Answers, row, offers)));
    }
    for offers in system.plain_offers() {
        lines.extend(first_calls().map(|row| (What::WrongAnswers, row, offers)));
    }
    if let Some(offers) = system.race_offers() {
        lines.extend(race().map(|row| (What::Race, row, offers)));
    }
    let pairs = pairs(languages);
    let cells = lines.iter().flat_map(|(what, row, offers)| {
        pairs.iter().map(|pair| Cell { place: 0, what: *what, row, offers, pair: *pair })
    });
    cells.enumerate().map(|(place, cell)| Cell { place, ..cell }).collect()
}

/// A run in which nothing failed.
#[derive(Debug)]
pub(crate) struct Matrix<'a> {
    system: &'static System,
    pairs: Vec<Pair<'a>>,
    cells: Vec<(Cell<'a>, Outcome)>,
}

impl<'a> Matrix<'a> {
    /// Puts together what was played.
    pub(crate) fn new(
        system: &'static System,
        languages: &[&'a str],
        cells: &[Cell<'a>],
        outcomes: Vec<Outcome>,
    ) -> Self {
        let cells = cells.iter().copied().zip(outcomes).collect();
        Self { system, pairs: pairs(languages), cells }
    }

    /// The report, or what contradicts it: cells of a row that verified other things than the rest.
    pub(crate) fn report(&self) -> Result<String, Failure> {
        let mut text = self.system.head();
        for offers in self.system.offers {
            let (name, over) = (offers.name, self.system.name_of(offers.transport()));
            writeln!(text, "\n## Offers: {name}\n\nSessions are over {over}.\n")?;
            self.table(&mut text, What::Answers, offers, &mut self.system.rows())?;
        }
        for offers in self.system.plain_offers() {
            let name = offers.name;
            writeln!(text, "\n## Wrong answers are seen: {name}\n\n{WRONG_ANSWERS}\n")?;
            let mut rows = first_calls().filter(|row| self.has(What::WrongAnswers, row));
            self.table(&mut text, What::WrongAnswers, offers, &mut rows)?;
        }
        if let Some(offers) = self.system.race_offers() {
            writeln!(text, "\n## One name, two servers\n\n{ONE_NAME}\n")?;
            self.table(&mut text, What::Race, offers, &mut race())?;
        }
        Ok(text)
    }

    fn table(
        &self,
        text: &mut String,
        what: What,
        offers: &Offers,
        rows: &mut dyn Iterator<Item = &'static Row>,
    ) -> Result<(), Failure> {
        let has_items = what == What::Answers;
        text.push_str("| service | what |");
        if has_items {
            text.push_str(" items verified in each |");
        }
        for pair in &self.pairs {
            write!(text, " {} |", Arrow(*pair))?;
        }
        text.push_str("\n|---|---|");
        if has_items {
            text.push_str("--:|");
        }
        writeln!(text, "{}", ":-:|".repeat(self.pairs.len()))?;
        for row in rows {
            write!(text, "| {} | {} |", row.service, row.kind)?;
            if has_items {
                match self.items(row, offers)? {
                    Some(items) => write!(text, " {items} |")?,
                    None => text.push_str(" |"),
                }
            }
            if self.of(what, row, offers).next().is_none() {
                return Err(format!("nothing was played of {}, {}", row.service, row.kind).into());
            }
            for outcome in self.of(what, row, offers) {
                text.push_str(match outcome {
                    Outcome::Verified(_) => " ✓ |",
                    Outcome::NotApplicable(_) => " n/a |",
                    Outcome::Failed(_) => " FAILED |",
                });
            }
            text.push('\n');
        }
        let reasons =
            self.cells.iter().filter(|(cell, _)| cell.what == what && cell.offers == offers);
        let reason = reasons.clone().find_map(|(_, outcome)| match outcome {
            Outcome::NotApplicable(why) => Some(why),
            _ => None,
        });
        if let Some(why) = reason {
            writeln!(text, "\nn/a: {why}.")?;
        }
        Ok(())
    }

    /// Whether a row was played at all.
    fn has(&self, what: What, row: &Row) -> bool {
        self.cells.iter().any(|(cell, _)| cell.what == what && std::ptr::eq(cell.row, row))
    }

    fn of(&self, what: What, row: &Row, offers: &Offers) -> impl Iterator<Item = &Outcome> {
        self.cells
            .iter()
            .filter(move |(cell, _)| cell.is_in(what, row, offers))
            .map(|(_, outcome)| outcome)
    }

    /// How many items each cell of a row has verified: all the same, or drivers differ.
    fn items(&self, row: &Row, offers: &Offers) -> Result<Option<u64>, Failure> {
        let mut counts = self.of(What::Answers, row, offers).filter_map(|outcome| match outcome {
            Outcome::Verified(items) => Some(*items),
            Outcome::NotApplicable(_) | Outcome::Failed(_) => None,
        });
        let first = counts.next();
        match counts.find(|count| Some(*count) != first) {
            Some(other) => {
                let (service, kind) = (row.service, row.kind);
                let first = first.unwrap_or_default();
                Err(format!("{service}, {kind}: {first} items verified, or {other}").into())
            }
            None => Ok(first),
        }
    }
}

const WRONG_ANSWERS: &str = "The server answers wrongly, and the client must fail at it: a check that \
nothing can fail shows nothing.";

const ONE_NAME: &str = "A server of each language starts at the same time on one endpoint. One must win, the other \
must say so and end; the winner answers a client of the other's language.";
