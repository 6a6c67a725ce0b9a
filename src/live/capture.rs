//! What is captured: the settings, their bounds, and what they are as arguments of tcpdump.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::failure::Failure;
use super::pump::hear_out;

/// The longest name of an interface, in bytes: what Linux takes as an alternative name.
pub const LONGEST_NAME: usize = 127;

/// The longest filter, in bytes.
pub const LONGEST_FILTER: usize = 65_536;

/// The largest snapshot length in bytes, which is tcpdump's.
pub const LONGEST_SNAPLEN: u32 = 262_144;

/// Folders of programs that are not always searched.
const SYSTEM: [&str; 2] = ["/usr/sbin", "/sbin"];

/// What is captured, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capture {
    /// The interface: letters, digits and `._-:@`, not beginning with `-` and not of digits alone, which tcpdump takes for a
    /// place in its list; at most [`LONGEST_NAME`] bytes. `any` is all of them.
    pub interface: String,
    /// Packets that are captured, in the language of pcap-filter(7); empty: all. At most [`LONGEST_FILTER`] bytes, no NUL.
    pub filter: String,
    /// Bytes of each frame that are kept; 1 to [`LONGEST_SNAPLEN`]. Default 128, which holds headers.
    pub snaplen: u32,
    /// End after so many packets; 1 to 2^31 - 1. Default: none.
    pub packets: Option<u32>,
    /// The user whom tcpdump becomes if it is started as root: letters, digits and `._-`, not beginning with `-`, at most 32 bytes.
    /// Default: none, which leaves it to tcpdump (as packaged, often a user `tcpdump`).
    pub user: Option<String>,
    /// Hand every packet over as it comes, in place of some at a time, a second behind the first of them at most. It costs more
    /// for each packet. Default false.
    pub unbuffered: bool,
    /// The program; a bare name is looked for as the system does, and in `/usr/sbin`. Default `tcpdump`.
    pub program: PathBuf,
}

impl Capture {
    /// All packets of an interface, with what else is default.
    pub fn on(interface: impl Into<String>) -> Capture {
        Capture {
            interface: interface.into(),
            filter: String::new(),
            snaplen: 128,
            packets: None,
            user: None,
            unbuffered: false,
            program: "tcpdump".into(),
        }
    }

    /// Checks all values; runs nothing.
    ///
    /// # Errors
    /// [`Failure::Setting`]: one is out of its bounds.
    pub fn check(&self) -> Result<(), Failure> {
        let refused = |message: String| Err(Failure::Setting(message));
        let Capture { interface, filter, snaplen, .. } = self;
        if !is_name(interface, ".-_:@", LONGEST_NAME) {
            return refused(format!(
                "`{interface}` is no name of an interface: 1 to {LONGEST_NAME} letters, digits and `._-:@`, no `-` first"
            ));
        }
        if interface.bytes().all(|byte| byte.is_ascii_digit()) {
            return refused(format!(
                "`{interface}` is no name of an interface: tcpdump takes a number for a place in its list"
            ));
        }
        if filter.contains('\0') || filter.len() > LONGEST_FILTER {
            return refused(format!("a filter has no NUL, and at most {LONGEST_FILTER} bytes"));
        }
        if !(1..=LONGEST_SNAPLEN).contains(snaplen) {
            return refused(format!("a snapshot length of {snaplen} is not taken, only 1 to {LONGEST_SNAPLEN}"));
        }
        if let Some(packets) = self.packets.filter(|&packets| packets == 0 || i32::try_from(packets).is_err()) {
            return refused(format!("a number of {packets} packets is not taken, only 1 to {}", i32::MAX));
        }
        match &self.user {
            Some(user) if !is_name(user, ".-_", 32) => refused(format!("`{user}` is no name of a user")),
            _ => Ok(()),
        }
    }

    /// Checks all values, and has tcpdump compile the filter for the interface's link type; captures nothing. It needs what
    /// capturing needs: the program, the interface and the permission.
    ///
    /// # Errors
    /// As [`Capture::check`]; there is no such program or interface, or no permission; [`Failure::Filter`] with tcpdump's words.
    pub fn compile(&self) -> Result<(), Failure> {
        self.check()?;
        let mut child = self.spawn(|command| {
            command.arg("-d").args(self.what()).stdout(Stdio::null());
        })?;
        let (status, said) = hear_out(&mut child)?;
        if status.success() {
            return Ok(());
        }
        let filter = self.filter.clone();
        Err(match Failure::not_begun(&self.interface, said) {
            Failure::NotBegun { said } if !filter.is_empty() => Failure::Filter { filter, said },
            other => other,
        })
    }

