//! What all repetitions of a row came to, and the files that keep it.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::drive::{Once, SystemCalls};
use super::machine::Machine;
use super::plan::{Effort, FUTEX, LINE, Language, MAX, Mode, Rate, Row, SEQPACKET, Work, rows};
use crate::Failure;
use crate::work::{Placement, Scenario, Transport};

const RESULTS_JSON: &str = "results.json";
const RESULTS_CSV: &str = "results.csv";
const RUN_JSON: &str = "run.json";

/// Medians of a row's repetitions. The first twelve fields are the interface of the file; more may
/// follow them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Outcome {
    pub(crate) scenario: String,
    pub(crate) transport: Transport,
    pub(crate) client: String,
    pub(crate) server: String,
    pub(crate) placement: Placement,
    pub(crate) rate: Rate,
    /// Calls a second.
    pub(crate) throughput: f64,
    pub(crate) p50_ns: f64,
    pub(crate) p99_ns: f64,
    /// CPUs that were busy: 1 is a whole one.
    pub(crate) client_cpu: f64,
    pub(crate) server_cpu: f64,
    /// Throughput by that of the row's limit, in the same placement of the same run.
    pub(crate) of_limit: Option<f64>,
    pub(crate) p95_ns: f64,
    pub(crate) p999_ns: f64,
    /// Of all repetitions.
    pub(crate) throughput_min: f64,
    pub(crate) throughput_max: f64,
    pub(crate) items_per_second: f64,
    pub(crate) client_rss_kib: u64,
    pub(crate) server_rss_kib: u64,
    /// System calls a call.
    pub(crate) client_system_calls: Option<f64>,
    pub(crate) server_system_calls: Option<f64>,
    /// What the row is held against.
    pub(crate) limit: Option<String>,
    pub(crate) repetitions: usize,
    /// Of all repetitions.
    pub(crate) calls: u64,
    pub(crate) clients: u32,
    /// What the server's resident memory grew by, for a client.
    pub(crate) bytes_per_client: f64,
    pub(crate) agreed_bytes: u64,
    pub(crate) clock_hz: f64,
}

/// How a run was made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Run {
    pub(crate) mode: Mode,
    pub(crate) effort: Effort,
    pub(crate) transports: Vec<Transport>,
    pub(crate) languages: Vec<Language>,
    pub(crate) machine: Machine,
    pub(crate) took_seconds: f64,
}

/// A run and its rows.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Results {
    pub(crate) run: Run,
    pub(crate) rows: Vec<Outcome>,
}

impl Outcome {
    /// Of a row that was run at least once; `of_limit` is [`hold_against_limits`]'s to fill.
    pub(super) fn new(row: &Row, times: &[Once], system_calls: Option<SystemCalls>) -> Self {
        let middle = |value: fn(&Once) -> f64| median(times.iter().map(value).collect());
        let rate = |once: &Once| once.measured.calls as f64 / once.measured.seconds;
        Self {
            scenario: row.work.to_string(),
            transport: row.transport,
            client: row.client.clone(),
            server: row.server.clone(),
            placement: row.placement,
            rate: row.rate,
            throughput: middle(rate),
            p50_ns: middle(|once| once.measured.p50_ns),
            p99_ns: middle(|once| once.measured.p99_ns),
            client_cpu: middle(|once| once.client_cpu),
            server_cpu: middle(|once| once.server_cpu),
            of_limit: None,
            p95_ns: middle(|once| once.measured.p95_ns),
            p999_ns: middle(|once| once.measured.p999_ns),
            throughput_min: times.iter().map(rate).fold(f64::INFINITY, f64::min),
            throughput_max: times.iter().map(rate).fold(0.0, f64::max),
            items_per_second: middle(|once| once.measured.items as f64 / once.measured.seconds),
            client_rss_kib: middle(|once| once.measured.rss_kib as f64) as u64,
            server_rss_kib: middle(|once| once.server_rss_kib as f64) as u64,
            client_system_calls: system_calls.map(|calls| calls.client),
            server_system_calls: system_calls.map(|calls| calls.server),
            limit: None,
            repetitions: times.len(),
            calls: times.iter().map(|once| once.measured.calls).sum(),
            clients: row.work.clients,
            bytes_per_client: middle(|once| once.bytes_per_client),
            agreed_bytes: middle(|once| once.measured.agreed_bytes as f64) as u64,
            clock_hz: middle(|once| once.measured.clock_hz),
        }
    }

    /// Of both processes together.
    pub(crate) fn cpu(&self) -> f64 {
        self.client_cpu + self.server_cpu
    }

    pub(crate) fn is(&self, row: &Row) -> bool {
        self.scenario == row.work.to_string()
            && self.transport == row.transport
            && self.client == row.client
            && self.server == row.server
            && self.placement == row.placement
            && self.rate == row.rate
    }
}

