//! TCP flags by name, as the original spells them.

use std::borrow::Cow;
use std::sync::LazyLock;

/// FIN.
pub const FIN: i64 = 0x01;
/// SYN.
pub const SYN: i64 = 0x02;
/// RST.
pub const RST: i64 = 0x04;
/// PSH.
pub const PSH: i64 = 0x08;
/// ACK.
pub const ACK: i64 = 0x10;

/// In the order of the alphabet, in which names of several are joined.
const NAMES: [(&str, i64); 8] =
    [("ACK", ACK), ("CWR", 0x80), ("ECE", 0x40), ("FIN", FIN), ("PSH", PSH), ("RST", RST), ("SYN", SYN), ("URG", 0x20)];

/// The name of a set of flags: `SYN+ACK`, `FIN+ACK`, `PSH+ACK` and `RST+ACK`, else the flags in the order of the alphabet, such as
/// `ACK+ECE+SYN`; `NONE`, `OTHER_256` of bits that are no flags, and `INVALID` where there is no number.
#[must_use]
pub fn flag_type(flags: Option<i64>) -> Cow<'static, str> {
    static USUAL: LazyLock<Vec<String>> = LazyLock::new(|| (0..256).map(spelled).collect());
    match flags {
        None => Cow::Borrowed("INVALID"),
        Some(flags) => match usize::try_from(flags).ok().and_then(|flags| USUAL.get(flags)) {
            Some(name) => Cow::Borrowed(name),
            None => Cow::Owned(spelled(flags)),
        },
    }
}

fn spelled(flags: i64) -> String {
    for (name, other) in [("SYN+ACK", SYN), ("FIN+ACK", FIN), ("PSH+ACK", PSH), ("RST+ACK", RST)] {
        if flags == other | ACK {
            return name.into();
        }
    }
    let set: Vec<&str> = NAMES.iter().filter(|(_, bit)| flags & bit != 0).map(|&(name, _)| name).collect();
    match flags {
        0 => "NONE".into(),
        _ if set.is_empty() => format!("OTHER_{flags}"),
        _ => set.join("+"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_sets_have_an_order_of_their_own_and_the_others_that_of_the_alphabet() {
        let name = |flags| flag_type(Some(flags)).into_owned();
        assert_eq!([18, 17, 24, 20].map(name), ["SYN+ACK", "FIN+ACK", "PSH+ACK", "RST+ACK"]);
        assert_eq!([194, 82, 41, 3, 16].map(name), ["CWR+ECE+SYN", "ACK+ECE+SYN", "FIN+PSH+URG", "FIN+SYN", "ACK"]);
        assert_eq!([0, 256, 258, -256].map(name), ["NONE", "OTHER_256", "SYN", "OTHER_-256"]);
        assert_eq!((name(-1), flag_type(None)), ("ACK+CWR+ECE+FIN+PSH+RST+SYN+URG".into(), "INVALID".into()));
    }
}
