//! Physical floors for "pcap file -> flow table", each step adding one cost.
//!
//!   floor FILE MODE [opt=value ...]
//!
//! MODE   touch | touchpage | readonly | walk | walkk | parse | hb | lp | batch |
//!        filter2 | chan2 | split2
//! opts   src=mmap|mmap_pop|mmap_willneed|mmap_seq|mmap_popread|mmap_huge|read|mem|memhuge
//!        buf=BYTES (src=read)  ahead=BYTES (prefetch distance, 0 off)  n=BATCH  k=CHAINS
//!        huge=0|1 (table in huge pages)  cap=ENTRIES (start capacity)  reps=N  th=THREADS
//!
//! One JSON line a repetition: in-process wall seconds (open .. last packet), user and system
//! seconds of the process in that repetition, packets, flows, a checksum.
//! Only classic little-endian microsecond Ethernet pcaps: this is a floor, not a parser.

use crossbeam_channel as cb;
use std::arch::x86_64::{_mm_prefetch, _MM_HINT_T0};
use std::fs::File;
use std::os::fd::AsRawFd;
use std::time::Instant;

// ---------------------------------------------------------------- input

pub struct Map {
    p: *const u8,
    len: usize,
    map_len: usize,
}
unsafe impl Sync for Map {}
unsafe impl Send for Map {}
impl Map {
    fn s(&self) -> &[u8] {
        unsafe { std::slice::from_raw_parts(self.p, self.len) }
    }
}
impl Drop for Map {
    fn drop(&mut self) {
        unsafe { libc::munmap(self.p as *mut _, self.map_len) };
    }
}
const MADV_POPULATE_READ: i32 = 22;

fn anon(len: usize, huge: bool) -> Map {
    let l = (len + (2 << 20)) & !((2 << 20) - 1);
    unsafe {
        let p = libc::mmap(std::ptr::null_mut(), l + (2 << 20), 3, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0)
            as *mut u8;
        assert!(p as isize != -1);
        if huge {
            libc::madvise(p as *mut _, l + (2 << 20), libc::MADV_HUGEPAGE);
        }
        Map { p, len, map_len: l + (2 << 20) }
    }
}

fn open(path: &str, src: &str) -> Map {
    let f = File::open(path).expect("open");
    let len = f.metadata().unwrap().len() as usize;
    if src == "mem" || src == "memhuge" {
        let m = anon(len, src == "memhuge");
        let mut o = 0;
        while o < len {
            let n = unsafe { libc::read(f.as_raw_fd(), m.p.add(o) as *mut _, (len - o).min(1 << 24)) };
            assert!(n > 0);
            o += n as usize;
        }
        return m;
    }
    let fl = libc::MAP_PRIVATE | if src == "mmap_pop" { libc::MAP_POPULATE } else { 0 };
    unsafe {
        let p = libc::mmap(std::ptr::null_mut(), len, libc::PROT_READ, fl, f.as_raw_fd(), 0) as *const u8;
        assert!(p as isize != -1);
        let adv = match src {
            "mmap_willneed" => libc::MADV_WILLNEED,
            "mmap_seq" => libc::MADV_SEQUENTIAL,
            "mmap_huge" => libc::MADV_HUGEPAGE,
            "mmap_popread" => MADV_POPULATE_READ,
            _ => -1,
        };
        if adv >= 0 {
            let r = libc::madvise(p as *mut _, len, adv);
            if r != 0 {
                eprintln!("madvise({src}): {}", std::io::Error::last_os_error());
            }
        }
        Map { p, len, map_len: len }
    }
}

// ---------------------------------------------------------------- packet -> descriptor

/// 32 bytes: enough to update a flow entry without touching the packet again.
#[derive(Clone, Copy, Default)]
#[repr(C, align(32))]
pub struct Desc {
    lo: u64, // v4: smaller (addr<<16|port); v6: hash
    hi: u64, // v4: larger (addr<<16|port) | proto<<56; v6: record offset | 1<<63
    ts: u32, // microseconds since the first packet's hour fit 32 bits for one hour
    len: u32,
    hash: u32,
    dir: u8,
    flags: u8,
    kind: u8, // 4, 6, 0 = not counted
    proto: u8,
}

