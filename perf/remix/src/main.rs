//! Multiplies small real captures into a large one-hour capture.
//!
//!   pcapremix OUT.pcap COPIES HOUR IN1.pcap IN2.pcap ...     (classic Ethernet pcaps)
//!
//! Each (copy, input) gets its own start offset inside the hour; each copy's IPv4/IPv6 unicast
//! addresses are changed so that copies are different flows (the IPv4 header checksum is repaired,
//! the L4 checksum is not). Packets are written in time order with microsecond stamps.

use std::io::Write;

fn rd(b: &[u8], be: bool) -> u32 {
    let x = [b[0], b[1], b[2], b[3]];
    if be {
        u32::from_be_bytes(x)
    } else {
        u32::from_le_bytes(x)
    }
}

fn alter(p: &mut [u8], k: u8) {
    if k == 0 || p.len() < 34 {
        return;
    }
    let mut o = 12;
    let mut et = u16::from_be_bytes([p[o], p[o + 1]]);
    while (et == 0x8100 || et == 0x88a8) && p.len() > o + 40 {
        o += 4;
        et = u16::from_be_bytes([p[o], p[o + 1]]);
    }
    o += 2;
    if et == 0x0800 && p.len() >= o + 20 {
        for a in [o + 12, o + 16] {
            if p[a] < 224 {
                let old = u16::from_be_bytes([p[a], p[a + 1]]);
                p[a + 1] ^= k;
                let new = u16::from_be_bytes([p[a], p[a + 1]]);
                // RFC 1624
                let c = u16::from_be_bytes([p[o + 10], p[o + 11]]);
                let mut s = (!c) as u32 + (!old) as u32 + new as u32;
                while s >> 16 != 0 {
                    s = (s & 0xffff) + (s >> 16);
                }
                p[o + 10..o + 12].copy_from_slice(&(!(s as u16)).to_be_bytes());
            }
        }
    } else if et == 0x86dd && p.len() >= o + 40 {
        for a in [o + 8, o + 24] {
            if p[a] != 0xff {
                p[a + 7] ^= k;
            }
        }
    }
}

fn main() {
    let a: Vec<String> = std::env::args().collect();
    let (copies, hour): (u32, u64) = (a[2].parse().unwrap(), a[3].parse().unwrap());
    let mut files = Vec::new(); // data
    let mut pk: Vec<(u64, u32, u32, u32)> = Vec::new(); // relative us, file, offset, caplen
    for (fi, f) in a[4..].iter().enumerate() {
        let d = std::fs::read(f).unwrap();
        let m = rd(&d, false);
        let (be, ns) = match m {
            0xa1b2c3d4 => (false, false),
            0xa1b23c4d => (false, true),
            0xd4c3b2a1 => (true, false),
            0x4d3cb2a1 => (true, true),
            _ => {
                files.push(d);
                continue;
            }
        };
        let (mut o, mut first) = (24usize, None);
        while o + 16 <= d.len() {
            let c = rd(&d[o + 8..], be) as usize;
            if o + 16 + c > d.len() {
                break;
            }
            let t = rd(&d[o..], be) as u64 * 1_000_000 + rd(&d[o + 4..], be) as u64 / if ns { 1000 } else { 1 };
            let f0 = *first.get_or_insert(t);
            pk.push((t.saturating_sub(f0) % 1_700_000_000, fi as u32, o as u32, c as u32));
            o += 16 + c;
        }
        files.push(d);
    }
    let mut ev: Vec<(u64, u32, u32)> = Vec::new();
    for k in 0..copies {
        for (i, p) in pk.iter().enumerate() {
            let h = (p.1 as u64 + 1).wrapping_mul(0x9E3779B97F4A7C15).wrapping_add(k as u64 * 0xD1B54A32D192ED03);
            let h = (h ^ h >> 29).wrapping_mul(0xBF58476D1CE4E5B9) >> 32;
            ev.push((p.0 + h % 1_800_000_000, k, i as u32));
        }
    }
    ev.sort_unstable();
    let mut w = std::io::BufWriter::with_capacity(4 << 20, std::fs::File::create(&a[1]).unwrap());
    for x in [0xa1b2_c3d4u32, 0x0004_0002, 0, 0, 262_144, 1] {
        w.write_all(&x.to_le_bytes()).unwrap();
    }
    let mut b = Vec::new();
    for (t, k, i) in &ev {
        let p = pk[*i as usize];
        let d = &files[p.1 as usize];
        let m = rd(d, false);
        let be = m == 0xd4c3b2a1 || m == 0x4d3cb2a1;
        let o = p.2 as usize;
        let us = hour * 1_000_000 + t;
        for x in [(us / 1_000_000) as u32, (us % 1_000_000) as u32, p.3, rd(&d[o + 12..], be)] {
            w.write_all(&x.to_le_bytes()).unwrap();
        }
        b.clear();
        b.extend_from_slice(&d[o + 16..o + 16 + p.3 as usize]);
        alter(&mut b, *k as u8);
        w.write_all(&b).unwrap();
    }
    println!("{{\"packets\":{}}}", ev.len());
}
