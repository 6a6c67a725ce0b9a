//! Deterministic synthetic pcap generator (no dependencies).
//!
//!   pcapgen mix   OUT.pcap [packets=6500000] [flows=700000] [seed=1] [hour=1697716800]
//!   pcapgen min64 OUT.pcap [packets=10000000] [flows=1000000] [seed=1] [hour=...]
//!
//! `mix`: bidirectional TCP/UDP flows with Pareto (Zipf-like) sizes interleaved over one hour, TCP
//! handshakes and FIN teardown, 5 % IPv6, a SYN scanner that touches 20 000 destinations.
//! `min64`: minimum-size frames (60 captured bytes, 64 with FCS), each from a uniformly random flow.
//! Prints the ground truth (packets, flows, bytes) on stdout as one JSON line.

use std::fs::File;
use std::io::{BufWriter, Write};

struct Rng(u64);
impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
    fn below(&mut self, n: u64) -> u64 {
        ((self.next() as u128 * n as u128) >> 64) as u64
    }
    fn unit(&mut self) -> f64 {
        ((self.next() >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }
    fn exp(&mut self, mean: f64) -> f64 {
        -mean * self.unit().ln()
    }
    /// Zipf-like rank in 0..n (density ~ 1/(rank+1)).
    fn zipf(&mut self, n: u64) -> u64 {
        (((n as f64 + 1.0).ln() * self.unit()).exp() - 1.0) as u64 % n
    }
}

const TCP: u8 = 6;
const UDP: u8 = 17;
const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const PSH: u8 = 8;
const ACK: u8 = 16;

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Normal,
    Scan,
}

#[derive(Clone)]
struct Flow {
    c_ip: u32,
    s_ip: u32,
    c_port: u16,
    s_port: u16,
    proto: u8,
    v6: bool,
    kind: Kind,
    n: u32,
    seq: [u32; 2], // next sequence number of client, server
    done: u32,
    profile: u8, // 0 chatty, 1 download, 2 upload, 3 interactive
}

fn csum(mut s: u32, b: &[u8]) -> u32 {
    let mut it = b.chunks_exact(2);
    for c in &mut it {
        s += u16::from_be_bytes([c[0], c[1]]) as u32;
    }
    if let [x] = it.remainder() {
        s += (*x as u32) << 8;
    }
    s
}
fn fold(mut s: u32) -> u16 {
    while s >> 16 != 0 {
        s = (s & 0xffff) + (s >> 16);
    }
    !(s as u16)
}
fn v6addr(ip: u32) -> [u8; 16] {
    let mut a = [0u8; 16];
    a[..4].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
    a[4..6].copy_from_slice(&((ip >> 16) as u16).to_be_bytes());
    a[12..].copy_from_slice(&ip.to_be_bytes());
    a
}