#[inline(always)]
fn u16be(p: *const u8) -> u16 {
    unsafe { u16::from_be((p as *const u16).read_unaligned()) }
}
#[inline(always)]
fn u32be(p: *const u8) -> u32 {
    unsafe { u32::from_be((p as *const u32).read_unaligned()) }
}
#[inline(always)]
fn u64be(p: *const u8) -> u64 {
    unsafe { u64::from_be((p as *const u64).read_unaligned()) }
}
#[inline(always)]
fn u32le(p: *const u8) -> u32 {
    unsafe { u32::from_le((p as *const u32).read_unaligned()) }
}
#[inline(always)]
fn mix(a: u64, b: u64) -> u64 {
    let m = (a ^ 0xa076_1d64_78bd_642f) as u128 * (b ^ 0xe703_7ed1_a0b4_28db) as u128;
    (m >> 64) as u64 ^ m as u64
}

#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Key6 {
    w: [u64; 5], // lower addr (2), higher addr (2), lower port <<32 | higher port <<16 | proto
}

/// Reads L2..L4 of one record. `r` is the record header, `cap` bytes of frame follow at r+16.
/// All fixed loads lie within 74 bytes of the frame; short frames are bounds-checked first.
#[inline(always)]
fn parse(r: *const u8, cap: usize, base: u32, off: usize) -> Desc {
    unsafe {
        let mut d = Desc {
            ts: u32le(r).wrapping_sub(base).wrapping_mul(1_000_000).wrapping_add(u32le(r.add(4))),
            len: u32le(r.add(12)),
            ..Desc::default()
        };
        let f = r.add(16);
        if cap < 38 {
            return d;
        }
        let mut l3 = 14usize;
        let mut et = u16be(f.add(12));
        while (et == 0x8100 || et == 0x88a8) && l3 + 24 < cap {
            et = u16be(f.add(l3 + 2));
            l3 += 4;
        }
        if et == 0x0800 {
            let ip = f.add(l3);
            let ihl = ((*ip & 15) as usize) << 2;
            let proto = *ip.add(9);
            let l4 = l3 + ihl;
            let frag = u16be(ip.add(6)) & 0x1fff;
            let mut ports = 0u32;
            if (proto == 6 || proto == 17) && frag == 0 && l4 + 14 <= cap {
                ports = u32be(f.add(l4));
                if proto == 6 {
                    d.flags = *f.add(l4 + 13);
                }
            }
            let a = (u32be(ip.add(12)) as u64) << 16 | (ports >> 16) as u64;
            let b = (u32be(ip.add(16)) as u64) << 16 | (ports & 0xffff) as u64;
            d.dir = (a > b) as u8;
            d.lo = a.min(b);
            d.hi = a.max(b) | (proto as u64) << 56;
            d.hash = mix(d.lo, d.hi) as u32;
            d.kind = 4;
            d.proto = proto;
        } else if et == 0x86dd && l3 + 44 <= cap {
            let (k, dir, flags) = key6(f, l3, cap);
            d.dir = dir;
            d.flags = flags;
            d.lo = mix(mix(k.w[0] ^ k.w[4], k.w[1]), mix(k.w[2], k.w[3]));
            d.hash = d.lo as u32;
            d.hi = off as u64;
            d.kind = 6;
        }
        d
    }
}