/// What a row is held against: the machine without netipc, in the same placement.
///
/// At most: a cache line that passes from CPU to CPU for shared memory, the harsher of the two; a
/// blocking loop where the two ends share one CPU, and for sockets. Paced: the blocking socket loop,
/// paced alike.
fn limit_of(row: &Row) -> Option<(Work, Rate)> {
    if row.work.scenario == Scenario::Idle {
        return None;
    }
    match (row.transport, row.rate, row.placement) {
        (Transport::Process | Transport::Raw, _, _) => None,
        (Transport::Shm, Rate::Max(_), Placement::OneCpu) => Some((FUTEX, MAX)),
        (Transport::Shm | Transport::Busywait, Rate::Max(_), _) => Some((LINE, MAX)),
        (_, rate, _) => Some((SEQPACKET, rate)),
    }
}

/// Fills in each row's fraction of its limit.
pub(super) fn hold_against_limits(planned: &[Row], outcomes: &mut [Outcome]) {
    for row in planned {
        let Some((work, rate)) = limit_of(row) else { continue };
        let is_limit = |outcome: &&Outcome| {
            outcome.scenario == work.to_string()
                && outcome.placement == row.placement
                && outcome.rate == rate
        };
        let limit = outcomes.iter().find(is_limit).map(|limit| limit.throughput);
        if let Some(outcome) = outcomes.iter_mut().find(|outcome| outcome.is(row)) {
            outcome.limit = Some(format!("{work} {rate}"));
            outcome.of_limit = limit.map(|limit| outcome.throughput / limit);
        }
    }
}

impl Results {
    /// That every row of the mode is there, over both transports, as often as it must be.
    ///
    /// # Errors
    /// What is missing.
    pub(crate) fn check_complete(&self) -> Result<(), Failure> {
        let Run { mode, effort, transports, languages, .. } = &self.run;
        if *effort != mode.effort() {
            return Err("incomplete: rows were measured for another time than the mode's".into());
        }
        for transport in [Transport::Socket, Transport::Shm] {
            if !transports.contains(&transport) {
                return Err("incomplete: a transport was left out".into());
            }
        }
        let planned = rows(*mode, transports, languages);
        for row in &planned {
            let Some(outcome) = self.rows.iter().find(|outcome| outcome.is(row)) else {
                return Err(format!("incomplete: no figures of {row}").into());
            };
            if outcome.repetitions != effort.repetitions {
                let times = outcome.repetitions;
                return Err(format!("incomplete: {row} was measured {times} times").into());
            }
        }
        if self.rows.len() != planned.len() {
            return Err("these rows are of another plan".into());
        }
        Ok(())
    }

    /// Writes the files of a run, each whole.
    ///
    /// # Errors
    /// The system refused.
    pub(super) fn write(&self, dir: &Path) -> Result<(), Failure> {
        fs::create_dir_all(dir)?;
        let mut csv = csv::Writer::from_writer(Vec::new());
        for row in &self.rows {
            csv.serialize(row)?;
        }
        let csv = csv.into_inner().map_err(csv::IntoInnerError::into_error)?;
        replace(&[
            (dir.join(RESULTS_CSV), csv),
            (dir.join(RESULTS_JSON), json(&self.rows)?),
            (dir.join(RUN_JSON), json(&self.run)?),
        ])
    }

    /// Reads what [`write`](Self::write) wrote.
    ///
    /// # Errors
    /// There is no such run, or its files are no results.
    pub(super) fn read(dir: &Path) -> Result<Self, Failure> {
        let read = |name: &str| {
            let path = dir.join(name);
            fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))
        };
        Ok(Self {
            run: serde_json::from_slice(&read(RUN_JSON)?)?,
            rows: serde_json::from_slice(&read(RESULTS_JSON)?)?,
        })
    }
}

/// Replaces files, each at once: all are written beside their places before the first is moved.
pub(super) fn replace(files: &[(impl AsRef<Path>, impl AsRef<[u8]>)]) -> Result<(), Failure> {
    let mut moves = Vec::new();
    for (path, contents) in files {
        let path = path.as_ref();
        let mut new = path.as_os_str().to_owned();
        new.push(".new");
        fs::write(&new, contents.as_ref())?;
        moves.push((new, path));
    }
    for (new, path) in moves {
        fs::rename(new, path)?;
    }
    Ok(())
}

fn json(value: &impl Serialize) -> Result<Vec<u8>, Failure> {
    let mut text = serde_json::to_vec_pretty(value)?;
    text.push(b'\n');
    Ok(text)
}

