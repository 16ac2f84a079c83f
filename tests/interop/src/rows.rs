//! What is played: the rows of the matrix, and what its servers and clients offer each other.

/// Bits of the contract's profiles (spec section 4).
const SOCKET: u32 = 1;
const SHARED: u32 = 2;
const BOTH: u32 = SOCKET | SHARED;
/// Shared memory in which nobody sleeps, which Windows alone has.
const BUSY: u32 = 4;
const SLEEPLESS: u32 = SOCKET | BUSY;

/// What one end offers, and what of it it would rather use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Offer {
    pub(crate) supported: u32,
    pub(crate) preferred: u32,
}

/// What both ends offer each other, and what their session must come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Offers {
    /// What the report calls it.
    pub(crate) name: &'static str,
    pub(crate) client: Offer,
    pub(crate) server: Offer,
}

impl Offers {
    const fn of(name: &'static str, client: (u32, u32), server: (u32, u32)) -> Self {
        Self {
            name,
            client: Offer { supported: client.0, preferred: client.1 },
            server: Offer { supported: server.0, preferred: server.1 },
        }
    }

    /// What the session is over: what the contract's rule selects (spec section 4).
    pub(crate) const fn transport(&self) -> Transport {
        let common = self.client.supported & self.server.supported;
        let preferred = common & self.client.preferred & self.server.preferred;
        let among = if preferred == 0 { common } else { preferred };
        if among & BUSY != 0 {
            Transport::Busywait
        } else if among & SHARED != 0 {
            Transport::SharedMemory
        } else {
            Transport::Baseline
        }
    }
}

/// What a session is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    /// Sockets, or pipes.
    Baseline,
    SharedMemory,
    Busywait,
}

impl Transport {
    /// As drivers take it.
    pub(crate) const fn argument(self) -> &'static str {
        match self {
            Self::Baseline => "socket",
            Self::SharedMemory => "shm",
            Self::Busywait => "busywait",
        }
    }

    /// Whether several requests may be in flight.
    const fn has_pipelines(self) -> bool {
        matches!(self, Self::Baseline)
    }
}

/// What is offered, in the report's order. Those that speak of one end are about what the other one
/// must make of it.
pub(crate) static OFFERS: [Offers; 7] = [
    Offers::of("socket", (SOCKET, SOCKET), (SOCKET, SOCKET)),
    Offers::of("shared memory", (BOTH, BOTH), (BOTH, BOTH)),
    Offers::of("client offers both, server the socket", (BOTH, BOTH), (SOCKET, SOCKET)),
    Offers::of("server offers both, client the socket", (SOCKET, SOCKET), (BOTH, BOTH)),
    Offers::of("client would rather have the socket", (BOTH, SOCKET), (BOTH, BOTH)),
    Offers::of("server would rather have the socket", (BOTH, BOTH), (BOTH, SOCKET)),
    Offers::of("each would rather have another", (BOTH, SOCKET), (BOTH, SHARED)),
];

/// What is offered on Windows, where another profile is. What is made of mixed offers is the same code.
pub(crate) static WINDOWS_OFFERS: [Offers; 3] = [
    Offers::of("pipe", (SOCKET, SOCKET), (SOCKET, SOCKET)),
    Offers::of("shared memory", (BOTH, BOTH), (BOTH, BOTH)),
    Offers::of("shared memory without sleep", (SLEEPLESS, SLEEPLESS), (SLEEPLESS, SLEEPLESS)),
];

/// How a row is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Play {
    /// A client asks a server.
    Pair,
    /// Several requests are in flight, which shared memory has not.
    Pipeline,
    /// Each call takes several requests.
    Split,
    /// The server is ended, and comes back in another language, again and again; calls go on.
    Back,
    /// The same, and while nobody serves a refresh fails and what is cached is kept.
    CacheBack,
}

/// A row of the matrix: what a client asks, and how often.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) service: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) play: Play,
    /// The scenario and its sizes, as drivers take them.
    pub(crate) arguments: &'static [&'static str],
    pub(crate) turns: u64,
}

const fn row(
    service: &'static str,
    kind: &'static str,
    play: Play,
    arguments: &'static [&'static str],
    turns: u64,
) -> Row {
    Row { service, kind, play, arguments, turns }
}

/// Turns of a row that is one small message each way, of a larger one, of one that takes many.
const MANY: u64 = 40;
const SOME: u64 = 8;
const FEW: u64 = 2;