#[inline(always)]
fn key6(f: *const u8, l3: usize, cap: usize) -> (Key6, u8, u8) {
    unsafe {
        let ip = f.add(l3);
        let proto = *ip.add(6);
        let (a0, a1, b0, b1) = (u64be(ip.add(8)), u64be(ip.add(16)), u64be(ip.add(24)), u64be(ip.add(32)));
        let (mut sp, mut dp, mut fl) = (0u64, 0u64, 0u8);
        if (proto == 6 || proto == 17) && l3 + 54 <= cap {
            let ports = u32be(ip.add(40));
            sp = (ports >> 16) as u64;
            dp = (ports & 0xffff) as u64;
            if proto == 6 {
                fl = *ip.add(53);
            }
        }
        let dir = ((a0, a1, sp) > (b0, b1, dp)) as u8;
        let w = if dir == 0 {
            [a0, a1, b0, b1, sp << 32 | dp << 16 | proto as u64]
        } else {
            [b0, b1, a0, a1, dp << 32 | sp << 16 | proto as u64]
        };
        (Key6 { w }, dir, fl)
    }
}
#[inline(always)]
fn key6_at(base: *const u8, off: usize) -> Key6 {
    unsafe {
        let r = base.add(off);
        let cap = u32le(r.add(8)) as usize;
        let f = r.add(16);
        let mut l3 = 14;
        let mut et = u16be(f.add(12));
        while (et == 0x8100 || et == 0x88a8) && l3 + 24 < cap {
            et = u16be(f.add(l3 + 2));
            l3 += 4;
        }
        key6(f, l3, cap).0
    }
}

// ---------------------------------------------------------------- flow tables

/// One cache line: key and counters of one IPv4 conversation. hi == 0 means empty.
#[derive(Clone, Copy, Default)]
#[repr(C, align(64))]
pub struct E4 {
    lo: u64,
    hi: u64,
    bytes: [u64; 2],
    pkts: [u32; 2],
    first: u32,
    last: u32,
    flags: [u8; 2],
    _r: [u8; 2],
    hash: u32,
}
#[derive(Clone, Copy, Default)]
pub struct E6 {
    k: Key6,
    v: E4,
}
impl E4 {
    #[inline(always)]
    fn up(&mut self, d: &Desc) {
        let i = (d.dir & 1) as usize;
        self.bytes[i] += d.len as u64;
        self.pkts[i] += 1;
        self.last = d.ts;
        self.flags[i] |= d.flags;
    }
    fn new(d: &Desc) -> E4 {
        let mut e = E4 { lo: d.lo, hi: d.hi, first: d.ts, hash: d.hash, ..E4::default() };
        e.up(d);
        e
    }
    fn merge(&mut self, o: &E4) {
        for i in 0..2 {
            self.bytes[i] += o.bytes[i];
            self.pkts[i] += o.pkts[i];
            self.flags[i] |= o.flags[i];
        }
        self.first = self.first.min(o.first);
        self.last = self.last.max(o.last);
    }
}

pub trait Table {
    fn prefetch(&self, d: &Desc);
    fn update(&mut self, d: &Desc, base: *const u8);
    fn stats(&self) -> (u64, u64, u64); // flows, packets, bytes
}

/// Table v: hashbrown, entries inline.
pub struct Hb {
    t4: hashbrown::HashTable<E4>,
    t6: hashbrown::HashTable<E6>,
}
#[inline(always)]
fn wide(h: u32) -> u64 {
    // hashbrown takes its 7 tag bits from the top and the bucket from the bottom
    h as u64 | (h as u64).wrapping_mul(0x9E37_79B9) << 32
}
impl Table for Hb {
    #[inline(always)]
    fn prefetch(&self, _: &Desc) {}
    #[inline(always)]
    fn update(&mut self, d: &Desc, base: *const u8) {
        use hashbrown::hash_table::Entry::*;
        if d.kind == 4 {
            match self.t4.entry(wide(d.hash), |e| e.lo == d.lo && e.hi == d.hi, |e| wide(e.hash)) {
                Occupied(mut o) => o.get_mut().up(d),
                Vacant(v) => {
                    v.insert(E4::new(d));
                }
            }
        } else if d.kind == 6 {
            let k = key6_at(base, d.hi as usize);
            match self.t6.entry(wide(d.hash), |e| e.k == k, |e| wide(e.v.hash)) {
                Occupied(mut o) => o.get_mut().v.up(d),
                Vacant(v) => {
                    v.insert(E6 { k, v: E4::new(d) });
                }
            }
        }
    }
    fn stats(&self) -> (u64, u64, u64) {
        let it = self.t4.iter().chain(self.t6.iter().map(|e| &e.v));
        it.fold((0, 0, 0), |a, e| (a.0 + 1, a.1 + (e.pkts[0] + e.pkts[1]) as u64, a.2 + e.bytes[0] + e.bytes[1]))
    }
}