/// The middle one; of an even number the mean of the middle two; 0 of none.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.get(middle) {
        None => 0.0,
        Some(upper) if values.len() % 2 == 1 => *upper,
        Some(upper) => values.get(middle - 1).map_or(*upper, |lower| f64::midpoint(*lower, *upper)),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::plan::tests::whole;
    use super::*;

    /// A whole run, whose figures are made up: shared memory is twice as fast as the socket, and Rust
    /// twice as fast as Go.
    pub(crate) fn canned() -> Results {
        let run = Run {
            mode: Mode::Quick,
            effort: Mode::Quick.effort(),
            transports: vec![Transport::Socket, Transport::Shm],
            languages: vec![whole("rust"), whole("c"), whole("go")],
            machine: Machine::default(),
            took_seconds: 1.0,
        };
        let planned = rows(run.mode, &run.transports, &run.languages);
        let mut outcomes: Vec<_> = planned.iter().map(|row| canned_row(row, &run)).collect();
        hold_against_limits(&planned, &mut outcomes);
        Results { run, rows: outcomes }
    }

    fn canned_row(row: &Row, run: &Run) -> Outcome {
        let of_rust = match (row.rate, row.transport) {
            (Rate::PerSecond(rate), _) => f64::from(rate),
            (_, Transport::Socket) => 100_000.0,
            (_, Transport::Shm | Transport::Busywait) => 200_000.0,
            (_, Transport::Raw) => 400_000.0,
            (_, Transport::Process) => 200e6,
        };
        let is_slow = row.rate == MAX && row.server == "go";
        let throughput = if is_slow { of_rust / 2.0 } else { of_rust };
        let once = Once {
            measured: crate::lines::Measured {
                calls: throughput as u64,
                requests: throughput as u64,
                items: throughput as u64,
                seconds: 1.0,
                p50_ns: 1e9 / throughput,
                p95_ns: 2e9 / throughput,
                p99_ns: 3e9 / throughput,
                p999_ns: 4e9 / throughput,
                max_ns: 5e9 / throughput,
                timed: 1_000,
                cpu_ns: 1,
                rss_kib: 4_000,
                agreed_bytes: 131_072,
                clock_hz: 3e9,
            },
            client_cpu: 0.5,
            server_cpu: 0.25,
            server_rss_kib: 5_000,
            bytes_per_client: 65_536.0,
        };
        let system_calls = Some(SystemCalls { client: 2.0, server: 2.5 });
        Outcome::new(row, &vec![once; run.effort.repetitions], system_calls)
    }

    #[test]
    fn a_median_is_the_middle() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]).to_bits(), 2.0_f64.to_bits());
        assert_eq!(median(vec![1.0, 4.0]).to_bits(), 2.5_f64.to_bits());
        assert_eq!(median(Vec::new()).to_bits(), 0.0_f64.to_bits());
    }

    #[test]
    fn a_whole_run_is_complete_and_anything_less_is_not() {
        let whole = canned();
        whole.check_complete().unwrap();

        let mut missing = whole.clone();
        missing.rows.pop();
        assert!(missing.check_complete().unwrap_err().to_string().contains("no figures of cache"));
        let mut seldom = whole.clone();
        seldom.rows[0].repetitions -= 1;
        assert!(seldom.check_complete().unwrap_err().to_string().contains("2 times"));
        let mut short = whole.clone();
        short.run.effort.seconds /= 2.0;
        assert!(short.check_complete().is_err());
        let mut one = whole.clone();
        one.run.transports.pop();
        assert!(one.check_complete().unwrap_err().to_string().contains("transport"));
        let mut more = whole;
        more.rows.push(more.rows[0].clone());
        assert!(more.check_complete().is_err());
    }

    #[test]
    fn what_is_written_is_read_again_and_begins_with_the_fields_that_others_read() {
        let dir = tempfile::tempdir().unwrap();
        let results = canned();
        results.write(dir.path()).unwrap();
        assert_eq!(Results::read(dir.path()).unwrap(), results);
        let csv = fs::read_to_string(dir.path().join(RESULTS_CSV)).unwrap();
        let fields = "scenario,transport,client,server,placement,rate,throughput,p50_ns,p99_ns,\
                      client_cpu,server_cpu,of_limit,";
        assert!(csv.starts_with(fields), "{}", csv.lines().next().unwrap_or_default());
        assert_eq!(csv.lines().count(), results.rows.len() + 1);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3, "nothing half-written is left");
    }

    #[test]
    fn each_row_is_held_against_the_limit_of_its_placement() {
        let results = canned();
        for row in &results.rows {
            let (limit, of_limit) = (row.limit.as_deref(), row.of_limit);
            match (row.transport, row.rate, row.placement) {
                _ if row.scenario.starts_with("idle") => assert_eq!(limit, None),
                (Transport::Raw | Transport::Process, _, _) => assert_eq!(of_limit, None),
                (_, Rate::PerSecond(rate), _) => {
                    assert_eq!(limit, Some(format!("raw-seqpacket {rate}").as_str()));
                    assert_eq!(of_limit, Some(1.0));
                }
                (Transport::Socket, _, _) => assert_eq!(limit, Some("raw-seqpacket max")),
                (Transport::Shm, _, Placement::OneCpu) => assert_eq!(limit, Some("raw-futex max")),
                (Transport::Shm | Transport::Busywait, _, _) => {
                    assert_eq!(limit, Some("raw-line max"));
                    assert_eq!(of_limit, Some(if row.server == "go" { 0.25 } else { 0.5 }));
                }
            }
        }
    }
}
