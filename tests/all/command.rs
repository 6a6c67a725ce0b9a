//! Running the command line as a script does: arguments in; exit code, records and complaints out.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// What a run of the command line came to.
#[derive(Debug)]
pub(crate) struct Ran {
    /// The exit code; nothing if a signal ended it.
    pub(crate) code: Option<i32>,
    /// Standard output.
    pub(crate) out: String,
    /// Standard error.
    pub(crate) said: String,
}

impl Ran {
    pub(crate) fn of(output: Output) -> Ran {
        let text = |bytes| String::from_utf8(bytes).expect("what is written is UTF-8");
        Ran { code: output.status.code(), out: text(output.stdout), said: text(output.stderr) }
    }

    /// Every line of standard output as JSON.
    pub(crate) fn lines(&self) -> Vec<Value> {
        self.out.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
    }

    /// All lines but the last, as they are.
    pub(crate) fn records(&self) -> Vec<&str> {
        let mut lines: Vec<&str> = self.out.lines().collect();
        lines.pop();
        lines
    }

    /// The last line, which must be the only one with metrics.
    pub(crate) fn metrics(&self) -> Value {
        let mut lines = self.lines();
        let last = lines.pop().unwrap_or_else(|| panic!("there is a last line: {self:?}"));
        assert_eq!(last["type"], "metrics");
        assert!(lines.iter().all(|line| line["type"] != "metrics"), "metrics come once");
        last
    }
}

/// The command line, with nothing on its standard input.
pub(crate) fn command<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pcap-compactor"));
    command.args(arguments).stdin(Stdio::null());
    command
}

/// A pipe with a name.
#[cfg(unix)]
pub(crate) fn fifo(folder: &Path) -> PathBuf {
    let path = folder.join("fifo");
    assert!(Command::new("mkfifo").arg(&path).status().expect("every Unix has mkfifo").success());
    path
}

/// Runs the command line to its end.
pub(crate) fn run<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Ran {
    Ran::of(command(arguments).output().expect("the command starts"))
}
