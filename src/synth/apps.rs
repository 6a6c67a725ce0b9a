//! Scripts of what applications say.

use super::dice::Dice;
use super::talk::{MICRO, MILLI, Payload, SECOND, Script};
use super::truth::Said;
use super::web;

/// Most noise in one segment: a full Ethernet frame over IPv6 with room for heads.
const SEGMENT: u64 = 1400;

/// Writes scripts, and counts what they hold.
pub(super) struct Author<'a> {
    pub(super) dice: &'a mut Dice,
    pub(super) said: &'a mut Said,
}

impl Author<'_> {
    fn round_trip(&mut self) -> u64 {
        self.dice.between(2 * MILLI, 60 * MILLI)
    }

    fn noise(&mut self, head: Vec<u8>, length: u64) -> Payload {
        Payload { head: head.into_boxed_slice(), noise: length.min(SEGMENT) as u16, at: self.dice.bits() as u16 }
    }

    /// Content from the server: full segments and a rest, every second one acknowledged.
    fn download(&mut self, script: &mut Script, head: Vec<u8>, length: u64, round_trip: u64) {
        let mut rest = length;
        let mut head = Some(head);
        let mut number = 0;
        while rest > 0 || head.is_some() {
            let part = rest.min(SEGMENT - 100);
            rest -= part;
            let gap = if number == 0 { round_trip } else { self.dice.between(10 * MICRO, 900 * MICRO) };
            let payload = self.noise(head.take().unwrap_or_default(), part);
            script.data(gap, false, payload);
            number += 1;
            if number % 2 == 0 || rest == 0 {
                script.ack(50 * MICRO, true);
            }
        }
    }

    /// How much a server sends at once: mostly a page's worth, now and then a file.
    fn size(&mut self) -> u64 {
        match self.dice.below(900) {
            0 => self.dice.between(1_000_000, 2_200_000),
            1..20 => self.dice.between(20_000, 120_000),
            20..140 => self.dice.between(4_000, 20_000),
            _ => self.dice.between(150, 2_500),
        }
    }

    /// A connection with requests on it, one after the other.
    pub(super) fn http(&mut self, host: &str) -> Script {
        let mut script = Script::default();
        let round_trip = self.round_trip();
        script.open(round_trip);
        for _ in 0..self.dice.between(1, 5) {
            let attack = self.dice.one_in(120);
            let target = if attack { web::attack(self.dice) } else { web::target(self.dice) };
            self.said.http_requests += 1;
            self.said.http_attacks += u64::from(attack);
            let think = self.dice.between(MILLI, 4 * SECOND);
            script.data(think, true, Payload::bytes(web::request(host, &target)));
            let length = self.size();
            self.download(&mut script, web::response(length), length, round_trip);
        }
        script.close(round_trip);
        script
    }

    /// A connection whose content nobody can read.
    pub(super) fn tls(&mut self, host: &str) -> Script {
        self.said.tls_sessions += 1;
        let mut script = Script::default();
        let round_trip = self.round_trip();
        script.open(round_trip);
        script.data(MILLI, true, Payload::bytes(web::client_hello(host, self.dice)));
        let hello = web::server_hello(self.dice);
        let certificate = self.dice.between(900, 2600);
        self.download(&mut script, hello, certificate, round_trip);
        for _ in 0..self.dice.between(1, 6) {
            let length = self.dice.between(60, 700);
            let think = self.dice.between(MILLI, 5 * SECOND);
            let request = self.noise(web::application_data(length as u16), length);
            script.data(think, true, request);
            let length = self.size();
            self.download(&mut script, web::application_data(length.min(16_000) as u16), length, round_trip);
        }
        script.close(round_trip);
        script
    }

    /// A query and its answer (RFC 1035).
    pub(super) fn dns(&mut self, host: &str) -> Script {
        let mut script = Script::default();
        let id = self.dice.bits() as u16;
        script.step(0, true, 0, Payload::bytes(self.query(id, host)));
        let wait = self.dice.between(300 * MICRO, 30 * MILLI);
        let mut answer = question(id, 0x8180, 1, host);
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 1, 44, 0, 4, 192, 0, 2, 10]);
        script.step(wait, false, 0, Payload::bytes(answer));
        script
    }

    /// A query alone.
    pub(super) fn query(&mut self, id: u16, host: &str) -> Vec<u8> {
        self.said.dns_queries += 1;
        question(id, 0x0100, 0, host)
    }

    /// A request for the time and the answer (RFC 5905).
    pub(super) fn ntp(&mut self) -> Script {
        self.said.ntp_requests += 1;
        let mut script = Script::default();
        for (gap, up, first) in [(0, true, 0x23), (self.dice.between(100 * MICRO, 3 * MILLI), false, 0x24)] {
            let payload = self.noise(vec![first, 2, 6, 0xec, 0, 0, 0, 0], 40);
            script.step(gap, up, 0, payload);
        }
        script
    }

    /// Echoes and their replies.
    pub(super) fn ping(&mut self, times: u64) -> Script {
        self.said.pings += 1;
        let mut script = Script::default();
        for number in 0..times {
            script.step(if number == 0 { 0 } else { SECOND }, true, 0, Payload::default());
            let wait = self.dice.between(100 * MICRO, 2 * MILLI);
            script.step(wait, false, 0, Payload::default());
        }
        script
    }

    /// A login, a listing, perhaps a file; the data connection is left out.
    pub(super) fn ftp(&mut self, user: &str) -> Script {
        self.said.ftp_logins += 1;
        let mut script = Script::default();
        let round_trip = self.round_trip();
        script.open(round_trip);
        script.data(2 * round_trip, false, Payload::bytes(*b"220 files.example.com ready\r\n"));
        let name = format!("USER {user}\r\n");
        let lines: [(&str, &str); 7] = [
            (&name, "331 Password required\r\n"),
            ("PASS correct-horse\r\n", "230 Logged in\r\n"),
            ("SYST\r\n", "215 UNIX Type: L8\r\n"),
            ("PASV\r\n", "227 Entering Passive Mode (10,20,0,21,195,80)\r\n"),
            ("LIST\r\n", "150 Here it comes\r\n226 Done\r\n"),
            ("RETR report.pdf\r\n", "550 No such file\r\n"),
            ("QUIT\r\n", "221 Goodbye\r\n"),
        ];
        for (command, answer) in lines {
            let think = self.dice.between(5 * MILLI, 3 * SECOND);
            script.data(think, true, Payload::bytes(command));
            script.data(round_trip, false, Payload::bytes(answer));
        }
        script.close(round_trip);
        script
    }

    /// Negotiation, session, tree, a file opened, read and closed (MS-SMB2).
    pub(super) fn smb(&mut self) -> Script {
        const BEFORE: [u16; 5] = [0, 1, 1, 3, 5];
        const READ: u16 = 8;
        const BEHIND: [u16; 3] = [6, 4, 2];
        self.said.smb_sessions += 1;
        let mut script = Script::default();
        let round_trip = self.dice.between(200 * MICRO, 2 * MILLI);
        script.open(round_trip);
        let reads = self.dice.between(1, 12) as usize;
        let commands = BEFORE.into_iter().chain(std::iter::repeat_n(READ, reads)).chain(BEHIND);
        for (number, command) in commands.enumerate() {
            self.said.smb_requests += 1;
            let think = self.dice.between(100 * MICRO, 200 * MILLI);
            let request = self.smb2(command, number as u64, false, 48);
            script.data(think, true, request);
            let length = if command == READ { self.dice.between(200, 1200) } else { self.dice.between(20, 160) };
            let answer = self.smb2(command, number as u64, true, length);
            script.data(round_trip, false, answer);
        }
        script.close(round_trip);
        script
    }

    /// One message behind its session header.
    fn smb2(&mut self, command: u16, number: u64, reply: bool, length: u64) -> Payload {
        let mut head = vec![0, 0];
        head.extend((64 + length as u16).to_be_bytes());
        head.extend(*b"\xfeSMB\x40\0\0\0\0\0\0\0");
        head.extend(command.to_le_bytes());
        head.extend([1, 0, u8::from(reply), 0, 0, 0, 0, 0, 0, 0]);
        head.extend(number.to_le_bytes());
        head.resize(4 + 64, 0);
        self.noise(head, length)
    }

    /// Somebody types into a shell; after the versions, nobody can read along (RFC 4253).
    pub(super) fn ssh(&mut self) -> Script {
        self.said.ssh_sessions += 1;
        let mut script = Script::default();
        let round_trip = self.round_trip();
        script.open(round_trip);
        for (up, version) in [(false, "SSH-2.0-OpenSSH_9.3\r\n"), (true, "SSH-2.0-OpenSSH_9.4\r\n")] {
            script.data(round_trip, up, Payload::bytes(version));
        }
        for up in [true, false, true, false] {
            let length = self.dice.between(100, 1100);
            let keys = self.noise(Vec::new(), length);
            script.data(round_trip, up, keys);
        }
        for _ in 0..self.dice.between(10, 120) {
            let think = self.dice.between(80 * MILLI, 900 * MILLI);
            let key = self.noise(Vec::new(), 36);
            script.data(think, true, key);
            let length = 36 + 8 * self.dice.below(20);
            let echo = self.noise(Vec::new(), length);
            script.data(round_trip, false, echo);
            script.ack(60 * MICRO, true);
        }
        script.close(round_trip);
        script
    }

    /// Two people talk: 50 packets a second each way (RFC 3550, payload type 0).
    pub(super) fn call(&mut self) -> Script {
        self.said.calls += 1;
        let mut script = Script::default();
        let (one, other) = (self.dice.bits() as u32, self.dice.bits() as u32);
        for number in 0..self.dice.between(200, 1300) as u16 {
            for (gap, up, source) in [(13 * MILLI, true, one), (7 * MILLI, false, other)] {
                let mut head = vec![0x80, 0];
                head.extend(number.to_be_bytes());
                head.extend((u32::from(number) * 160).to_be_bytes());
                head.extend(source.to_be_bytes());
                let payload = self.noise(head, 160);
                script.step(if number == 0 && up { 0 } else { gap }, up, 0, payload);
            }
        }
        script
    }

    /// A connection of empty segments.
    pub(super) fn bare(&mut self) -> Script {
        let mut script = Script::default();
        let round_trip = self.round_trip();
        script.open(round_trip);
        for _ in 0..self.dice.between(0, 12) {
            let (gap, up) = (self.dice.between(MICRO, 500 * MILLI), self.dice.one_in(2));
            script.ack(gap, up);
        }
        script.close(round_trip);
        script
    }
}

/// A DNS message with one question for an address.
pub(super) fn question(id: u16, flags: u16, answers: u16, host: &str) -> Vec<u8> {
    let mut message: Vec<u8> = [id, flags, 1, answers, 0, 0].into_iter().flat_map(u16::to_be_bytes).collect();
    for label in host.split('.') {
        message.push(label.len() as u8);
        message.extend_from_slice(label.as_bytes());
    }
    message.extend([0, 0, 1, 0, 1]);
    message
}
