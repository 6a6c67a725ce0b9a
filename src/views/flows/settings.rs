//! What a flows view may be told: when flows end, what is counted, which columns are wanted.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::columns::Columns;
use super::feature::Feature;
use super::labels::Labels;
use super::teardown::LINGER;
use crate::config::{Config, Measure};
use crate::decode::packet::protocol;
use crate::engine::view::Hindsight;
use crate::flow::moments::Form;
use crate::flow::statistics::Bounds;
#[cfg(feature = "payload")]
use crate::payload::fragments::PERIOD;
use crate::time::NS_PER_SECOND;
use crate::views::groups::Window;

/// When flows end; times in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime {
    /// The longest silence inside a TCP flow; nothing: any. Default 300 s.
    pub tcp_idle: Option<i64>,
    /// The longest silence inside a UDP flow; nothing: any. Default 120 s.
    pub udp_idle: Option<i64>,
    /// The longest silence inside a flow of any other protocol; nothing: any. Default 60 s.
    pub other_idle: Option<i64>,
    /// The longest time from a flow's first packet to its last; nothing, the default: any.
    pub active: Option<i64>,
    /// How FIN, RST and SYN end TCP flows. Default as [`TcpEnd::Closed`].
    pub tcp_end: TcpEnd,
    /// Which flows go on behind the active timeout. Default none.
    pub goes_on: GoesOn,
}

/// How FIN, RST and SYN end TCP flows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TcpEnd {
    /// When both FINs were acknowledged, or by a RST. Trailing packets stay with the flow; a SYN of the next connection begins
    /// another.
    #[default]
    Closed,
    /// Not at all.
    Never,
    /// At once, by the first FIN; as CICFlowMeter of 2018.
    FirstFin,
    /// At once, by the server's first FIN or any RST, but not by the packet that began the flow. Further FINs of the client are
    /// left out. As CICFlowMeter of 2022.
    BackwardFin,
    /// At once, by any FIN or RST. For 240 s, four times the longest life of a segment, what follows is left out, up to a SYN;
    /// and no FIN or RST begins a flow. As LycoSTand.
    AnyFin,
    /// By a SYN behind a RST, or behind an ACK that follows FINs of both ends. ICMP of another type and another code also begins
    /// another flow. As the corrected CICFlowMeter.
    States,
}

impl TcpEnd {
    /// Its name, as that of the switch.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            TcpEnd::Closed => "closed",
            TcpEnd::Never => "none",
            TcpEnd::FirstFin => "first-fin",
            TcpEnd::BackwardFin => "first-bwd-fin",
            TcpEnd::AnyFin => "any-fin",
            TcpEnd::States => "states",
        }
    }
}

/// Which flows go on behind the active timeout: the next packet of the 5-tuple, unless it comes later than the idle timeout,
/// begins a flow between the same client and server, which takes over what features
/// [hand on](super::FeatureState::heir). Of them 5-tuples are held until they are idle, not only for the active timeout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GoesOn {
    /// None: every flow begins anew.
    #[default]
    Never,
    /// Those of TCP and UDP.
    TcpAndUdp,
    /// All.
    Always,
}

impl Default for Lifetime {
    fn default() -> Lifetime {
        Lifetime {
            tcp_idle: Some(300 * NS_PER_SECOND),
            udp_idle: Some(120 * NS_PER_SECOND),
            other_idle: Some(60 * NS_PER_SECOND),
            active: None,
            tcp_end: TcpEnd::Closed,
            goes_on: GoesOn::Never,
        }
    }
}

impl Lifetime {
    /// One flow a 5-tuple, whatever happens.
    pub const NEVER: Lifetime = Lifetime {
        tcp_idle: None,
        udp_idle: None,
        other_idle: None,
        active: None,
        tcp_end: TcpEnd::Never,
        goes_on: GoesOn::Never,
    };
}

/// How the client of a flow is told from the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientRule {
    /// By the strongest evidence that its packets give; see [`Direction`](crate::table::direction::Direction).
    #[default]
    Evidence,
    /// Who sent the packet that came first, in the order of the capture.
    FirstPacket,
    /// Whose address is the smaller as text, then whose port is. It says nothing of roles, so `direction` is the weakest.
    SmallerText,
    /// As [`ClientRule::FirstPacket`], but for a SYN with ACK, which the server sends.
    Opener,
}

impl ClientRule {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            ClientRule::Evidence => "evidence",
            ClientRule::FirstPacket => "first-packet",
            ClientRule::SmallerText => "smaller-text",
            ClientRule::Opener => "opener",
        }
    }
}

/// In which order flows leave that leave together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// By first time.
    #[default]
    Time,
    /// Those of more bytes first, by the measure that counts; then by first time.
    Bytes,
}

