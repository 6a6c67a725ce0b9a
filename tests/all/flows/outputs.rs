//! Output does not depend on how it is made.

use pcap_compactor::sink::flows::Form;
use pcap_compactor::views::flows::Settings;
use proptest::prelude::*;

use super::random::{files, rules, settings};
use super::{all, write, written};
use crate::corpus::corpus;
use crate::properties::cases;
use crate::run::{PLAIN, WAYS, balances};

proptest! {
    #![proptest_config(cases(60))]

    #[test]
    fn no_way_of_running_shows(files in files(5, 80), rules in rules()) {
        let dir = tempfile::tempdir().unwrap();
        let paths = write(dir.path(), &files);
        let settings = settings(&rules);
        for form in [Form::Lines, Form::Csv, Form::Digest] {
            let plain = written(&paths, &settings, form, PLAIN);
            for way in WAYS {
                prop_assert!(written(&paths, &settings, form, way) == plain, "{way:?}");
            }
        }
    }
}

#[test]
fn no_way_of_running_shows_over_real_captures() {
    let Some(corpus) = corpus() else { return };
    let settings = Settings { columns: all(), sequences: 5, ..Settings::default() };
    let paths = corpus.paths();
    let plain = written(&paths, &settings, Form::Lines, PLAIN);
    let last = plain[..plain.len() - 1].iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
    balances(&serde_json::from_slice(&plain[last..]).expect("the last line is JSON"));
    for way in WAYS {
        assert!(written(&paths, &settings, Form::Lines, way) == plain, "{way:?}");
    }
}
