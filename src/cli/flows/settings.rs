//! What arguments of `flows` mean to the engine.

use std::sync::Arc;

use pcap_compactor::Config;
use pcap_compactor::flow::moments::Form as Moments;
use pcap_compactor::views::flows::columns::Group;
use pcap_compactor::views::flows::dialects::Dialect;
use pcap_compactor::views::flows::{Columns, GoesOn, Labels, Lifetime, Settings, TcpEnd};

use super::args::{Args, EndArg, MomentsArg};
use crate::cli::Usage;

/// What the engine is to do.
pub(super) fn settings(args: &Args, dialect: Option<&Dialect>) -> anyhow::Result<Settings> {
    let config = match &args.config {
        Some(path) => Config::load(path)?,
        None => Config::default(),
    };
    let mut columns = args.columns.as_deref().map_or(Ok(Columns::default()), Columns::parse)?;
    if args.sequences > 0 {
        columns = columns.and(Group::Sequences);
    } else if args.columns.as_deref().is_some_and(Columns::names_sequences) {
        return Err(Usage("columns of sequences need --sequences N, which says of how many packets".into()).into());
    }
    if let Some(list) = &args.app {
        columns = columns.and_of_payload(list)?;
    }
    let usual = Settings::new(&config);
    let settings = Settings {
        lifetime: lifetime(args)?,
        reorder: args.reorder,
        sequences: args.sequences,
        form: match args.stats_form {
            MomentsArg::Population => Moments::Population,
            MomentsArg::Sample => Moments::Sample,
        },
        min_packets: args.min_packets,
        no_retransmissions: args.no_retransmissions,
        bytes: args.writing.measure().unwrap_or(usual.bytes),
        clip: args.sources.range()?,
        columns,
        labels: args.label.as_deref().map(Labels::load).transpose()?.map(Arc::new),
        #[cfg(feature = "payload")]
        payload: {
            let [stream, items, text] = args.app_limits();
            pcap_compactor::payload::Limits { stream, items, text, details: true }
        },
        ..usual
    };
    let mut settings = match dialect {
        Some(dialect) => of_dialect(dialect, settings, args)?,
        None => settings,
    };
    if !settings.columns.need_payload() && [args.app_buffer, args.app_items, args.app_text] != [None; 3] {
        return Err(Usage("--app-buffer, --app-items and --app-text are about payload; add --app".into()).into());
    }
    if settings.labels.is_some() {
        settings.columns = settings.columns.and_label();
    }
    if args.source_file {
        settings.columns = settings.columns.and_source_file();
    }
    Ok(settings)
}

/// The settings of a dialect, where it has some.
fn of_dialect(dialect: &Dialect, usual: Settings, args: &Args) -> Result<Settings, Usage> {
    let mut settings = dialect.settings(usual);
    if args.writing.measure().is_some_and(|asked| asked != settings.bytes) {
        let name = dialect.name();
        return Err(Usage(format!("--dialect {name} has a measure of bytes of its own; leave out --bytes")));
    }
    if let Some(timeout) = args.udp_timeout {
        if settings.sweeps {
            let name = dialect.name();
            return Err(Usage(format!(
                "--dialect {name} ends flows in sweeps, not by a timeout; leave out --udp-timeout"
            )));
        }
        if dialect.switches().iter().any(|switch| switch.name == "idle_timeout" && switch.value == "off") {
            return Err(Usage(format!(
                "--dialect {} ends no flow by silence while its switch idle_timeout is off; leave out --udp-timeout, or add \
                 --set idle_timeout=udp-120s",
                dialect.name()
            )));
        }
        settings.lifetime.udp_idle = limit(timeout);
    }
    Ok(settings)
}

/// When flows end.
fn lifetime(args: &Args) -> Result<Lifetime, Usage> {
    let timeouts = [
        ("--tcp-timeout", args.tcp_timeout),
        ("--udp-timeout", args.udp_timeout),
        ("--other-timeout", args.other_timeout),
        ("--active-timeout", args.active_timeout),
    ];
    if args.flow_end == EndArg::Never {
        return match timeouts.iter().find(|(_, given)| given.is_some()) {
            Some((option, _)) => Err(Usage(format!("--flow-end never has no timeouts; leave out {option}"))),
            None => Ok(Lifetime::NEVER),
        };
    }
    let usual = Lifetime::default();
    let [tcp_idle, udp_idle, other_idle, active] = timeouts.map(|(_, given)| given);
    Ok(Lifetime {
        tcp_idle: tcp_idle.map_or(usual.tcp_idle, limit),
        udp_idle: udp_idle.map_or(usual.udp_idle, limit),
        other_idle: other_idle.map_or(usual.other_idle, limit),
        active: active.map_or(usual.active, limit),
        tcp_end: TcpEnd::Closed,
        goes_on: GoesOn::Never,
    })
}

/// A length of time as a limit: 0 is none.
fn limit(ns: i64) -> Option<i64> {
    (ns > 0).then_some(ns)
}
