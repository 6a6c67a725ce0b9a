//! One certificate, as flat cells.

use std::borrow::Cow;
use std::net::{Ipv4Addr, Ipv6Addr};

use sha2::{Digest, Sha256};
use x509_parser::certificate::X509CertificateParser;
use x509_parser::extensions::{GeneralName, SubjectAlternativeName};
use x509_parser::nom::Parser;
use x509_parser::objects::{oid_registry, oid2abbrev, oid2sn};
use x509_parser::oid_registry::{OID_X509_EXT_SUBJECT_ALT_NAME, Oid};
use x509_parser::prelude::{FromDer, X509Name};
use x509_parser::public_key::PublicKey;

use super::super::fields::{Fields, Limits};
use super::super::text::{hex, printable};
use crate::Timestamp;

/// A certificate of a chain. Of one that cannot be read whole there are its length and hash, and its names where they stand in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Certificate {
    /// Bytes of its DER form.
    pub length: u32,
    /// SHA-256 of its DER form, 64 hexadecimal digits; empty where details are not asked for.
    pub sha256: String,
    /// Who it is about, such as `C=US, O=Example, CN=example.org`.
    pub subject: Option<String>,
    /// Who made it.
    pub issuer: Option<String>,
    /// Serial number, hexadecimal digits.
    pub serial: Option<String>,
    /// Valid from.
    pub not_before: Option<Timestamp>,
    /// Valid to.
    pub not_after: Option<Timestamp>,
    /// Subject alternative names: names, addresses, mail addresses and URIs.
    pub names: Vec<String>,
    /// Algorithm of its public key, such as `rsa`, `ec`, `ed25519`; an object identifier where it has no name.
    pub key_type: Option<String>,
    /// Size of its public key in bits.
    pub key_bits: Option<u32>,
    /// Algorithm of its signature, such as `sha256WithRSAEncryption`.
    pub signature: Option<String>,
}

impl Certificate {
    /// Reads a certificate's DER form.
    pub(super) fn read(der: &[u8], fields: &mut Fields, limits: &Limits) -> Certificate {
        let mut said = Certificate {
            length: u32::try_from(der.len()).unwrap_or(u32::MAX),
            sha256: if limits.details { hex(&Sha256::digest(der)) } else { String::new() },
            ..Certificate::default()
        };
        let mut text = |text: &str| fields.text(text.as_bytes(), limits);
        // Of extensions only one is read.
        let mut parser = X509CertificateParser::new().with_deep_parse_extensions(false);
        let whole = if limits.details { parser.parse(der).ok() } else { None };
        let Some((_, certificate)) = whole else {
            // Details that are asked for beside names take none away: a time that is not DER, as 250115120000+0530, is enough for the parser.
            if let Some((issuer, subject)) = names(der) {
                (said.subject, said.issuer) = (text(&name(&subject)), text(&name(&issuer)));
            }
            return said;
        };
        said.subject = text(&name(certificate.subject()));
        said.issuer = text(&name(certificate.issuer()));
        said.serial = text(&hex(certificate.raw_serial()));
        let time = |seconds| Some(Timestamp::from_seconds(seconds));
        said.not_before = time(certificate.validity().not_before.timestamp());
        said.not_after = time(certificate.validity().not_after.timestamp());
        if let Ok(Some(extension)) = certificate.get_extension_unique(&OID_X509_EXT_SUBJECT_ALT_NAME)
            && let Ok((_, names)) = SubjectAlternativeName::from_der(extension.value)
        {
            said.names = names.general_names.iter().filter_map(|name| text(&alternative(name)?)).collect();
        }
        let key = certificate.public_key();
        (said.key_type, said.key_bits) = match key.parsed() {
            Ok(PublicKey::RSA(rsa)) => (Some("rsa".to_owned()), bits(rsa.modulus)),
            Ok(PublicKey::EC(point)) => (Some("ec".to_owned()), u32::try_from(point.key_size()).ok()),
            Ok(PublicKey::DSA(y)) => (Some("dsa".to_owned()), bits(y)),
            _ => (Some(oid_name(&key.algorithm.algorithm).to_lowercase()), None),
        };
        said.signature = Some(oid_name(&certificate.signature_algorithm.algorithm));
        said
    }
}

/// Issuer and subject of a certificate (RFC 5280, section 4.1), without a look at what is behind them.
fn names(der: &[u8]) -> Option<(X509Name<'_>, X509Name<'_>)> {
    let (certificate, _) = element(der)?;
    let (mut rest, _) = element(certificate)?;
    // The version is tagged, and may be left out.
    let in_front = if rest.first() == Some(&0xa0) { 3 } else { 2 };
    for _ in 0..in_front {
        (_, rest) = element(rest)?;
    }
    let (rest, issuer) = X509Name::from_der(rest).ok()?;
    let (_, rest) = element(rest)?;
    let (_, subject) = X509Name::from_der(rest).ok()?;
    Some((issuer, subject))
}

/// The content of a DER element, and what is behind it.
fn element(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&[_, length], rest) = der.split_first_chunk()?;
    if length < 0x80 {
        return rest.split_at_checked(length.into());
    }
    let (length, rest) = rest.split_at_checked((length & 0x7f).into())?;
    let length = length.iter().try_fold(0_usize, |sum, &byte| sum.checked_mul(256)?.checked_add(byte.into()))?;
    rest.split_at_checked(length)
}

/// Bits of a big-endian number.
fn bits(number: &[u8]) -> Option<u32> {
    let zeros = number.iter().take_while(|&&byte| byte == 0).count();
    let first = number.get(zeros)?;
    u32::try_from((number.len() - zeros) * 8).ok().map(|bits| bits - first.leading_zeros())
}

/// A distinguished name in the order it has, escaped like RFC 4514 where a value has a comma.
fn name(name: &X509Name<'_>) -> String {
    let mut text = String::with_capacity(128);
    for attribute in name.iter_attributes() {
        if !text.is_empty() {
            text.push_str(", ");
        }
        let kind = attribute.attr_type();
        match oid2abbrev(kind, oid_registry()) {
            Ok(name) => text.push_str(name),
            Err(_) => text.push_str(&kind.to_id_string()),
        }
        text.push('=');
        let value = attribute.as_str().map_or_else(|_| printable(attribute.as_slice()).into(), Cow::Borrowed);
        for c in value.chars() {
            if matches!(c, '\\' | ',') {
                text.push('\\');
            }
            text.push(c);
        }
    }
    text
}

fn alternative(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(text) | GeneralName::RFC822Name(text) | GeneralName::URI(text) => Some((*text).to_owned()),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => bytes.first_chunk::<4>().map(|octets| Ipv4Addr::from(*octets).to_string()),
            16 => bytes.first_chunk::<16>().map(|octets| Ipv6Addr::from(*octets).to_string()),
            _ => None,
        },
        _ => None,
    }
}

fn oid_name(oid: &Oid<'_>) -> String {
    oid2sn(oid, oid_registry()).map_or_else(|_| oid.to_id_string(), str::to_owned)
}