/// Builds one Ethernet frame into `f`, returns its length.
#[allow(clippy::too_many_arguments)]
fn frame(f: &mut [u8], fl: &Flow, dir: usize, flags: u8, seq: u32, ack: u32, pay: &[u8], id: u16) -> usize {
    let (sip, dip, sp, dp) =
        if dir == 0 { (fl.c_ip, fl.s_ip, fl.c_port, fl.s_port) } else { (fl.s_ip, fl.c_ip, fl.s_port, fl.c_port) };
    f[..12].copy_from_slice(if dir == 0 {
        &[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2]
    } else {
        &[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1]
    });
    let opt = if flags & SYN != 0 { 8usize } else { 0 };
    let l4 = if fl.proto == TCP { 20 + opt } else { 8 } + pay.len();
    let (o, pseudo) = if fl.v6 {
        f[12..14].copy_from_slice(&[0x86, 0xdd]);
        let (s, d) = (v6addr(sip), v6addr(dip));
        f[14..18].copy_from_slice(&[0x60, 0, 0, 0]);
        f[18..20].copy_from_slice(&(l4 as u16).to_be_bytes());
        f[20] = fl.proto;
        f[21] = 64;
        f[22..38].copy_from_slice(&s);
        f[38..54].copy_from_slice(&d);
        (54, csum(csum(fl.proto as u32 + l4 as u32, &s), &d))
    } else {
        f[12..14].copy_from_slice(&[8, 0]);
        f[14] = 0x45;
        f[15] = 0;
        f[16..18].copy_from_slice(&((20 + l4) as u16).to_be_bytes());
        f[18..20].copy_from_slice(&id.to_be_bytes());
        f[20..22].copy_from_slice(&[0x40, 0]);
        f[22] = if dir == 0 { 64 } else { 57 };
        f[23] = fl.proto;
        f[24..26].copy_from_slice(&[0, 0]);
        f[26..30].copy_from_slice(&sip.to_be_bytes());
        f[30..34].copy_from_slice(&dip.to_be_bytes());
        let c = fold(csum(0, &f[14..34]));
        f[24..26].copy_from_slice(&c.to_be_bytes());
        (34, csum(fl.proto as u32 + l4 as u32, &f[26..34]))
    };
    f[o..o + 2].copy_from_slice(&sp.to_be_bytes());
    f[o + 2..o + 4].copy_from_slice(&dp.to_be_bytes());
    let p;
    if fl.proto == TCP {
        f[o + 4..o + 8].copy_from_slice(&seq.to_be_bytes());
        f[o + 8..o + 12].copy_from_slice(&ack.to_be_bytes());
        f[o + 12] = ((20 + opt) as u8 / 4) << 4;
        f[o + 13] = flags;
        f[o + 14..o + 20].copy_from_slice(&[0xfa, 0xf0, 0, 0, 0, 0]);
        if opt > 0 {
            f[o + 20..o + 28].copy_from_slice(&[2, 4, 5, 0xb4, 1, 3, 3, 7]);
        }
        p = o + 20 + opt;
    } else {
        f[o + 4..o + 6].copy_from_slice(&(l4 as u16).to_be_bytes());
        f[o + 6..o + 8].copy_from_slice(&[0, 0]);
        p = o + 8;
    }
    f[p..p + pay.len()].copy_from_slice(pay);
    let c = fold(csum(pseudo, &f[o..o + l4])).to_be_bytes();
    let co = if fl.proto == TCP { o + 16 } else { o + 6 };
    f[co..co + 2].copy_from_slice(&c);
    let mut end = o + l4;
    while end < 60 {
        f[end] = 0;
        end += 1;
    }
    end
}