/// Linear probing, one 64-byte line an entry, load <= 1/2, grows by doubling.
pub struct Lp {
    m: Map,
    mask: usize,
    used: usize,
    huge: bool,
    t6: hashbrown::HashTable<E6>,
}
impl Lp {
    fn new(cap: usize, huge: bool) -> Lp {
        let c = cap.next_power_of_two();
        Lp { m: Lp::alloc(c, huge), mask: c - 1, used: 0, huge, t6: hashbrown::HashTable::new() }
    }
    fn alloc(c: usize, huge: bool) -> Map {
        let mut m = anon(c * 64, huge && c * 64 >= 2 << 20);
        let a = (m.p as usize + (2 << 20) - 1) & !((2 << 20) - 1);
        // keep the mapping's start for munmap in `map_len` by leaking the offset: use the aligned part only
        let off = a - m.p as usize;
        unsafe {
            if off > 0 {
                libc::munmap(m.p as *mut _, off);
            }
        }
        m.p = a as *const u8;
        m.map_len -= off;
        m
    }
    #[inline(always)]
    fn slot(&self, i: usize) -> *mut E4 {
        unsafe { (self.m.p as *mut E4).add(i & self.mask) }
    }
    #[cold]
    #[inline(never)]
    fn grow(&mut self) {
        let c = (self.mask + 1) * 2;
        let old = std::mem::replace(&mut self.m, Lp::alloc(c, self.huge));
        let n = self.mask + 1;
        self.mask = c - 1;
        for i in 0..n {
            let e = unsafe { *(old.p as *const E4).add(i) };
            if e.hi != 0 {
                let mut j = e.hash as usize;
                unsafe {
                    while (*self.slot(j)).hi != 0 {
                        j += 1;
                    }
                    *self.slot(j) = e;
                }
            }
        }
    }
    fn absorb(&mut self, o: &Lp) {
        for i in 0..=o.mask {
            let e = unsafe { *o.slot(i) };
            if i + 16 <= o.mask {
                let h = unsafe { (*o.slot(i + 16)).hash };
                unsafe { _mm_prefetch(self.slot(h as usize) as *const i8, _MM_HINT_T0) };
            }
            if e.hi == 0 {
                continue;
            }
            let mut j = e.hash as usize;
            loop {
                let s = unsafe { &mut *self.slot(j) };
                if s.hi == 0 {
                    *s = e;
                    self.used += 1;
                    if self.used * 2 > self.mask {
                        self.grow();
                    }
                    break;
                }
                if s.lo == e.lo && s.hi == e.hi {
                    s.merge(&e);
                    break;
                }
                j += 1;
            }
        }
        for e in o.t6.iter() {
            use hashbrown::hash_table::Entry::*;
            match self.t6.entry(wide(e.v.hash), |x| x.k == e.k, |x| wide(x.v.hash)) {
                Occupied(mut x) => x.get_mut().v.merge(&e.v),
                Vacant(v) => {
                    v.insert(*e);
                }
            }
        }
    }
}
impl Table for Lp {
    #[inline(always)]
    fn prefetch(&self, d: &Desc) {
        unsafe { _mm_prefetch(self.slot(d.hash as usize) as *const i8, _MM_HINT_T0) };
    }
    #[inline(always)]
    fn update(&mut self, d: &Desc, base: *const u8) {
        if d.kind == 4 {
            let mut i = d.hash as usize;
            loop {
                let e = unsafe { &mut *self.slot(i) };
                if e.lo == d.lo && e.hi == d.hi {
                    e.up(d);
                    return;
                }
                if e.hi == 0 {
                    *e = E4::new(d);
                    self.used += 1;
                    if self.used * 2 > self.mask {
                        self.grow();
                    }
                    return;
                }
                i += 1;
            }
        } else if d.kind == 6 {
            use hashbrown::hash_table::Entry::*;
            let k = key6_at(base, d.hi as usize);
            match self.t6.entry(wide(d.hash), |e| e.k == k, |e| wide(e.v.hash)) {
                Occupied(mut o) => o.get_mut().v.up(d),
                Vacant(v) => {
                    v.insert(E6 { k, v: E4::new(d) });
                }
            }
        }
    }
    fn stats(&self) -> (u64, u64, u64) {
        let mut a = (0, 0, 0);
        let mut add = |e: &E4| {
            a.0 += 1;
            a.1 += (e.pkts[0] + e.pkts[1]) as u64;
            a.2 += e.bytes[0] + e.bytes[1];
        };
        for i in 0..=self.mask {
            let e = unsafe { &*self.slot(i) };
            if e.hi != 0 {
                add(e);
            }
        }
        self.t6.iter().for_each(|e| add(&e.v));
        a
    }
}

