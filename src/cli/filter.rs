//! Options that choose packets, alike for every command that reads captures.

use pcap_compactor::filter::Filter;

/// Which packets a command is about.
#[derive(clap::Args)]
#[command(next_help_heading = "Packets")]
pub(crate) struct FilterArgs {
    /// Only packets that match, in tcpdump's language: 'tcp port 443 and not net 10.0.0.0/8'. Asked of decoded packets:
    /// behind VLAN tags, innermost in tunnels.
    #[arg(long, value_name = "EXPRESSION", default_value = "", hide_default_value = true)]
    filter: Filter,
    /// Leave out TCP packets that only acknowledge.
    #[arg(long)]
    no_pure_acks: bool,
    /// Leave out TCP packets with RST.
    #[arg(long)]
    no_rst: bool,
}

impl FilterArgs {
    /// The filter that they come to.
    pub(crate) fn filter(&self) -> Filter {
        self.filter.clone().without_pure_acks(self.no_pure_acks).without_rst(self.no_rst)
    }
}