    /// Starts tcpdump; its capture comes on standard output.
    pub(super) fn run(&self) -> Result<Child, Failure> {
        self.spawn(|command| {
            // Without -U packets stay with it until they fill 4 KiB, however long that takes, and are lost if it is killed. SIGUSR2,
            // which asks it for them, spoils or hangs it if it comes while it writes, and ends one older than 4.99.
            command.args(["-w", "-", "-U"]).stdout(Stdio::piped());
            if self.unbuffered {
                command.arg("--immediate-mode");
            }
            if let Some(packets) = self.packets {
                command.args(["-c", &packets.to_string()]);
            }
            if let Some(user) = &self.user {
                command.args(["-Z", user]);
            }
            command.args(self.what());
        })
    }

    /// The interface, the snapshot length, and behind them the filter as one argument that cannot be an option.
    fn what(&self) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = vec!["-i".into(), (&self.interface).into()];
        arguments.extend(["-s".into(), self.snaplen.to_string().into()]);
        if !self.filter.is_empty() {
            arguments.extend(["--".into(), (&self.filter).into()]);
        }
        arguments
    }

    fn spawn(&self, with: impl Fn(&mut Command)) -> Result<Child, Failure> {
        let program = &self.program;
        let start = |program: &Path| {
            let mut command = Command::new(program);
            command.stdin(Stdio::null()).stderr(Stdio::piped());
            in_a_group_of_its_own(&mut command);
            with(&mut command);
            command.spawn()
        };
        let mut started = start(program);
        // A bare name: whoever is not root often does not search the folders of the system.
        if program.components().count() == 1 && program.is_relative() {
            for folder in SYSTEM {
                if matches!(&started, Err(error) if error.kind() == ErrorKind::NotFound) {
                    started = start(&Path::new(folder).join(program));
                }
            }
        }
        started.map_err(|source| match source.kind() {
            ErrorKind::NotFound => Failure::NotInstalled { program: program.clone() },
            _ => Failure::NotRun { program: program.clone(), source },
        })
    }
}

/// Keeps the terminal's Ctrl-C from it, which is for us: we stop it ourselves.
fn in_a_group_of_its_own(command: &mut Command) {
    use std::os::unix::process::CommandExt;
    command.process_group(0);
}

fn is_name(text: &str, also: &str, longest: usize) -> bool {
    (1..=longest).contains(&text.len())
        && !text.starts_with('-')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || also.contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(capture: &Capture) -> Vec<OsString> {
        capture.check().unwrap();
        capture.what()
    }

    #[test]
    fn interfaces_have_names_that_mean_nothing_else() {
        for name in
            ["lo", "enp1s0", "eth0.100", "br-lan", "any", "veth1@if2", "wlan0:1", "nflog:5", "1eth", &"x".repeat(127)]
        {
            Capture::on(name).check().unwrap_or_else(|failure| panic!("{name}: {failure}"));
        }
        for name in ["", "-w", "a b", "a;b", "a/b", "a\0", "a\n", "ä", "$(x)", "1", "007", &"x".repeat(128)] {
            assert!(matches!(Capture::on(name).check(), Err(Failure::Setting(_))), "{name}");
        }
    }

    #[test]
    fn a_filter_is_one_argument_and_never_an_option() {
        let filter = "-w /tmp/x; $(reboot) 'a' or\nb";
        let capture = Capture { filter: filter.into(), ..Capture::on("lo") };
        assert_eq!(arguments(&capture), ["-i", "lo", "-s", "128", "--", filter]);
        assert_eq!(arguments(&Capture { snaplen: 262_144, ..Capture::on("lo") }), ["-i", "lo", "-s", "262144"]);
        for filter in ["a\0b".to_owned(), "x".repeat(LONGEST_FILTER + 1)] {
            assert!(Capture { filter, ..Capture::on("lo") }.check().is_err());
        }
    }

    #[test]
    fn numbers_and_users_have_bounds() {
        let on = Capture::on("lo");
        for snaplen in [0, LONGEST_SNAPLEN + 1] {
            assert!(Capture { snaplen, ..on.clone() }.check().unwrap_err().to_string().contains("1 to 262144"));
        }
        for packets in [0, 1 << 31, u32::MAX] {
            assert!(Capture { packets: Some(packets), ..on.clone() }.check().is_err(), "{packets}");
        }
        for user in ["", "-Z", "a b", "a:b", &"x".repeat(33)] {
            assert!(Capture { user: Some(user.into()), ..on.clone() }.check().is_err(), "{user}");
        }
        Capture { snaplen: 1, packets: Some(i32::MAX as u32), user: Some("_tcpdump-1.x".into()), ..on }
            .check()
            .unwrap();
    }

    #[test]
    fn a_program_that_is_not_there_is_to_be_installed() {
        for program in ["/nonexistent/tcpdump", "no-such-program-of-ours"] {
            let failure = Capture { program: program.into(), ..Capture::on("lo") }.compile().unwrap_err();
            assert!(matches!(failure, Failure::NotInstalled { .. }), "{failure}");
            assert!(failure.to_string().contains("apt install tcpdump"));
        }
        let failure = Capture { program: "/".into(), ..Capture::on("lo") }.compile().unwrap_err();
        assert!(matches!(failure, Failure::NotRun { .. }), "{failure}");
    }
}
