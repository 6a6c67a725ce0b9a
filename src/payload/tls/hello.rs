//! Client and server hellos, and the extensions that are of interest.

use tls_parser::{
    TlsExtension, TlsMessageHandshake, parse_tls_client_hello_extension, parse_tls_handshake_client_hello,
    parse_tls_handshake_msg_server_hello, parse_tls_server_hello_extension,
};

/// A hello of either side.
#[derive(Debug)]
pub(super) struct Hello<'b> {
    /// The version field of the hello itself.
    pub(super) version: u16,
    pub(super) random: &'b [u8],
    pub(super) session_id: &'b [u8],
    /// Offered, or the one chosen.
    pub(super) ciphers: Vec<u16>,
    /// In order.
    pub(super) extensions: Vec<Extension<'b>>,
}

/// An extension.
#[derive(Debug)]
pub(super) enum Extension<'b> {
    ServerName(&'b [u8]),
    Alpn(Vec<&'b [u8]>),
    Groups(Vec<u16>),
    PointFormats(&'b [u8]),
    SignatureAlgorithms(Vec<u16>),
    SupportedVersions(Vec<u16>),
    KeyShare(&'b [u8]),
    /// Any other, or one that cannot be read, by its type.
    Other(u16),
}

impl Extension<'_> {
    /// The type (IANA, TLS ExtensionType Values).
    pub(super) fn kind(&self) -> u16 {
        match self {
            Extension::ServerName(_) => 0,
            Extension::Groups(_) => 10,
            Extension::PointFormats(_) => 11,
            Extension::SignatureAlgorithms(_) => 13,
            Extension::Alpn(_) => 16,
            Extension::SupportedVersions(_) => 43,
            Extension::KeyShare(_) => 51,
            Extension::Other(kind) => *kind,
        }
    }
}

impl<'b> Hello<'b> {
    /// Reads the body of a client hello, as far as it goes behind the cipher suites.
    pub(super) fn client(body: &'b [u8]) -> Option<Hello<'b>> {
        let (rest, hello) = parse_tls_handshake_client_hello(body).ok()?;
        // Extensions that do not end in the message are those of a hello without its end.
        let extensions = hello.ext.or(rest.get(2..)).unwrap_or_default();
        Some(Hello {
            version: hello.version.0,
            random: hello.random,
            session_id: hello.session_id.unwrap_or_default(),
            ciphers: hello.ciphers.iter().map(|cipher| cipher.0).collect(),
            extensions: extensions_of(extensions, false),
        })
    }

    /// Reads the body of a server hello, that of TLS 1.3 draft 18 included. Drafts from 22 on have the form of TLS
    /// 1.2; those between are not read.
    pub(super) fn server(body: &'b [u8]) -> Option<Hello<'b>> {
        let (rest, hello) = parse_tls_handshake_msg_server_hello(body).ok()?;
        let (version, random, session_id, cipher, extensions) = match hello {
            TlsMessageHandshake::ServerHello(hello) => {
                (hello.version, hello.random, hello.session_id, hello.cipher, hello.ext)
            }
            TlsMessageHandshake::ServerHelloV13Draft18(hello) => {
                (hello.version, hello.random, None, hello.cipher, hello.ext)
            }
            _ => return None,
        };
        Some(Hello {
            version: version.0,
            random,
            session_id: session_id.unwrap_or_default(),
            ciphers: vec![cipher.0],
            // The parser stops in front of those of SSL 3.0.
            extensions: extensions_of(extensions.or(rest.get(2..)).unwrap_or_default(), true),
        })
    }
}

/// Walks a list of extensions. The walk is ours, so that one that cannot be read does not end it.
fn extensions_of(mut list: &[u8], server: bool) -> Vec<Extension<'_>> {
    let mut extensions = Vec::new();
    while let Some(&[a, b, high, low]) = list.first_chunk() {
        let kind = u16::from_be_bytes([a, b]);
        let end = 4 + usize::from(u16::from_be_bytes([high, low]));
        let (extension, rest) = list.split_at_checked(end).unwrap_or((list, &[]));
        extensions.push(extension_of(kind, extension, server));
        list = rest;
    }
    extensions
}

fn extension_of(kind: u16, extension: &[u8], server: bool) -> Extension<'_> {
    let other = Extension::Other(kind);
    let read = match (kind, server) {
        (0 | 10 | 11 | 13 | 16 | 43, false) => parse_tls_client_hello_extension(extension),
        (16 | 43 | 51, true) => parse_tls_server_hello_extension(extension),
        _ => return other,
    };
    match read {
        Ok((_, TlsExtension::SNI(names))) => names.first().map_or(other, |(_, name)| Extension::ServerName(name)),
        Ok((_, TlsExtension::ALPN(protocols))) => Extension::Alpn(protocols),
        Ok((_, TlsExtension::EllipticCurves(groups))) => Extension::Groups(groups.iter().map(|g| g.0).collect()),
        Ok((_, TlsExtension::EcPointFormats(formats))) => Extension::PointFormats(formats),
        Ok((_, TlsExtension::SignatureAlgorithms(algorithms))) => Extension::SignatureAlgorithms(algorithms),
        Ok((_, TlsExtension::SupportedVersions(versions))) => {
            Extension::SupportedVersions(versions.iter().map(|version| version.0).collect())
        }
        Ok((_, TlsExtension::KeyShare(share))) => Extension::KeyShare(share),
        _ => other,
    }
}
