//! Files that lie in a folder and that nothing in it names.

use walkdir::WalkDir;

use super::folder::Folder;
use super::print;

/// Tells of files that were not looked for: those that are called as parts of this layout are left over, maybe of another run; those of
/// other names are nobody's.
pub(super) fn check(folder: &mut Folder<'_>, is_part: fn(&str) -> bool) {
    for entry in WalkDir::new(folder.path).min_depth(1).sort_by_file_name() {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                folder.problem(super::MANIFEST, format_args!("the folder cannot be looked through: {error}"), "");
                continue;
            }
        };
        let path = entry.path().strip_prefix(folder.path).unwrap_or(entry.path());
        let names: Vec<_> = path.iter().map(|name| name.to_string_lossy()).collect();
        let name = names.join("/");
        let is_known = folder.known.contains(&print(&name.as_str())) || folder.links.contains(&name);
        if entry.file_type().is_dir() || name == super::MANIFEST || is_known {
            continue;
        }
        if is_part(&name) {
            folder.problem(&name, "no index names it", "viewers do not show what is in it");
        } else {
            folder.findings.note(&name, "it is no part of the timeline", "viewers do not read it");
        }
    }
}

/// Whether a file of version 2.0 is called so.
pub(super) fn of_chunks(name: &str) -> bool {
    name.starts_with("flows/chunk_") || name == "packets.csv"
}

/// Whether a file of version 3.3 is called so.
pub(super) fn of_resolutions(name: &str) -> bool {
    name.starts_with("resolutions/") && (name.ends_with(".csv") || name.ends_with(".json"))
}

/// Whether a file of version 5.0 is called so.
pub(super) fn of_lists(name: &str) -> bool {
    name.starts_with("indices/flow_list/") || name.starts_with("indices/flow_bins_")
}