// ---------------------------------------------------------------- consumers of a byte range of whole records

/// Receives a piece of the file that starts at a record; returns how many bytes were whole records.
pub trait Eat {
    fn eat(&mut self, s: &[u8]) -> usize;
}

/// Walks records; calls `g(record pointer, caplen, offset)`; prefetches `ahead` bytes in front.
#[inline(always)]
fn walk(s: &[u8], ahead: usize, mut g: impl FnMut(*const u8, usize, usize)) -> usize {
    let (p, n) = (s.as_ptr(), s.len());
    let (mut o, mut pf) = (0usize, 0usize);
    while o + 16 <= n {
        let r = unsafe { p.add(o) };
        let cap = u32le(unsafe { r.add(8) }) as usize;
        if cap > 1 << 20 || o + 16 + cap > n {
            break;
        }
        if ahead > 0 {
            // stream every line up to the horizon (a line is asked for once)
            let to = (o + ahead).min(n);
            while pf < to {
                unsafe { _mm_prefetch(p.add(pf) as *const i8, _MM_HINT_T0) };
                pf += 64;
            }
        }
        g(r, cap, o);
        o += 16 + cap;
    }
    o
}

struct Walk {
    ahead: usize,
    n: u64,
    x: u64,
}
impl Eat for Walk {
    fn eat(&mut self, s: &[u8]) -> usize {
        let (mut n, mut x) = (0u64, 0u64);
        let r = walk(s, self.ahead, |_, c, _| {
            n += 1;
            x = x.wrapping_add(c as u64);
        });
        self.n += n;
        self.x = self.x.wrapping_add(x);
        r
    }
}
struct Parse {
    ahead: usize,
    base: u32,
    n: u64,
    x: u64,
}
impl Eat for Parse {
    fn eat(&mut self, s: &[u8]) -> usize {
        let (mut n, mut x, b) = (0u64, 0u64, self.base);
        let r = walk(s, self.ahead, |r, c, o| {
            let d = parse(r, c, b, o);
            n += 1;
            x = x.wrapping_add(d.hash as u64 ^ d.flags as u64 ^ d.ts as u64);
        });
        self.n += n;
        self.x = self.x.wrapping_add(x);
        r
    }
}
struct Direct<T: Table> {
    t: T,
    ahead: usize,
    base: u32,
    n: u64,
}
impl<T: Table> Eat for Direct<T> {
    fn eat(&mut self, s: &[u8]) -> usize {
        let (t, p, b, mut n) = (&mut self.t, s.as_ptr(), self.base, 0);
        let r = walk(s, self.ahead, |r, c, o| {
            let d = parse(r, c, b, o);
            t.update(&d, p);
            n += 1;
        });
        self.n += n;
        r
    }
}
struct Batch<T: Table> {
    t: T,
    ahead: usize,
    base: u32,
    n: u64,
    k: usize,
    buf: Vec<Desc>,
    /// keep only packets whose hash bit 31.. equals (mask, value): shard filter
    shard: Option<(u32, u32)>,
}
impl<T: Table> Batch<T> {
    fn new(t: T, o: &Opts, base: u32) -> Self {
        Batch { t, ahead: o.ahead, base, n: 0, k: o.n, buf: vec![Desc::default(); o.n + 1], shard: None }
    }
}
impl<T: Table> Eat for Batch<T> {
    fn eat(&mut self, s: &[u8]) -> usize {
        let (t, p, b, k) = (&mut self.t, s.as_ptr(), self.base, self.k);
        let buf = &mut self.buf[..];
        let (mut i, mut n) = (0usize, 0u64);
        let sh = self.shard;
        let r = walk(s, self.ahead, |r, c, o| {
            let d = parse(r, c, b, o);
            if let Some((m, v)) = sh {
                if d.hash >> 24 & m != v {
                    return;
                }
            }
            t.prefetch(&d);
            unsafe { *buf.get_unchecked_mut(i) = d };
            i += 1;
            n += 1;
            if i == k {
                for d in &buf[..k] {
                    t.update(d, p);
                }
                i = 0;
            }
        });
        for d in &buf[..i] {
            t.update(d, p);
        }
        self.n += n;
        r
    }
}