/// How a flows view works.
#[derive(Clone, Debug)]
pub struct Settings {
    /// When flows end.
    pub lifetime: Lifetime,
    /// Flows end in [sweeps](super::swept), and not as `lifetime` says; they are of two ends whatever the protocol, packets are
    /// taken as they come, and payload is not read. Default false.
    pub sweeps: bool,
    /// How far behind its flow's newest packet a packet may come and still be put in its place, in nanoseconds. Default
    /// 10 ms; 0 takes packets as they come.
    pub reorder: i64,
    /// Packets of a flow that sequences keep; 0, the default: none.
    pub sequences: usize,
    /// Whether statistics are of a population or of a sample. Default population.
    pub form: Form,
    /// How much of a flow's statistics is exact.
    pub bounds: Bounds,
    /// Flows with fewer packets are left out. Default 0.
    pub min_packets: u64,
    /// Leaves out TCP segments whose bytes were all seen before. Default false.
    pub no_retransmissions: bool,
    /// Which length `bytes_up` and `bytes_dn` are of. Default wire.
    pub bytes: Measure,
    /// Which end is the client. Default by evidence.
    pub client: ClientRule,
    /// Nothing between ports of one host is the server's to the rules of [`TcpEnd`], as where an address alone tells who sent it.
    /// Default false: ports tell the ends of one host apart.
    pub one_host_is_forward: bool,
    /// How flows are ordered. Default by first time.
    pub order: Order,
    /// Ports that name the server of a flow.
    pub service_ports: BTreeSet<u16>,
    /// Only packets of this time range.
    pub clip: Option<Window>,
    /// What is written, which decides what is computed.
    pub columns: Columns,
    /// How much of a flow's payload is kept.
    #[cfg(feature = "payload")]
    pub payload: crate::payload::Limits,
    /// Rules by which flows have labels.
    pub labels: Option<Arc<Labels>>,
    /// What records say of which capture they are. Default nothing.
    pub source_file: Option<Arc<str>>,
    /// State and columns of the caller's own.
    pub features: Vec<Arc<dyn Feature>>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings::new(&Config::default())
    }
}

impl Settings {
    /// How long the view looks back. A flow is held until its 5-tuple has been silent for the idle timeout and no packet that waits can be of it, so
    /// what is to come ended no further behind the clock; and behind a FIN or RST a 5-tuple may be held though no flow is. Who reads payload waits
    /// for fragments.
    #[must_use]
    pub fn hindsight(&self) -> Hindsight {
        let life = self.lifetime;
        let idle = [life.tcp_idle, life.udp_idle, life.other_idle].into_iter().map(|idle| idle.unwrap_or(i64::MAX / 4));
        let records = idle.max().unwrap_or(0).saturating_add(self.reorder);
        let lingers = if life.tcp_end == TcpEnd::AnyFin { LINGER } else { 0 };
        #[cfg(feature = "payload")]
        let period = if self.columns.need_payload() { PERIOD } else { 0 };
        #[cfg(not(feature = "payload"))]
        let period = 0;
        Hindsight { records, flows: records.max(lingers), period }
    }

    /// The defaults, with services and byte measure of a configuration.
    #[must_use]
    pub fn new(config: &Config) -> Settings {
        Settings {
            lifetime: Lifetime::default(),
            sweeps: false,
            reorder: NS_PER_SECOND / 100,
            sequences: 0,
            form: Form::default(),
            bounds: Bounds::default(),
            min_packets: 0,
            no_retransmissions: false,
            bytes: config.bytes,
            client: ClientRule::default(),
            one_host_is_forward: false,
            order: Order::default(),
            service_ports: config.service_port_map.keys().map(|port| port.0).collect(),
            clip: None,
            columns: Columns::default(),
            #[cfg(feature = "payload")]
            payload: crate::payload::Limits::default(),
            labels: None,
            source_file: None,
            features: Vec::new(),
        }
    }
}

/// The settings as shards read them.
pub(super) struct Plan {
    pub(super) settings: Settings,
    /// Statistics of some quantity are wanted.
    pub(super) statistics: bool,
    /// Which are.
    pub(super) quantities: [bool; 6],
    /// What TCP segments say is wanted.
    pub(super) tcp: bool,
    /// What payload says is wanted.
    pub(super) said: bool,
    /// The cell of features that is a label, counted from the last: rules come before what stands there.
    pub(super) label_at: Option<usize>,
    /// Longest silence by protocol; the greatest number is never.
    idle: [i64; 3],
    pub(super) active: i64,
    /// The longest time for which a 5-tuple is held from a flow's first packet on.
    pub(super) held: i64,
    /// Packets are asked whether they end their flow at once.
    pub(super) judges: bool,
}

impl Plan {
    pub(super) fn new(settings: Settings) -> Plan {
        let life = settings.lifetime;
        let never = |limit: Option<i64>| limit.unwrap_or(i64::MAX).max(0);
        let cells: Vec<_> = settings.features.iter().flat_map(|feature| feature.columns()).collect();
        let label = cells.iter().position(|column| column.name.eq_ignore_ascii_case("label"));
        let label_at = label.map(|place| cells.len() - place);
        Plan {
            statistics: settings.columns.quantities().contains(&true),
            quantities: settings.columns.quantities(),
            tcp: settings.columns.need_tcp() || settings.no_retransmissions,
            said: settings.columns.need_payload(),
            idle: [never(life.tcp_idle), never(life.udp_idle), never(life.other_idle)],
            active: never(life.active),
            held: if life.goes_on == GoesOn::Never { never(life.active) } else { i64::MAX },
            judges: matches!(life.tcp_end, TcpEnd::FirstFin | TcpEnd::BackwardFin | TcpEnd::AnyFin | TcpEnd::States),
            label_at,
            settings,
        }
    }

    /// The longest silence inside a flow of a protocol, ns.
    pub(super) fn idle(&self, number: u8) -> i64 {
        match number {
            protocol::TCP => self.idle[0],
            protocol::UDP => self.idle[1],
            _ => self.idle[2],
        }
    }

    /// Whether flows of a protocol go on behind the active timeout.
    pub(super) fn goes_on(&self, number: u8) -> bool {
        match self.settings.lifetime.goes_on {
            GoesOn::Never => false,
            GoesOn::TcpAndUdp => matches!(number, protocol::TCP | protocol::UDP),
            GoesOn::Always => true,
        }
    }

    /// Sequences or features are wanted.
    pub(super) fn keeps_more(&self) -> bool {
        self.settings.sequences > 0 || !self.settings.features.is_empty()
    }
}
