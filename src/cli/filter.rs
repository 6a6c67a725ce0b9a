//! Options that choose packets, alike for every command that reads captures.

use std::str::FromStr;

use pcap_compactor::filter::{Filter, Mistake};

/// Which packets a command is about.
#[derive(clap::Args)]
#[command(next_help_heading = "Packets")]
pub(crate) struct FilterArgs {
    /// Only packets that match, in tcpdump's language: 'tcp port 443 and not net 10.0.0.0/8'. Asked of decoded packets:
    /// behind VLAN tags, innermost in tunnels.
    #[arg(long, value_name = "EXPRESSION", default_value = "", hide_default_value = true)]
    filter: Asked,
    /// Leave out TCP packets that only acknowledge.
    #[arg(long)]
    pub(crate) no_pure_acks: bool,
    /// Leave out TCP packets with RST.
    #[arg(long)]
    pub(crate) no_rst: bool,
}

/// An expression, as it was given and as it was read.
#[derive(Clone)]
struct Asked {
    text: String,
    filter: Filter,
}

impl FromStr for Asked {
    type Err = Mistake;
    fn from_str(text: &str) -> Result<Asked, Mistake> {
        Ok(Asked { text: text.to_owned(), filter: text.parse()? })
    }
}

impl FilterArgs {
    /// The expression as it was given; empty if there is none.
    pub(crate) fn text(&self) -> &str {
        &self.filter.text
    }

    /// The filter that they come to.
    pub(crate) fn filter(&self) -> Filter {
        self.filter.filter.clone().without_pure_acks(self.no_pure_acks).without_rst(self.no_rst)
    }
}