fn drive<E: Eat>(path: &str, o: &Opts, e: &mut E) {
    if o.src == "read" {
        let f = File::open(path).expect("open");
        unsafe { libc::posix_fadvise(f.as_raw_fd(), 0, 0, libc::POSIX_FADV_SEQUENTIAL) };
        let mut b = vec![0u8; o.buf + (256 << 10)];
        let (mut have, mut first) = (0usize, true);
        loop {
            let n = unsafe { libc::read(f.as_raw_fd(), b.as_mut_ptr().add(have) as *mut _, o.buf) };
            if n <= 0 {
                break;
            }
            have += n as usize;
            let s = if first { 24 } else { 0 };
            first = false;
            let used = s + e.eat(&b[s..have]);
            b.copy_within(used..have, 0);
            have -= used;
        }
        assert!(have == 0, "trailing {have}");
    } else {
        let m = open(path, &o.src);
        let n = e.eat(&m.s()[24..]);
        assert!(n + 24 == m.len, "stopped at {n}");
        if o.nounmap {
            std::mem::forget(m);
        }
    }
}

/// Finds a record boundary at or after `from`: 24 consecutive plausible headers.
fn resync(s: &[u8], from: usize, sec0: u32) -> usize {
    'o: for st in from..from + (1 << 18) {
        let mut o = st;
        for _ in 0..24 {
            if o + 16 > s.len() {
                return st;
            }
            let r = s[o..].as_ptr();
            let (sec, us, c, l) = unsafe { (u32le(r), u32le(r.add(4)), u32le(r.add(8)), u32le(r.add(12))) };
            if us >= 1_000_000
                || c > 262_144
                || c > l
                || l > 262_144
                || sec.wrapping_sub(sec0.wrapping_sub(3600)) > 90_000
                || c < 4
            {
                continue 'o;
            }
            o += 16 + c as usize;
        }
        return st;
    }
    panic!("no boundary near {from}")
}

#[derive(Clone)]
struct Opts {
    src: String,
    buf: usize,
    ahead: usize,
    n: usize,
    k: usize,
    huge: bool,
    cap: usize,
    th: usize,

    nounmap: bool,
}

fn cpu() -> (f64, f64) {
    unsafe {
        let mut u: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &mut u);
        let t = |v: libc::timeval| v.tv_sec as f64 + v.tv_usec as f64 * 1e-6;
        (t(u.ru_utime), t(u.ru_stime))
    }
}

fn main() {
    let a: Vec<String> = std::env::args().collect();
    if a.len() < 3 {
        eprintln!("usage: floor FILE MODE [opt=value ...]");
        std::process::exit(2);
    }
    let (path, mode) = (a[1].as_str(), a[2].as_str());
    let get = |k: &str, d: &str| a[3..].iter().find_map(|x| x.strip_prefix(&format!("{k}="))).unwrap_or(d).to_string();
    let num = |k: &str, d: usize| get(k, &d.to_string()).parse::<usize>().expect(k);
    let o = Opts {
        src: get("src", "mmap"),
        buf: num("buf", 1 << 18),
        ahead: num("ahead", 0),
        n: num("n", 48),
        k: num("k", 4),
        huge: num("huge", 1) == 1,
        cap: num("cap", 1 << 16),
        th: num("th", 2),

        nounmap: num("nounmap", 0) == 1,
    };
    for _ in 0..num("reps", 1) {
        // src=mem*: the copy into anonymous memory is not timed
        let pre = if o.src.starts_with("mem") { Some(open(path, &o.src)) } else { None };
        let c0 = cpu();
        let t0 = Instant::now();
        let (n, flows, x) = run(path, mode, &o, pre.as_ref());
        let w = t0.elapsed().as_secs_f64();
        let c1 = cpu();
        println!(
            "{{\"mode\":\"{}\",\"wall\":{:.4},\"user\":{:.4},\"sys\":{:.4},\"packets\":{},\"flows\":{},\"x\":{}}}",
            a[2..].join(" "),
            w,
            c1.0 - c0.0,
            c1.1 - c0.1,
            n,
            flows,
            x
        );
    }
}