/// All rows, service by service. At one place each, by which cells are told apart.
pub(crate) static ROWS: &[Row] = &[
    row("increment", "call", Play::Pair, &["ping-level2"], MANY),
    row("increment", "Level 1 at both ends", Play::Pair, &["ping-level1"], MANY),
    row("increment", "batch", Play::Pair, &["batch", "--items", "1000"], SOME),
    row("increment", "pipelined", Play::Pipeline, &["pipeline"], MANY),
    row(
        "increment",
        "pipelined batches, in packets of 256 bytes",
        Play::Pipeline,
        &["pipeline-batch", "--items", "100", "--packet-bytes", "256"],
        MANY,
    ),
    row(
        "increment",
        "batch, longer than a packet",
        Play::Pair,
        &["batch", "--items", "20000"],
        FEW,
    ),
    row("increment", "server came back", Play::Back, &["ping-level2"], SOME),
    row("string-reverse", "call", Play::Pair, &["reverse", "--bytes", "1000"], MANY),
    row(
        "string-reverse",
        "batch",
        Play::Pair,
        &["reverse-batch", "--bytes", "100", "--items", "200"],
        SOME,
    ),
    row(
        "string-reverse",
        "pipelined",
        Play::Pipeline,
        &["pipeline-reverse", "--bytes", "1000"],
        MANY,
    ),
    row(
        "string-reverse",
        "pipelined, in packets of 256 bytes",
        Play::Pipeline,
        &["pipeline-reverse", "--bytes", "1000", "--packet-bytes", "256"],
        MANY,
    ),
    row(
        "string-reverse",
        "call, longer than a packet",
        Play::Pair,
        &["reverse", "--bytes", "300000"],
        FEW,
    ),
    row(
        "string-reverse",
        "batch, longer than a packet",
        Play::Pair,
        &["reverse-batch", "--bytes", "10000", "--items", "60"],
        FEW,
    ),
    row("string-reverse", "server came back", Play::Back, &["reverse", "--bytes", "1000"], SOME),
    row("cgroups-snapshot", "call", Play::Pair, &["fetch", "--items", "16"], SOME),
    row("cgroups-snapshot", "call, nothing there", Play::Pair, &["fetch", "--items", "0"], SOME),
    row(
        "cgroups-snapshot",
        "cache, every answer another",
        Play::Pair,
        &["snapshot-changing", "--items", "16"],
        SOME,
    ),
    row(
        "cgroups-snapshot",
        "pipelined",
        Play::Pipeline,
        &["pipeline-snapshot", "--items", "16"],
        MANY,
    ),
    row(
        "cgroups-snapshot",
        "pipelined, in packets of 256 bytes",
        Play::Pipeline,
        &["pipeline-snapshot", "--items", "16", "--packet-bytes", "256"],
        MANY,
    ),
    row(
        "cgroups-snapshot",
        "call, longer than a packet",
        Play::Pair,
        &["fetch", "--items", "3000"],
        FEW,
    ),
    row(
        "cgroups-snapshot",
        "cache, longer than a packet",
        Play::Pair,
        &["snapshot", "--items", "3000"],
        FEW,
    ),
    row(
        "cgroups-snapshot",
        "cache, server came back",
        Play::CacheBack,
        &["snapshot", "--items", "16"],
        FEW,
    ),
    row("cgroups-lookup", "call", Play::Pair, &["cgroups-lookup", "--items", "16"], SOME),
    row(
        "cgroups-lookup",
        "call, every other unknown",
        Play::Pair,
        &["cgroups-lookup", "--items", "100", "--mix", "mixed"],
        SOME,
    ),
    row(
        "cgroups-lookup",
        "pipelined",
        Play::Pipeline,
        &["pipeline-cgroups-lookup", "--items", "20"],
        MANY,
    ),
    row(
        "cgroups-lookup",
        "pipelined, in packets of 256 bytes",
        Play::Pipeline,
        &["pipeline-cgroups-lookup", "--items", "20", "--packet-bytes", "256"],
        MANY,
    ),
    row(
        "cgroups-lookup",
        "an item longer than a packet",
        Play::Pair,
        &["cgroups-lookup", "--items", "3", "--mix", "long", "--bytes", "300000"],
        FEW,
    ),
    row(
        "cgroups-lookup",
        "split",
        Play::Split,
        &["cgroups-lookup", "--items", "5000", "--mix", "mixed"],
        FEW,
    ),
    row(
        "cgroups-lookup",
        "server came back",
        Play::Back,
        &["cgroups-lookup", "--items", "16"],
        FEW,
    ),
    row("apps-lookup", "call", Play::Pair, &["apps-lookup", "--items", "16"], SOME),
    row(
        "apps-lookup",
        "call, every other unknown",
        Play::Pair,
        &["apps-lookup", "--items", "100", "--mix", "mixed"],
        SOME,
    ),
    row(
        "apps-lookup",
        "pipelined",
        Play::Pipeline,
        &["pipeline-apps-lookup", "--items", "20"],
        MANY,
    ),
    row(
        "apps-lookup",
        "pipelined, in packets of 256 bytes",
        Play::Pipeline,
        &["pipeline-apps-lookup", "--items", "20", "--packet-bytes", "256"],
        MANY,
    ),
    row(
        "apps-lookup",
        "an item longer than a packet",
        Play::Pair,
        &["apps-lookup", "--items", "3", "--mix", "long", "--bytes", "300000"],
        FEW,
    ),
    row(
        "apps-lookup",
        "split",
        Play::Split,
        &["apps-lookup", "--items", "5000", "--mix", "mixed"],
        FEW,
    ),
    row("apps-lookup", "server came back", Play::Back, &["apps-lookup", "--items", "16"], FEW),
    row("ip-to-asn", "call", Play::Pair, &["asn-lookup", "--items", "16"], SOME),
    row(
        "ip-to-asn",
        "call, every other unknown",
        Play::Pair,
        &["asn-lookup", "--items", "100", "--mix", "mixed"],
        SOME,
    ),
    row("ip-to-asn", "pipelined", Play::Pipeline, &["pipeline-asn-lookup", "--items", "20"], MANY),
    row(
        "ip-to-asn",
        "pipelined, in packets of 256 bytes",
        Play::Pipeline,
        &["pipeline-asn-lookup", "--items", "20", "--packet-bytes", "256"],
        MANY,
    ),
    row(
        "ip-to-asn",
        "an item longer than a packet",
        Play::Pair,
        &["asn-lookup", "--items", "3", "--mix", "long", "--bytes", "300000"],
        FEW,
    ),
    row(
        "ip-to-asn",
        "split",
        Play::Split,
        &["asn-lookup", "--items", "5000", "--mix", "mixed"],
        FEW,
    ),
    row("ip-to-asn", "server came back", Play::Back, &["asn-lookup", "--items", "16"], FEW),
];

