//! The page: what is served under which path, and the same in one file.
//!
//! Its script is in modules, which are joined here: so the page that is served and the one that is saved run the same text.

use std::io::{self, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pcap_compactor::views::timeline::{COARSE_ROWS, Host, Scene};
use serde::ser::{Serialize, SerializeMap, Serializer};
use sha2::{Digest, Sha256};

use super::super::http::{Answer, Site, Status};
use super::origin::Origin;
use super::wire;

const INDEX: &str = include_str!("page/index.html");
const STYLE: &str = include_str!("page/style.css");
const MODULES: [&str; 10] = [
    include_str!("page/data.js"),
    include_str!("page/text.js"),
    include_str!("page/marks.js"),
    include_str!("page/rows.js"),
    include_str!("page/chart.js"),
    include_str!("page/overview.js"),
    include_str!("page/list.js"),
    include_str!("page/detail.js"),
    include_str!("page/origin.js"),
    include_str!("page/main.js"),
];
/// How the page refers to the two, which the single file holds instead.
const STYLE_TAG: &str = "<link rel=\"stylesheet\" href=\"style.css\">";
const SCRIPT_TAG: &str = "<script type=\"module\" src=\"page.js\"></script>";

/// The modules as one: in order of use, without what ties them together.
fn script() -> String {
    let mut script = String::new();
    for line in MODULES.iter().flat_map(|module| module.lines()) {
        if !line.starts_with("import ") {
            script += line.strip_prefix("export ").unwrap_or(line);
            script.push('\n');
        }
    }
    script
}

/// A scene with its page.
pub(super) struct Page {
    scene: Scene,
    title: String,
    origin: Origin,
    /// Packets that a saved page may hold one by one.
    most_packets: usize,
}

const HTML: &str = "text/html; charset=utf-8";

/// What is written as it is made.
fn json<'s>(value: impl Serialize + 's) -> Answer<'s> {
    Answer::written("application/json", move |out| wire::write(&value, out))
}

impl Site for Page {
    /// Only these paths are.
    fn answer(&self, path: &str, query: &str) -> Answer<'_> {
        let scene = &self.scene;
        let wrong = || Answer::no(Status::BadRequest, "the query is not what this path takes");
        match path {
            "/" => Answer::ok(HTML, INDEX),
            "/page.js" => Answer::ok("text/javascript; charset=utf-8", script()),
            "/style.css" => Answer::ok("text/css; charset=utf-8", STYLE),
            "/scene" => json(self.whole(COARSE_ROWS)),
            "/bins" => {
                let (query, hosts) =
                    query.split_once("&hosts=").map_or((query, None), |(rest, list)| (rest, Some(list)));
                let Some([level, from, to]) = numbers(query, ["level", "from", "to"]) else { return wrong() };
                let level = usize::try_from(level).unwrap_or(usize::MAX);
                if level >= scene.levels().len() {
                    return Answer::no(Status::NotFound, "there is no such level");
                }
                let Some(hosts) = hosts else { return json(wire::Bins { scene, level, from, to }) };
                let Some(hosts) = numbered(hosts, scene.hosts().len()) else { return wrong() };
                let rows = scene.of_hosts(level, from, to, &hosts);
                json(wire::Columns { level, range: 0..rows.len(), rows })
            }
            "/packets" => {
                let Some([flow]) = numbers(query, ["flow"]) else { return wrong() };
                let lines = scene.lines();
                match usize::try_from(flow).ok().and_then(|place| lines.get(place)) {
                    Some(line) => json(wire::Packets { scene, listed: line.listed.clone() }),
                    None => Answer::no(Status::NotFound, "there is no such flow"),
                }
            }
            "/timeline.html" => {
                Answer { save_as: Some("timeline.html"), ..Answer::written(HTML, |out| self.offline(out)) }
            }
            _ => Answer::no(Status::NotFound, "there is nothing here"),
        }
    }
}

impl Page {
    pub(super) fn new(scene: Scene, title: String, origin: Origin, most_packets: usize) -> Page {
        Page { scene, title, origin, most_packets }
    }

