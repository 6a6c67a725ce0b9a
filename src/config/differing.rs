//! What tells two sets of settings apart.

use toml::{Table, Value};

/// What is set otherwise than before, a setting each, as `workers = 4 (was 2)`; by name.
#[must_use]
pub fn differing(before: &Table, now: &Table) -> Vec<String> {
    let mut names: Vec<&String> = before.keys().chain(now.keys()).collect();
    names.sort_unstable();
    names.dedup();
    let said = |value: Option<&Value>| value.map_or_else(|| "not set".to_owned(), ToString::to_string);
    let others = names.into_iter().filter(|name| before.get(*name) != now.get(*name));
    others.map(|name| format!("{name} = {} (was {})", said(now.get(name)), said(before.get(name)))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_other_is_said() {
        let table = |text: &str| text.parse::<Table>().unwrap();
        let before = table("same = 1\nworkers = 2\nkeep = \"7d\"");
        let now = table("same = 1\nworkers = 4\nlook = \"5s\"");
        let wanted = ["keep = not set (was \"7d\")", "look = \"5s\" (was not set)", "workers = 4 (was 2)"];
        assert_eq!(differing(&before, &now), wanted);
        assert_eq!(differing(&now, &now), [""; 0]);
    }
}
