//! TLS: hellos, fingerprints and certificates.
//!
//! Over TCP, records may lie across segments and handshake messages across records. Everything up to the first encrypted
//! record is read; TLS 1.3 sends its certificates encrypted, so there are none. A hello whose end is missing gives what
//! its beginning says; a connection of which only encrypted records were captured says no more than that it is TLS.

mod certificate;
mod fingerprint;
mod hello;
mod messages;
mod record;

pub(super) mod dtls;

pub use certificate::Certificate;
pub use fingerprint::{Carrier, ClientHello, ServerHello, is_grease, ja3, ja3s, ja4};
pub(super) use messages::{Messages, kind};
pub(super) use record::{TlsReader, begins, goes_on};

use super::fields::{Fields, Limits};
use hello::{Extension, Hello};

/// What a TLS handshake says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tls {
    /// The version that the server chose: 0x0304 is TLS 1.3 (from `supported_versions` where it is there).
    pub version: Option<u16>,
    /// The cipher suite that the server chose.
    pub cipher: Option<u16>,
    /// The application protocol that the server chose.
    pub alpn: Option<String>,
    /// The group of the server's key share.
    pub group: Option<u16>,
    /// Extension types of the server hello, in order.
    pub server_extensions: Vec<u16>,
    /// The name that the client asked for.
    pub sni: Option<String>,
    /// The highest version that the client offered.
    pub client_version: Option<u16>,
    /// Application protocols that the client offered, in order.
    pub alpn_offered: Vec<String>,
    /// What the client hello offered, in order, GREASE values included.
    pub offered: Option<Box<ClientHello>>,
    /// JA3 of the client hello, 32 hexadecimal digits.
    pub ja3: Option<String>,
    /// JA3S of the server hello, 32 hexadecimal digits.
    pub ja3s: Option<String>,
    /// JA4 of the client hello.
    pub ja4: Option<String>,
    /// The server asked for a second client hello (TLS 1.3).
    pub hello_retry: bool,
    /// The session is an earlier one: up to TLS 1.2 the server repeats the client's session id; in TLS 1.3 it takes a
    /// pre-shared key.
    pub resumed: bool,
    /// Certificates that the server sent, its own first.
    pub certificates: Vec<Certificate>,
    /// Certificates that the client sent.
    pub client_certificates: Vec<Certificate>,
    /// Certificates that could not be read; their cells are empty but for the hash.
    pub unread_certificates: u32,
    /// Session id of the client hello.
    session_id: Vec<u8>,
    /// The client hello was not whole.
    partial: bool,
}

/// What the random of a server hello says when it is a request for another client hello (RFC 8446, section 4.1.3).
const RETRY: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2, 0xa2, 0x11,
    0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

/// Notes a client hello: the body of its handshake message. The first whole one counts.
pub(super) fn note_client_hello(body: &[u8], whole: bool, carrier: Carrier, fields: &mut Fields, limits: &Limits) {
    let Some(hello) = Hello::client(body) else { return };
    if fields.tls.as_ref().is_some_and(|tls| tls.offered.is_some() && !(tls.partial && whole)) {
        return;
    }
    let mut offered = ClientHello { version: hello.version, ciphers: hello.ciphers, ..ClientHello::default() };
    let mut sni = None;
    let mut alpn_offered = Vec::new();
    for extension in hello.extensions {
        offered.extensions.push(extension.kind());
        match extension {
            Extension::ServerName(name) => sni = sni.or_else(|| fields.text(name, limits)),
            Extension::Alpn(protocols) => {
                offered.alpn = protocols.first().map(|name| name.to_vec());
                alpn_offered.extend(protocols.iter().filter_map(|name| fields.text(name, limits)));
            }
            Extension::Groups(groups) => offered.groups = groups,
            Extension::PointFormats(formats) => offered.point_formats = formats.to_vec(),
            Extension::SignatureAlgorithms(algorithms) => offered.signature_algorithms = algorithms,
            Extension::SupportedVersions(versions) => offered.versions = versions,
            Extension::KeyShare(_) | Extension::Other(_) => {}
        }
    }
    let tls = fields.tls.get_or_insert_default();
    tls.partial = !whole;
    tls.sni = sni;
    tls.alpn_offered = alpn_offered;
    tls.client_version = Some(offered.highest_version());
    tls.session_id = hello.session_id.to_vec();
    // A fingerprint of half a hello would be another client's.
    let fingerprints = whole && limits.details;
    tls.ja3 = fingerprints.then(|| ja3(&offered));
    tls.ja4 = fingerprints.then(|| ja4(&offered, carrier));
    tls.offered = Some(Box::new(offered));
}

