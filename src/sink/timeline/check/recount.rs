//! Counts the packets of version 3.3 anew: the finest level there is, raw packets as a rule, fills the bins of the others.
//!
//! All levels are read side by side. A level has one bin open, which is compared with its rows when the next begins, and goes on to the
//! coarser level; so what is held is a bin of each width.

use hashbrown::HashMap;

use super::folder::Folder;
use super::level::{Key, Level, Names, Row, Sum};

/// A bin that is filled.
#[derive(Default)]
struct Bin {
    start: i64,
    sums: HashMap<Key, Sum>,
}

/// Reads the finest level and all coarser ones, and says where these count otherwise.
pub(super) fn recount(folder: &mut Folder<'_>, names: &mut Names, finest: &mut Level, coarser: &mut [Level]) {
    let mut bins: Vec<Bin> = coarser.iter().map(|_| Bin::default()).collect();
    while let Some(Row { start, key, sum, print, .. }) = finest.take(folder, names) {
        folder.packets = folder.packets.wrapping_add(print);
        add(folder, names, coarser, &mut bins, start, key, sum);
    }
    for from in 0..bins.len() {
        close(folder, names, &mut coarser[from..], &mut bins[from..]);
    }
    for level in coarser {
        while let Some(row) = level.take(folder, names) {
            too_many(folder, names, level, &row);
        }
    }
}

fn add(
    folder: &mut Folder<'_>,
    names: &mut Names,
    levels: &mut [Level],
    bins: &mut [Bin],
    time: i64,
    key: Key,
    sum: Sum,
) {
    let (Some(level), Some(bin)) = (levels.first(), bins.first()) else { return };
    let start = time.saturating_sub(time.rem_euclid(level.width));
    if start != bin.start {
        close(folder, names, levels, bins);
    }
    let Some(bin) = bins.first_mut() else { return };
    bin.start = start;
    let (packets, bytes) = bin.sums.entry(key).or_default();
    (*packets, *bytes) = (packets.saturating_add(sum.0), bytes.saturating_add(sum.1));
}

/// Compares the open bin of the finest of levels, and adds it to the next.
fn close(folder: &mut Folder<'_>, names: &mut Names, levels: &mut [Level], bins: &mut [Bin]) {
    let (Some((level, levels)), Some((bin, bins))) = (levels.split_first_mut(), bins.split_first_mut()) else { return };
    let Bin { start, sums } = std::mem::take(bin);
    if sums.is_empty() {
        return;
    }
    compare(folder, names, level, start, sums.clone());
    for (key, sum) in sums {
        add(folder, names, levels, bins, start, key, sum);
    }
}

/// Compares a bin with the rows that a level has for it.
fn compare(folder: &mut Folder<'_>, names: &mut Names, level: &mut Level, start: i64, mut sums: HashMap<Key, Sum>) {
    let mut line = 1;
    while let Some(row) = level.peek(folder, names).filter(|row| row.start <= start) {
        level.take(folder, names);
        line = row.line;
        match (row.start == start).then(|| sums.remove(&row.key)).flatten() {
            Some(is) if is == row.sum => {}
            Some((packets, bytes)) => {
                let (says, of) = (row.sum, way(names, &row.key));
                let what = format_args!(
                    "line {line}: {} packets of {} bytes {of}, where there are {packets} of {bytes}",
                    says.0, says.1
                );
                folder.findings.problem(&level.file, what, "viewers draw that at this width");
            }
            None => too_many(folder, names, level, &row),
        }
    }
    let missing = sums.len();
    if let Some((key, (packets, _))) = sums.iter().min_by_key(|(key, _)| **key) {
        let of = way(names, key);
        let what = format_args!("behind line {line}: no row for {packets} packets {of} in the bin of {start}");
        for _ in 0..missing {
            folder.findings.problem(&level.file, what, "viewers draw fewer packets at this width");
        }
    }
}

fn too_many(folder: &mut Folder<'_>, names: &Names, level: &Level, row: &Row) {
    let of = way(names, &row.key);
    let what =
        format_args!("line {}: {} packets {of}, where there are none or another row has them", row.line, row.sum.0);
    folder.findings.problem(&level.file, what, "viewers draw packets at this width that are none");
}

fn way(names: &Names, &[src, dst, flags]: &Key) -> String {
    format!("from {} to {} as {}", names.name(src), names.name(dst), names.name(flags))
}