    fn whole(&self, most_rows: usize) -> wire::Whole<'_> {
        wire::Whole { scene: &self.scene, title: &self.title, origin: &self.origin, most_rows }
    }

    /// Writes the page as one file that needs nothing else. With more packets than it may hold, those of flows are left out, and marks are bins.
    pub(super) fn offline(&self, out: &mut dyn Write) -> io::Result<()> {
        let script = script();
        let hash = |text: &str| STANDARD.encode(Sha256::digest(text));
        let policy = format!(
            "default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; img-src data:; base-uri 'none'; form-action 'none'",
            hash(&script),
            hash(STYLE)
        );
        let charset = "<meta charset=\"utf-8\">";
        let index = INDEX
            .replace(charset, &format!("{charset}\n<meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">"))
            .replace(STYLE_TAG, &format!("<style>{STYLE}</style>"));
        let (head, tail) = index.split_once(SCRIPT_TAG).unwrap_or((&index, ""));
        write!(out, "{head}<script type=\"application/json\" id=\"data\">")?;
        wire::write(&Offline(self), &mut Inside(&mut *out))?;
        write!(out, "</script>\n<script type=\"module\">{script}</script>{tail}")
    }
}

/// What a saved page has in place of a server.
struct Offline<'s>(&'s Page);

impl Serialize for Offline<'_> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let Page { scene, most_packets, .. } = self.0;
        let all = scene.levels().first().is_none_or(|level| level.rows.len() <= *most_packets);
        let coarse_rows = COARSE_ROWS.min(*most_packets);
        let coarse = wire::finest(scene, coarse_rows);
        let finer = wire::finest(scene, *most_packets).filter(|&level| Some(level) != coarse);
        let mut map = out.serialize_map(None)?;
        map.serialize_entry("scene", &self.0.whole(coarse_rows))?;
        map.serialize_entry("bins", &finer.map(|level| wire::Bins { scene, level, from: 0, to: u64::MAX }))?;
        map.serialize_entry("packets", &all.then(|| wire::Packets { scene, listed: 0..scene.listed().len() }))?;
        map.serialize_entry("listed", &all.then_some(wire::Places(scene)))?;
        map.serialize_entry("mostPackets", most_packets)?;
        map.end()
    }
}

/// JSON inside an element: names may hold anything, also what would end it.
struct Inside<'w>(&'w mut dyn Write);

impl Write for Inside<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for (at, part) in bytes.split(|&byte| byte == b'<').enumerate() {
            if at > 0 {
                self.0.write_all(b"\\u003c")?;
            }
            self.0.write_all(part)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Hosts by number, with commas between, as many as the head of a request has room for.
fn numbered(list: &str, hosts: usize) -> Option<Vec<Host>> {
    let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?;
    list.split(',').map(number).map(|host| host.filter(|&host: &Host| (host as usize) < hosts)).collect()
}

/// Exactly these parameters, in any order, as whole numbers.
fn numbers<const N: usize>(query: &str, names: [&str; N]) -> Option<[u64; N]> {
    let mut values = [None; N];
    for part in query.split('&') {
        let (name, value) = part.split_once('=')?;
        let place = names.iter().position(|known| *known == name)?;
        let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
        let value = value.parse().ok().filter(|_| digits)?;
        if values[place].replace(value).is_some() {
            return None;
        }
    }
    values.iter().all(Option::is_some).then(|| values.map(Option::unwrap_or_default))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_exactly_what_is_asked_for() {
        assert_eq!(numbers("from=1&level=0", ["level", "from"]), Some([0, 1]));
        for wrong in
            ["", "level=0", "level=0&from=1&x=2", "level=0&from=+1", "level=0&from=", "level=0&level=0", "level&from"]
        {
            assert_eq!(numbers(wrong, ["level", "from"]), None, "{wrong}");
        }
        assert_eq!(numbers("flow=18446744073709551616", ["flow"]), None);
    }

    #[test]
    fn hosts_are_numbers_of_those_that_there_are() {
        assert_eq!(numbered("0,2", 3), Some(vec![0, 2]));
        for wrong in ["", "3", "+1", "0,", "0,,1", "-1", "4294967296", "x"] {
            assert_eq!(numbered(wrong, 3), None, "{wrong}");
        }
    }

    #[test]
    fn nothing_in_the_data_of_a_saved_page_ends_its_element() {
        let mut out = Vec::new();
        Inside(&mut out).write_all(b"\"</script><\"").unwrap();
        assert_eq!(out, b"\"\\u003c/script>\\u003c\"");
    }

    #[test]
    fn the_page_has_what_the_single_file_replaces_and_nothing_that_would_end_it() {
        for tag in [STYLE_TAG, SCRIPT_TAG, "<meta charset=\"utf-8\">"] {
            assert_eq!(INDEX.matches(tag).count(), 1, "{tag}");
        }
        let script = script();
        assert!(!script.contains("</script") && !script.contains("<!--") && !STYLE.contains("</style"));
        assert!(!script.lines().any(|line| line.starts_with("import") || line.starts_with("export")));
    }
}
