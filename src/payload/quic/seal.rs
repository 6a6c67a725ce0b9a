//! Sealing Initial packets, for tests that make them.

use aes::Aes128;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use aes_gcm::Aes128Gcm;
use aes_gcm::aead::AeadInOut;

use super::Keys;

/// The packet of a header, which ends with a packet number of `number_length` bytes, and a payload (RFC 9001, section 5.4).
pub(in crate::payload) fn seal(keys: &Keys, header: &[u8], number_length: usize, payload: &[u8]) -> Vec<u8> {
    let number_at = header.len() - number_length;
    let mut nonce = keys.iv;
    for (index, byte) in header[number_at..].iter().enumerate() {
        nonce[12 - number_length + index] ^= byte;
    }
    let mut sealed = payload.to_vec();
    let tag = Aes128Gcm::new(&keys.key.into())
        .encrypt_inout_detached(&nonce.into(), header, sealed.as_mut_slice().into())
        .expect("a packet is short enough");
    let mut packet = [header, &sealed, &tag].concat();
    let sample: [u8; 16] = *packet[number_at + 4..].first_chunk().expect("a packet has a sample");
    let mut mask = sample.into();
    Aes128::new(&keys.header.into()).encrypt_block(&mut mask);
    packet[0] ^= mask[0] & 0x0f;
    for index in 0..number_length {
        packet[number_at + index] ^= mask[1 + index];
    }
    packet
}
