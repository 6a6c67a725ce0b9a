//! Keys of Initial packets, and opening them (RFC 9001, section 5; RFC 9369, section 3.3).

use aes::Aes128;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use aes_gcm::Aes128Gcm;
use aes_gcm::aead::AeadInOut;
use hkdf::Hkdf;
use sha2::Sha256;

use super::packet::Version;

/// The keys of both directions, from the destination id of the client's first packet.
#[derive(Clone, Debug)]
pub struct InitialKeys {
    version: Version,
    destination: Vec<u8>,
    /// What the client seals with.
    pub client: Keys,
    /// What the server seals with.
    pub server: Keys,
}

/// The keys of one direction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    /// Key of the payload.
    pub key: [u8; 16],
    /// What the packet number is mixed into to make the nonce.
    pub iv: [u8; 12],
    /// Key of the header protection.
    pub header: [u8; 16],
}

/// What makes the keys of a version.
struct Recipe {
    salt: [u8; 20],
    labels: [&'static [u8]; 3],
}

const LABELS: [&[u8]; 3] = [b"quic key", b"quic iv", b"quic hp"];
const LABELS_2: [&[u8]; 3] = [b"quicv2 key", b"quicv2 iv", b"quicv2 hp"];

/// RFC 9001, section 5.2, and drafts 33 and 34.
const SALT_1: [u8; 20] = [
    0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17, 0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad, 0xcc, 0xbb, 0x7f,
    0x0a,
];
/// RFC 9369, section 3.3.1.
const SALT_2: [u8; 20] = [
    0x0d, 0xed, 0xe3, 0xde, 0xf7, 0x00, 0xa6, 0xdb, 0x81, 0x93, 0x81, 0xbe, 0x6e, 0x26, 0x9d, 0xcb, 0xf9, 0xbd, 0x2e,
    0xd9,
];
/// Drafts 29 to 32.
const SALT_29: [u8; 20] = [
    0xaf, 0xbf, 0xec, 0x28, 0x99, 0x93, 0xd2, 0x4c, 0x9e, 0x97, 0x86, 0xf1, 0x9c, 0x61, 0x11, 0xe0, 0x43, 0x90, 0xa8,
    0x99,
];
/// Drafts 23 to 28.
const SALT_23: [u8; 20] = [
    0xc3, 0xee, 0xf7, 0x12, 0xc7, 0x2e, 0xbb, 0x5a, 0x11, 0xa7, 0xd2, 0x43, 0x2b, 0xb4, 0x63, 0x65, 0xbe, 0xf9, 0xf5,
    0x02,
];

impl Recipe {
    fn of(version: Version) -> Option<Recipe> {
        let (salt, labels) = match version.0 {
            1 | 0xff00_0021 | 0xff00_0022 => (SALT_1, LABELS),
            0x6b33_43cf => (SALT_2, LABELS_2),
            0xff00_001d..=0xff00_0020 => (SALT_29, LABELS),
            0xff00_0017..=0xff00_001c => (SALT_23, LABELS),
            _ => return None,
        };
        Some(Recipe { salt, labels })
    }
}

impl InitialKeys {
    /// The keys of a version for a destination id; nothing for versions whose recipe is not known.
    #[must_use]
    pub fn new(version: Version, destination: &[u8]) -> Option<InitialKeys> {
        let recipe = Recipe::of(version)?;
        let secrets = Hkdf::<Sha256>::new(Some(&recipe.salt), destination);
        let keys = |label: &[u8]| {
            let secret: [u8; 32] = expand(&secrets, label);
            let secret = Hkdf::<Sha256>::from_prk(&secret).expect("a hash is long enough a key");
            let [key, iv, header] = recipe.labels;
            Keys { key: expand(&secret, key), iv: expand(&secret, iv), header: expand(&secret, header) }
        };
        let (client, server) = (keys(b"client in"), keys(b"server in"));
        Some(InitialKeys { version, destination: destination.to_vec(), client, server })
    }