fn go<E: Eat>(path: &str, o: &Opts, pre: Option<&Map>, e: &mut E) {
    match pre {
        Some(m) => {
            let n = e.eat(&m.s()[24..]);
            assert!(n + 24 == m.len);
        }
        None => drive(path, o, e),
    }
}

fn run(path: &str, mode: &str, o: &Opts, pre: Option<&Map>) -> (u64, u64, u64) {
    let base = {
        let mut h = [0u8; 40];
        use std::io::Read;
        File::open(path).unwrap().read_exact(&mut h).unwrap();
        u32le(h[24..].as_ptr())
    };
    let hb = || Hb { t4: hashbrown::HashTable::with_capacity(o.cap / 2), t6: hashbrown::HashTable::new() };
    let lp = || Lp::new(o.cap, o.huge);
    match mode {
        "touch" | "touchpage" => {
            let own;
            let m = match pre {
                Some(m) => m,
                None => {
                    own = open(path, &o.src);
                    &own
                }
            };
            let s = m.s();
            let st = if mode == "touch" { 64 } else { 4096 };
            let (mut i, mut x) = (0, 0u64);
            while i < s.len() {
                x = x.wrapping_add(s[i] as u64);
                i += st;
            }
            (0, 0, x)
        }
        "readonly" => {
            let f = File::open(path).unwrap();
            let mut b = vec![0u8; o.buf];
            let mut t = 0u64;
            loop {
                let n = unsafe { libc::read(f.as_raw_fd(), b.as_mut_ptr() as *mut _, o.buf) };
                if n <= 0 {
                    break;
                }
                t += n as u64;
            }
            (0, 0, t)
        }
        "walk" => {
            let mut e = Walk { ahead: o.ahead, n: 0, x: 0 };
            go(path, o, pre, &mut e);
            (e.n, 0, e.x)
        }
        // k independent chains in one thread: memory-level parallelism for the record walk
        "walkk" => {
            let own;
            let m = match pre {
                Some(m) => m,
                None => {
                    own = open(path, &o.src);
                    &own
                }
            };
            let s = m.s();
            let k = o.k;
            let mut st: Vec<usize> =
                (0..k).map(|i| if i == 0 { 24 } else { resync(s, s.len() / k * i, base) }).collect();
            let en: Vec<usize> = (0..k).map(|i| if i + 1 < k { st[i + 1] } else { s.len() }).collect();
            let (mut n, mut x, mut live) = (0u64, 0u64, k);
            let p = s.as_ptr();
            while live > 0 {
                live = 0;
                for i in 0..k {
                    if st[i] < en[i] {
                        let c = u32le(unsafe { p.add(st[i] + 8) }) as usize;
                        st[i] += 16 + c;
                        n += 1;
                        x += c as u64;
                        live += 1;
                    }
                }
            }
            (n, 0, x)
        }
        "parse" => {
            let mut e = Parse { ahead: o.ahead, base, n: 0, x: 0 };
            go(path, o, pre, &mut e);
            (e.n, 0, e.x)
        }
        "hb" => {
            let mut e = Direct { t: hb(), ahead: o.ahead, base, n: 0 };
            go(path, o, pre, &mut e);
            let s = e.t.stats();
            (e.n, s.0, s.1 ^ s.2)
        }
        "lp" => {
            let mut e = Direct { t: lp(), ahead: o.ahead, base, n: 0 };
            go(path, o, pre, &mut e);
            let s = e.t.stats();
            (e.n, s.0, s.1 ^ s.2)
        }
        "batch" => {
            let mut e = Batch::new(lp(), o, base);
            go(path, o, pre, &mut e);
            let s = e.t.stats();
            (e.n, s.0, s.1 ^ s.2)
        }
        // vii-a: every thread walks everything and keeps its shard
        "filter2" => {
            let rs: Vec<_> = std::thread::scope(|sc| {
                let hs: Vec<_> = (0..o.th)
                    .map(|i| {
                        sc.spawn(move || {
                            let mut e = Batch::new(Lp::new(o.cap, o.huge), o, base);
                            e.shard = Some((o.th.next_power_of_two() as u32 - 1, i as u32));
                            go(path, o, pre, &mut e);
                            let s = e.t.stats();
                            (e.n, s.0, s.1, s.2)
                        })
                    })
                    .collect();
                hs.into_iter().map(|h| h.join().unwrap()).collect()
            });
            let t = rs.iter().fold((0, 0, 0, 0), |a, r| (a.0 + r.0, a.1 + r.1, a.2 + r.2, a.3 + r.3));
            (t.0, t.1, t.2 ^ t.3)
        }
        // vii-b: one walker/parser; the table lives in the other thread
        "chan2" => {
            let own;
            let m = match pre {
                Some(m) => m,
                None => {
                    own = open(path, &o.src);
                    &own
                }
            };
            let s = &m.s()[24..];
            let p = s.as_ptr() as usize;
            let (tx, rx) = cb::bounded::<Vec<Desc>>(64);
            let (btx, brx) = cb::unbounded::<Vec<Desc>>();
            std::thread::scope(|sc| {
                let h = sc.spawn(move || {
                    let mut t = Lp::new(o.cap, o.huge);
                    let mut n = 0u64;
                    for b in rx.iter() {
                        const W: usize = 32;
                        for d in b.iter().take(W) {
                            t.prefetch(d);
                        }
                        for i in 0..b.len() {
                            if i + W < b.len() {
                                t.prefetch(&b[i + W]);
                            }
                            t.update(&b[i], p as *const u8);
                        }
                        n += b.len() as u64;
                        let _ = btx.send(b);
                    }
                    let st = t.stats();
                    (n, st.0, st.1 ^ st.2)
                });
                let size = if o.n < 128 { 512 } else { o.n };
                let mut cur = Vec::with_capacity(size);
                walk(s, o.ahead, |r, c, off| {
                    cur.push(parse(r, c, base, off));
                    if cur.len() == size {
                        let mut nx = brx.try_recv().unwrap_or_else(|_| Vec::with_capacity(size));
                        nx.clear();
                        tx.send(std::mem::replace(&mut cur, nx)).unwrap();
                    }
                });
                tx.send(cur).unwrap();
                drop(tx);
                h.join().unwrap()
            })
        }
        // vii-c: the file split at record boundaries, a table a thread, merged at the end
        "split2" => {
            let own;
            let m = match pre {
                Some(m) => m,
                None => {
                    own = open(path, &o.src);
                    &own
                }
            };
            let s = m.s();
            let k = o.th;
            let st: Vec<usize> = (0..k).map(|i| if i == 0 { 24 } else { resync(s, s.len() / k * i, base) }).collect();
            let mut ts: Vec<Batch<Lp>> = std::thread::scope(|sc| {
                let hs: Vec<_> = (0..k)
                    .map(|i| {
                        let (b, e) = (st[i], if i + 1 < k { st[i + 1] } else { s.len() });
                        sc.spawn(move || {
                            let mut x = Batch::new(Lp::new(o.cap, o.huge), o, base);
                            let n = x.eat(&s[b..e]);
                            assert!(n == e - b);
                            x
                        })
                    })
                    .collect();
                hs.into_iter().map(|h| h.join().unwrap()).collect()
            });
            let mut t = ts.remove(0);
            for x in &ts {
                t.t.absorb(&x.t);
                t.n += x.n;
            }
            let r = t.t.stats();
            (t.n, r.0, r.1 ^ r.2)
        }
        _ => panic!("mode"),
    }
}
