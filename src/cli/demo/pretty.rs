//! A record over several lines, its text but for white space untouched: a JSON library would cut its times.

use std::fmt::Write as _;

/// A JSON object over lines: each field of the outermost level on its own, broken at commas where too long.
pub(super) fn pretty(json: &str, width: usize) -> String {
    let inner = json.trim().strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or(json);
    let mut text = String::from("  {\n");
    let fields = split(inner);
    for (i, field) in fields.iter().enumerate() {
        let field = field.replacen("\":", "\": ", 1);
        let comma = if i + 1 < fields.len() { "," } else { "" };
        let mut line = String::from("    ");
        // At every comma inside, a line may end; the cheapest cut that fits is the last one.
        for (j, piece) in pieces(&field).into_iter().enumerate() {
            if j > 0 && line.chars().count() + piece.chars().count() + 1 > width {
                text += line.trim_end();
                text.push('\n');
                line = String::from("        ");
            }
            line += &piece;
        }
        let _ = writeln!(text, "{line}{comma}");
    }
    text + "  }\n"
}

/// The fields of an object without its braces.
fn split(json: &str) -> Vec<&str> {
    let mut fields = Vec::new();
    let mut start = 0;
    for at in commas(json, true) {
        fields.push(&json[start..at]);
        start = at + 1;
    }
    fields.push(&json[start..]);
    fields
}

/// A value cut behind every comma; there is a blank behind each.
fn pieces(json: &str) -> Vec<String> {
    let mut pieces = Vec::new();
    let mut start = 0;
    for at in commas(json, false) {
        pieces.push(format!("{} ", &json[start..=at]));
        start = at + 1;
    }
    pieces.push(json[start..].to_owned());
    pieces
}

/// Where commas stand that are not in strings: outside of all brackets only, or anywhere.
fn commas(json: &str, outside: bool) -> Vec<usize> {
    let (mut depth, mut quoted, mut escaped) = (0u32, false, false);
    let mut found = Vec::new();
    for (at, byte) in json.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            b',' if depth == 0 || !outside => found.push(at),
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_broken_over_lines_and_stays_the_same_json() {
        let line = r#"{"type":"group","key":{"a":"x,\"}{","b":[1,2,3]},"ts":1697720400.123456789,"empty":{}}"#;
        let shown = pretty(line, 30);
        assert!(shown.contains("1697720400.123456789"), "digits are kept: {shown}");
        let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(value(&shown), value(line));
        assert_eq!(shown.lines().nth(1), Some("    \"type\": \"group\","));
        assert!(shown.lines().all(|line| line.len() <= 44), "{shown}");
    }
}