    /// Makes the keys those of another version of the same connection.
    pub(super) fn change(&mut self, version: Version) -> Option<()> {
        if self.version != version {
            *self = InitialKeys::new(version, &self.destination)?;
        }
        Some(())
    }
}

/// HKDF-Expand-Label with an empty context (RFC 8446, section 7.1).
fn expand<const N: usize>(secret: &Hkdf<Sha256>, label: &[u8]) -> [u8; N] {
    let length = [0, N as u8];
    let label_length = [6 + label.len() as u8];
    let mut key = [0; N];
    secret
        .expand_multi_info(&[&length, &label_length, b"tls13 ", label, &[0]], &mut key)
        .expect("a key is shorter than 255 hashes");
    key
}

/// Bytes of the authentication tag, and of the sample that masks the header.
const TAG: usize = 16;

impl Keys {
    /// Opens an Initial packet, whose number is at an offset; nothing where it was sealed otherwise.
    #[must_use]
    pub fn open(&self, packet: &[u8], number_at: usize) -> Option<Vec<u8>> {
        let sample: [u8; TAG] = *packet.get(number_at + 4..)?.first_chunk()?;
        let mut mask = sample.into();
        Aes128::new(&self.header.into()).encrypt_block(&mut mask);
        let first = packet.first()? ^ (mask[0] & 0x0f);
        let number_length = usize::from(first & 3) + 1;
        let (header, sealed) = packet.split_at_checked(number_at + number_length)?;
        let mut header = header.to_vec();
        header[0] = first;
        let mut nonce = self.iv;
        for (index, byte) in header[number_at..].iter_mut().enumerate() {
            *byte ^= mask[index + 1];
            // Numbers of Initial packets are small, so their low bytes are all of them.
            nonce[nonce.len() - number_length + index] ^= *byte;
        }
        let (sealed, tag) = sealed.split_at_checked(sealed.len().checked_sub(TAG)?)?;
        let mut payload = sealed.to_vec();
        let tag: [u8; TAG] = *tag.first_chunk()?;
        Aes128Gcm::new(&self.key.into())
            .decrypt_inout_detached(&nonce.into(), &header, payload.as_mut_slice().into(), &tag.into())
            .ok()?;
        Some(payload)
    }
}

#[cfg(test)]
mod tests {
    use super::super::LongHeader;
    use super::super::seal::seal;
    use super::*;
    use crate::payload::text::hex;

