//! The settings that the command line prints, and reads.

use std::fs;

use crate::command::run;

#[test]
fn printed_settings_are_settings_that_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (capture, settings) = (path("a.pcap"), path("settings.toml"));
    assert_eq!(run(["synth", &capture, "--packets", "5000"]).code, Some(0));
    let printed = run(["config"]);
    assert_eq!(printed.code, Some(0));
    fs::write(&settings, &printed.out).unwrap();
    assert_eq!(run(["config", &settings]).out, printed.out);
    assert_eq!(run(["compact", &capture, "--config", &settings]).out, run(["compact", &capture]).out);
    // A file that says little is printed whole.
    fs::write(&settings, "window_seconds = 60\n").unwrap();
    let ran = run(["config", &settings]);
    assert!(ran.out.starts_with("window_seconds = 60 "), "{}", ran.out);
    assert_eq!(ran.out.lines().count(), printed.out.lines().count());
    assert_ne!(run(["compact", &capture, "--config", &settings]).out, run(["compact", &capture]).out);
}

#[test]
fn settings_that_cannot_be_are_refused_with_their_place_and_why() {
    let folder = tempfile::tempdir().unwrap();
    let settings = folder.path().join("settings.toml");
    let cases = [
        ("window_seconds = 60\nwindow = 1", "settings.toml: line 2: unknown field `window`"),
        ("window_seconds = 0", "settings.toml: window_seconds = 0 is out of bounds: 1 to 1000000000"),
        ("bytes = \"some\"", "settings.toml: line 1: unknown variant `some`"),
        ("[service_port_map]\n70000 = \"x\"", "settings.toml: line 2: `70000` is not a port"),
    ];
    for (text, told) in cases {
        fs::write(&settings, text).unwrap();
        for arguments in [&["config"][..], &["compact", "x.pcap", "--config"]] {
            let ran = run(arguments.iter().map(|argument| argument.as_ref()).chain([settings.as_os_str()]));
            assert_eq!(ran.code, Some(2), "{}", ran.said);
            assert!(ran.said.contains(told), "{}", ran.said);
        }
    }
}