impl Row {
    /// Whether it is among the few that stand for all: one of each service and of each way to ask.
    pub(crate) fn is_brief(&self) -> bool {
        match self.play {
            Play::Pair => ["call", "batch", "cache, every answer another"].contains(&self.kind),
            Play::Pipeline => self.kind == "pipelined",
            Play::Split => self.service == "ip-to-asn",
            Play::Back => self.service == "increment",
            Play::CacheBack => true,
        }
    }

    /// Why there is nothing to play with these offers, if so.
    pub(crate) fn not_applicable(&self, offers: &Offers) -> Option<&'static str> {
        (self.play == Play::Pipeline && !offers.transport().has_pipelines()).then_some(
            "a session over shared memory has one request in flight, so nothing is pipelined",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_selected_is_what_the_names_say() {
        let selected = |offers: &[Offers]| -> Vec<&str> {
            offers.iter().map(|offers| offers.transport().argument()).collect()
        };
        let (socket, shm) = ("socket", "shm");
        assert_eq!(selected(&OFFERS), [socket, shm, socket, socket, socket, socket, shm]);
        assert_eq!(selected(&WINDOWS_OFFERS), [socket, shm, "busywait"]);
    }

    #[test]
    fn what_is_brief_has_every_service_and_every_way_to_ask() {
        let brief: Vec<_> = ROWS.iter().filter(|row| row.is_brief()).collect();
        for row in ROWS {
            assert!(brief.iter().any(|other| other.service == row.service), "{}", row.service);
            assert!(brief.iter().any(|other| other.play == row.play), "{:?}", row.play);
        }
        assert!(brief.len() < ROWS.len() / 2, "{} of {} rows", brief.len(), ROWS.len());
    }

    #[test]
    fn every_service_has_every_kind_that_it_can_have() {
        for service in [
            "increment",
            "string-reverse",
            "cgroups-snapshot",
            "cgroups-lookup",
            "apps-lookup",
            "ip-to-asn",
        ] {
            let rows: Vec<_> = ROWS.iter().filter(|row| row.service == service).collect();
            let has = |kind: &str| rows.iter().any(|row| row.kind.contains(kind));
            for kind in ["call", "pipelined", "longer than a packet", "came back"] {
                assert!(has(kind), "{service}: {kind}");
            }
            assert_eq!(has("batch"), ["increment", "string-reverse"].contains(&service));
            assert_eq!(has("split"), service.contains("lookup") || service == "ip-to-asn");
        }
    }
}
