//! Why a frame is not a packet.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// A frame that yields no packet; it is counted, never an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reject {
    /// Whole and understood, but without IP.
    NotIp(NotIp),
    /// Cut or wrong below or in the IP header.
    Malformed(Malformed),
}

impl From<NotIp> for Reject {
    fn from(what: NotIp) -> Reject {
        Reject::NotIp(what)
    }
}

impl From<Malformed> for Reject {
    fn from(reason: Malformed) -> Reject {
        Reject::Malformed(reason)
    }
}

/// What a frame without IP carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum NotIp {
    /// An EtherType: ARP is 0x0806.
    EtherType(u16),
    /// IEEE 802.2 LLC with this destination service access point (spanning tree is 0x42).
    Llc(u8),
    /// A PPP protocol number other than IP (LCP is 0xc021).
    Ppp(u16),
    /// A BSD address family other than IP (link types 0 and 108).
    Family(u16),
    /// A Linux cooked-capture protocol that is no EtherType.
    Cooked(u16),
    /// An NFLOG message without an IP packet.
    Nflog,
    /// A PPI record of another link type.
    Ppi(u16),
    /// An MPLS label stack that does not end in IP.
    Mpls,
    /// An FDDI frame with this frame control, which is not LLC.
    Fddi(u8),
}

impl NotIp {
    /// The name used in metrics: EtherTypes as `0x0806`, others with their layer in front.
    #[must_use]
    pub fn name(self) -> Cow<'static, str> {
        match self {
            NotIp::EtherType(n) => format!("0x{n:04x}").into(),
            NotIp::Llc(n) => format!("llc.0x{n:02x}").into(),
            NotIp::Ppp(n) => format!("ppp.0x{n:04x}").into(),
            NotIp::Family(n) => format!("family.{n}").into(),
            NotIp::Cooked(n) => format!("cooked.0x{n:04x}").into(),
            NotIp::Nflog => "nflog".into(),
            NotIp::Ppi(n) => format!("ppi.{n}").into(),
            NotIp::Mpls => "mpls".into(),
            NotIp::Fddi(n) => format!("fddi.0x{n:02x}").into(),
        }
    }
}

macro_rules! malformed {
    ($($(#[$doc:meta])* $variant:ident = $name:literal),+ $(,)?) => {
        /// What is wrong with a malformed frame, as `layer.reason`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[repr(u8)]
        pub enum Malformed { $($(#[$doc])* $variant),+ }

        impl Malformed {
            /// Every reason.
            pub const ALL: &'static [Malformed] = &[$(Malformed::$variant),+];

            /// The name used in metrics.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Malformed::$variant => $name),+ }
            }
        }
    };
}

malformed! {
    /// The record's time does not fit 64-bit nanoseconds.
    Time = "record.time",
    /// The link type is not supported.
    LinkType = "link.type",
    /// The link header is cut.
    LinkTruncated = "link.truncated",
    /// The link header contradicts itself.
    LinkInvalid = "link.invalid",
    /// More nested tags or labels than are followed.
    LinkDepth = "link.depth",
    /// The IP header is cut, or its first nibble is neither 4 nor 6.
    IpTruncated = "ip.truncated",
    /// The version nibble is not the one that the layer below announced.
    IpVersion = "ip.version",
    /// The IPv4 header length is below 20 bytes, or the total length is below the header length.
    IpLength = "ip.length",
    /// An IPv6 extension header, or an authentication header of either version, is cut or too short.
    IpExtension = "ip.extension",
    /// More IPv6 extension headers than are followed.
    IpExtensionDepth = "ip.extension_depth",
    /// The transport header is cut before both ports.
    TransportTruncated = "transport.truncated",
}