/// Notes a server hello; `version` is the one to take for the hello's own, if there is one.
pub(super) fn note_server_hello(body: &[u8], version: Option<u16>, fields: &mut Fields, limits: &Limits) {
    let Some(mut hello) = Hello::server(body) else { return };
    hello.version = version.unwrap_or(hello.version);
    if hello.random == RETRY {
        fields.tls.get_or_insert_default().hello_retry = true;
        return;
    }
    if fields.tls.as_ref().is_some_and(|tls| tls.version.is_some()) {
        return;
    }
    let mut said = ServerHello { version: hello.version, cipher: 0, extensions: Vec::new() };
    said.cipher = hello.ciphers.first().copied().unwrap_or_default();
    let (mut version, mut group, mut alpn, mut pre_shared) = (hello.version, None, None, false);
    for extension in hello.extensions {
        said.extensions.push(extension.kind());
        match extension {
            Extension::SupportedVersions(versions) => version = versions.first().copied().unwrap_or(version),
            Extension::Alpn(protocols) => alpn = protocols.first().and_then(|name| fields.text(name, limits)),
            Extension::KeyShare(share) => group = share.first_chunk().map(|group| u16::from_be_bytes(*group)),
            Extension::Other(41) => pre_shared = true,
            _ => {}
        }
    }
    let tls = fields.tls.get_or_insert_default();
    let same_session = !hello.session_id.is_empty() && tls.session_id == hello.session_id;
    tls.resumed = if version_is_13(version) { pre_shared } else { same_session };
    tls.version = Some(version);
    tls.cipher = Some(said.cipher);
    tls.alpn = alpn;
    tls.group = group;
    tls.ja3s = limits.details.then(|| ja3s(&said));
    tls.server_extensions = said.extensions;
}

/// TLS 1.3 or one of its drafts, whose versions are 0x7f00 and the draft.
fn version_is_13(version: u16) -> bool {
    version == 0x0304 || version >> 8 == 0x7f
}

/// Notes the certificates of a certificate message up to TLS 1.2 (RFC 5246, section 7.4.2), as far as it goes.
pub(super) fn note_certificates(body: &[u8], client: bool, fields: &mut Fields, limits: &Limits) {
    let mut rest = body.get(3..).unwrap_or_default();
    while let Some((length, after)) = rest.split_first_chunk::<3>() {
        let length = u32::from_be_bytes([0, length[0], length[1], length[2]]) as usize;
        let Some((der, after)) = after.split_at_checked(length) else { return };
        rest = after;
        let read = |tls: &Tls| !(if client { &tls.client_certificates } else { &tls.certificates }).is_empty();
        if !limits.details && fields.tls.as_deref().is_some_and(read) {
            return;
        }
        if !fields.room(limits) {
            continue;
        }
        let certificate = Certificate::read(der, fields, limits);
        let tls = fields.tls.get_or_insert_default();
        tls.unread_certificates += u32::from(limits.details && certificate.signature.is_none());
        let chain = if client { &mut tls.client_certificates } else { &mut tls.certificates };
        chain.push(certificate);
    }
}

/// The name of a protocol version, such as `TLS 1.3`; hexadecimal digits where it has none.
#[must_use]
pub fn version_name(version: u16) -> String {
    match version {
        0x0002 => "SSL 2.0".to_owned(),
        0x0300 => "SSL 3.0".to_owned(),
        0x0301..=0x0304 => format!("TLS 1.{}", version - 0x0301),
        0x7f00..=0x7fff => format!("TLS 1.3 draft {}", version & 0xff),
        0x0100 | 0xfeff => "DTLS 1.0".to_owned(),
        0xfefd => "DTLS 1.2".to_owned(),
        0xfefc => "DTLS 1.3".to_owned(),
        _ => format!("{version:04x}"),
    }
}
