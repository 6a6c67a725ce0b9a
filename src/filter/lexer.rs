//! From text to tokens. A token knows its place, for carets.

use std::ops::Range;

use super::Mistake;

/// A piece of an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token<'t> {
    pub(super) kind: Kind<'t>,
    pub(super) at: Range<usize>,
}

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind<'t> {
    /// A word, number, address, or range of numbers: what is written in one. A backslash in front, which tells libpcap
    /// that a keyword is meant as a name, is left out.
    Word(&'t str),
    /// An operator or a parenthesis.
    Sign(&'static str),
    /// The end of the text.
    End,
}

/// Signs, the longer of two with one beginning first.
const SIGNS: [&str; 23] = [
    "&&", "||", "<<", ">>", "!=", "==", "<=", ">=", "(", ")", "[", "]", ":", "+", "-", "*", "/", "%", "&", "|", "^",
    "<", ">",
];

/// Longest expression, in bytes: more is no expression but a mistake, and places in it must be countable.
const LONGEST: usize = 1 << 16;

/// Splits an expression into tokens, the last of which is [`Kind::End`].
pub(super) fn tokens(text: &str) -> Result<Vec<Token<'_>>, Mistake> {
    let mistake = |at: Range<usize>, reason: String| Mistake { text: text.into(), at, reason };
    if text.len() > LONGEST {
        return Err(mistake(0..0, format!("an expression has at most {LONGEST} bytes")));
    }
    let mut tokens = Vec::new();
    let mut brackets = 0_u32;
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        if first.is_whitespace() {
            at += first.len_utf8();
            continue;
        }
        let escaped = usize::from(first == '\\');
        let length = word(&rest[escaped..], brackets > 0);
        if length > 0 {
            let end = at + escaped + length;
            tokens.push(Token { kind: Kind::Word(&text[at + escaped..end]), at: at..end });
            at = end;
            continue;
        }
        // `!` and `=` stand last in line, behind what begins with them.
        let sign = SIGNS.iter().chain(&["!", "="]).find(|sign| rest.starts_with(**sign));
        let Some(sign) = sign else {
            return Err(mistake(at..at + first.len_utf8(), format!("`{}` has no meaning here", first.escape_debug())));
        };
        match *sign {
            "[" => brackets += 1,
            "]" => brackets = brackets.saturating_sub(1),
            _ => {}
        }
        tokens.push(Token { kind: Kind::Sign(sign), at: at..at + sign.len() });
        at += sign.len();
    }
    tokens.push(Token { kind: Kind::End, at: text.len()..text.len() });
    Ok(tokens)
}

/// Bytes of the word that the text begins with. Between brackets, where there are no addresses, a colon ends it, and a
/// hyphen that of a number.
fn word(text: &str, in_brackets: bool) -> usize {
    let name = text.starts_with(|c: char| c.is_ascii_alphabetic());
    let part = |c: char| match c {
        ':' | '.' => !in_brackets,
        '-' => name || !in_brackets,
        _ => c.is_ascii_alphanumeric() || c == '_',
    };
    // An IPv6 address may begin with a colon, nothing with a hyphen.
    if !text.starts_with(|c: char| c.is_ascii_alphanumeric()) && (in_brackets || !text.starts_with("::")) {
        return 0;
    }
    let length = text.find(|c| !part(c)).unwrap_or(text.len());
    text[..length].trim_end_matches('-').len()
}