fn main() {
    let a: Vec<String> = std::env::args().collect();
    if a.len() < 3 {
        eprintln!("usage: pcapgen mix|min64 OUT.pcap [packets] [flows] [seed] [hour]");
        std::process::exit(2);
    }
    let num = |i: usize, d: u64| a.get(i).map_or(d, |s| s.parse().expect("number"));
    let min64 = a[1] == "min64";
    let packets = num(3, if min64 { 10_000_000 } else { 6_500_000 });
    let nflows = num(4, if min64 { 1_000_000 } else { 700_000 });
    let mut r = Rng(num(5, 1));
    let hour = num(6, 1_697_716_800);
    let mut w = BufWriter::with_capacity(4 << 20, File::create(&a[2]).expect("create"));
    // little-endian microsecond pcap, Ethernet
    let mut h = Vec::new();
    for x in [0xa1b2_c3d4u32, 0x0004_0002, 0, 0, 262_144, 1] {
        h.extend_from_slice(&x.to_le_bytes());
    }
    w.write_all(&h).unwrap();

    let client = |r: &mut Rng| 0x0a00_0000 + 1 + r.zipf(60_000) as u32;
    let server = |r: &mut Rng| {
        let k = r.zipf(200_000) as u32;
        // spread public servers pseudo-randomly but away from 10/8 and 0/8
        0x1700_0000 + (k.wrapping_mul(2_654_435_761) % 0x9000_0000)
    };
    let mut flows: Vec<Flow> = Vec::with_capacity(nflows as usize + 20_000);
    for _ in 0..nflows {
        let tcp = if min64 { r.below(2) == 0 } else { r.below(100) < 78 };
        let t = r.below(100);
        let s_port = if min64 {
            1 + r.below(65_535) as u16
        } else if tcp {
            match t {
                0..=59 => 443,
                60..=71 => 80,
                72..=75 => 22,
                76..=79 => 445,
                80..=82 => 8080,
                83..=84 => 25,
                85..=86 => 3389,
                87 => 21,
                _ => 1024 + r.below(64_000) as u16,
            }
        } else {
            match t {
                0..=54 => 53,
                55..=79 => 443,
                80..=86 => 123,
                87..=89 => 5353,
                _ => 1024 + r.below(64_000) as u16,
            }
        };
        let (c_ip, s_ip) = if min64 {
            (0x0b00_0000 + r.below(0x6000_0000) as u32, 0x8000_0000 + r.below(0x4000_0000) as u32)
        } else {
            (client(&mut r), server(&mut r))
        };
        flows.push(Flow {
            c_ip,
            s_ip,
            c_port: 32_768 + r.below(28_232) as u16,
            s_port,
            proto: if tcp { TCP } else { UDP },
            v6: !min64 && r.below(100) < 5,
            kind: Kind::Normal,
            n: 0,
            seq: [r.next() as u32, r.next() as u32],
            done: 0,
            profile: match r.below(10) {
                0..=3 => 0,
                4..=6 => 1,
                7 => 2,
                _ => 3,
            },
        });
    }

    // (time in microseconds since the hour << 32 | flow), stable order inside a flow by time
    let mut ev: Vec<u64> = Vec::with_capacity(packets as usize + 100_000);
    const HOUR_US: f64 = 3_600e6;
    if min64 {
        // every packet from a uniformly random flow; times increase evenly
        let step = HOUR_US / packets as f64;
        for i in 0..packets {
            let f = if i < nflows { i } else { r.below(nflows) };
            flows[f as usize].n += 1;
            ev.push(((i as f64 * step) as u64) << 32 | f);
        }
    } else {
        // Pareto sizes, alpha 1.15, rescaled by trial so that the total meets `packets`
        let total = |k: f64, r0: u64| {
            let mut q = Rng(r0);
            (0..nflows).map(|_| ((k * q.unit().powf(-1.0 / 1.15)) as u64).clamp(1, 300_000)).sum::<u64>()
        };
        let (mut lo, mut hi) = (0.1, 50.0);
        for _ in 0..40 {
            let m = (lo + hi) / 2.0;
            if total(m, 77) > packets - 26_000 {
                hi = m
            } else {
                lo = m
            }
        }
        let mut q = Rng(77);
        for (i, f) in flows.iter_mut().enumerate() {
            f.n = ((lo * q.unit().powf(-1.0 / 1.15)) as u64).clamp(1, 300_000) as u32;
            let start = r.unit() * HOUR_US * 0.97;
            let want = (r.unit() * (2e6f64 / 500.0).ln()).exp() * 500.0; // gap mean 0.5 ms .. 2 s
            let gap = want.min((HOUR_US - start) * 0.95 / f.n as f64);
            let mut t = start;
            for _ in 0..f.n {
                ev.push((t as u64) << 32 | i as u64);
                t = (t + 1.0 + r.exp(gap)).min(HOUR_US - 1.0);
            }
        }
        for i in 0..20_000u32 {
            let id = flows.len() as u64;
            let replies = r.below(10) < 3;
            flows.push(Flow {
                c_ip: 0xcb00_714d, // 203.0.113.77
                s_ip: 0x0a01_0000 + i,
                c_port: 40_000 + (i % 20_000) as u16,
                s_port: [22, 23, 445, 3389][r.below(4) as usize],
                proto: TCP,
                v6: false,
                kind: Kind::Scan,
                n: 1 + replies as u32,
                seq: [r.next() as u32, r.next() as u32],
                done: 0,
                profile: 0,
            });
            let t = HOUR_US * 0.3 + i as f64 * 20_000.0;
            ev.push((t as u64) << 32 | id);
            if replies {
                ev.push((t as u64 + 900) << 32 | id);
            }
        }
    }
    ev.sort_unstable();

    let mut noise = vec![0u8; 1 << 16];
    for b in noise.iter_mut() {
        *b = r.next() as u8;
    }
    let mut buf = [0u8; 2048];
    let (mut bytes, mut wire) = (0u64, 24u64);
    for (i, e) in ev.iter().enumerate() {
        let us = e >> 32;
        let f = &mut flows[(e & 0xffff_ffff) as usize];
        let k = f.done;
        f.done += 1;
        let (dir, flags, plen);
        if min64 {
            dir = (r.next() & 1) as usize;
            flags = ACK;
            plen = 0;
        } else if f.kind == Kind::Scan {
            dir = k as usize;
            flags = if k == 0 { SYN } else { RST | ACK };
            plen = 0;
        } else if f.proto == TCP {
            let left = f.n - 1 - k;
            (dir, flags, plen) = match (k, left) {
                (0, _) => (0, SYN, 0),
                (1, _) => (1, SYN | ACK, 0),
                (2, _) => (0, ACK, 0),
                (3, l) if l > 2 => (0, PSH | ACK, 180 + r.below(500) as usize),
                (_, 2) => (0, FIN | ACK, 0),
                (_, 1) if f.n > 5 => (1, FIN | ACK, 0),
                (_, 0) => (0, ACK, 0),
                _ => {
                    let x = r.below(100);
                    match f.profile {
                        1 if x < 45 => (1, ACK, if x < 38 { 1448 } else { 200 + r.below(1248) as usize }),
                        1 => (0, ACK, 0),
                        2 if x < 45 => (0, ACK, if x < 38 { 1448 } else { 200 + r.below(1248) as usize }),
                        2 => (1, ACK, 0),
                        3 if x < 50 => ((x & 1) as usize, PSH | ACK, 20 + r.below(120) as usize),
                        _ if x < 20 => (1, PSH | ACK, 1448),
                        _ if x < 45 => ((x & 1) as usize, PSH | ACK, 40 + r.below(700) as usize),
                        _ => ((x & 1) as usize, ACK, 0),
                    }
                }
            };
        } else {
            dir = (k & 1) as usize;
            flags = 0;
            plen = match f.s_port {
                53 => 30 + dir * 60 + r.below(100) as usize,
                443 if r.below(100) < 35 => 1250,
                123 => 48,
                _ => 20 + r.below(400) as usize,
            };
        }
        let off = r.below(60_000) as usize;
        let ack = if flags & ACK != 0 { f.seq[1 - dir] } else { 0 };
        let n = frame(&mut buf[16..], f, dir, flags, f.seq[dir], ack, &noise[off..off + plen], i as u16);
        f.seq[dir] = f.seq[dir].wrapping_add(plen as u32 + (flags & (SYN | FIN) != 0) as u32);
        buf[0..4].copy_from_slice(&((hour + us / 1_000_000) as u32).to_le_bytes());
        buf[4..8].copy_from_slice(&((us % 1_000_000) as u32).to_le_bytes());
        buf[8..12].copy_from_slice(&(n as u32).to_le_bytes());
        buf[12..16].copy_from_slice(&(n as u32).to_le_bytes());
        w.write_all(&buf[..16 + n]).unwrap();
        bytes += n as u64;
        wire += 16 + n as u64;
    }
    w.flush().unwrap();
    println!(
        "{{\"kind\":\"{}\",\"packets\":{},\"flow_specs\":{},\"frame_bytes\":{},\"file_bytes\":{}}}",
        a[1],
        ev.len(),
        flows.len(),
        bytes,
        wire
    );
}