    fn bytes(digits: &str) -> Vec<u8> {
        (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
    }

    /// The CRYPTO frame of the client's packet, and the payload of the server's (RFC 9001, appendix A; RFC 9369 has the same).
    const CLIENT: &str = "060040f1010000ed0303ebf8fa56f12939b9584a3896472ec40bb863cfd3e86804fe3a47f06a2b69484c0000041301130201\
         0000c000000010000e00000b6578616d706c652e636f6dff01000100000a00080006001d0017001800100007000504616c70\
         6e000500050100000000003300260024001d00209370b2c9caa47fbabaf4559fedba753de171fa71f50f1ce15d43e994ec74\
         d748002b0003020304000d0010000e0403050306030203080408050806002d00020101001c00024001003900320408ffffff\
         ffffffffff05048000ffff07048000ffff0801100104800075300901100f088394c8f03e51570806048000ffff";
    const SERVER: &str = "02000000000600405a020000560303eefce7f7b37ba1d1632e96677825ddf73988cfc79825df566dc5430b9a045a12001301\
         00002e00330024001d00209d3c940d89690b84d08a60993c144eca684d1081287c834d5311bcf32bb9da1a002b00020304";

    /// What the standards publish of a version.
    struct Sample {
        version: Version,
        /// Key, initialization vector and header protection key of the client and of the server.
        keys: [[&'static str; 3]; 2],
        /// Header of the client's packet, then the protected header, the sample, and the tag.
        client: [&'static str; 4],
        /// Protected packet of the server.
        server: &'static str,
    }

    const SAMPLES: [Sample; 2] = [
        Sample {
            version: Version::V1,
            keys: [
                ["1f369613dd76d5467730efcbe3b1a22d", "fa044b2f42a3fd3b46fb255c", "9f50449e04a0e810283a1e9933adedd2"],
                ["cf3a5331653c364c88f0f379b6067e37", "0ac1493ca1905853b0bba03e", "c206b8d9b9f0f37644430b490eeaa314"],
            ],
            client: [
                "c300000001088394c8f03e5157080000449e00000002",
                "c000000001088394c8f03e5157080000449e7b9aec34",
                "d1b1c98dd7689fb8ec11d242b123dc9b",
                "e221af44860018ab0856972e194cd934",
            ],
            server: "cf000000010008f067a5502a4262b5004075c0d95a482cd0991cd25b0aac406a5816b6394100f37a1c69797554780bb38cc5\
                     a99f5ede4cf73c3ec2493a1839b3dbcba3f6ea46c5b7684df3548e7ddeb9c3bf9c73cc3f3bded74b562bfb19fb84022f8ef4\
                     cdd93795d77d06edbb7aaf2f58891850abbdca3d20398c276456cbc42158407dd074ee",
        },
        Sample {
            version: Version::V2,
            keys: [
                ["8b1a0bc121284290a29e0971b5cd045d", "91f73e2351d8fa91660e909f", "45b95e15235d6f45a6b19cbcb0294ba9"],
                ["82db637861d55e1d011f19ea71d5d2a7", "dd13c276499c0249d3310652", "edf6d05c83121201b436e16877593c3a"],
            ],
            client: [
                "d36b3343cf088394c8f03e5157080000449e00000002",
                "d76b3343cf088394c8f03e5157080000449ea0c95e82",
                "ffe67b6abcdb4298b485dd04de806071",
                "a18b2faa745b6fe189cf772a9f84cbfc",
            ],
            server: "dc6b3343cf0008f067a5502a4262b5004075d92faaf16f05d8a4398c47089698baeea26b91eb761d9b89237bbf8726301791\
                     5358230035f7fd3945d88965cf17f9af6e16886c61bfc703106fbaf3cb4cfa52382dd16a393e42757507698075b2c984c707\
                     f0a0812d8cd5a6881eaf21ceda98f4bd23f6fe1a3e2c43edd9ce7ca84bed8521e2e140",
        },
    ];

    #[test]
    fn initial_packets_of_the_standards_open() {
        let destination = bytes("8394c8f03e515708");
        for sample in &SAMPLES {
            let keys = InitialKeys::new(sample.version, &destination).unwrap();
            for (keys, [key, iv, header]) in [&keys.client, &keys.server].into_iter().zip(sample.keys) {
                assert_eq!((hex(&keys.key), hex(&keys.iv), hex(&keys.header)), (key.into(), iv.into(), header.into()));
            }

            let [header, protected, first, tag] = sample.client;
            let mut payload = bytes(CLIENT);
            payload.resize(1162, 0);
            let packet = seal(&keys.client, &bytes(header), 4, &payload);
            assert_eq!(packet.len(), 1200);
            assert_eq!(hex(&packet[..38]), format!("{protected}{first}"));
            assert_eq!(hex(&packet[1184..]), tag);
            let read = LongHeader::read(&packet).unwrap();
            assert_eq!((read.version, read.destination, read.source), (sample.version, &destination[..], &[][..]));
            assert_eq!((read.is_initial(), read.number_at, read.end), (true, 18, 1200));
            assert_eq!(keys.client.open(&packet, read.number_at), Some(payload));

            let packet = bytes(sample.server);
            let read = LongHeader::read(&packet).unwrap();
            assert_eq!(keys.server.open(&packet, read.number_at), Some(bytes(SERVER)));
            assert_eq!(keys.client.open(&packet, read.number_at), None);
            assert_eq!(keys.server.open(&packet[..30], read.number_at), None);
        }
    }
}
