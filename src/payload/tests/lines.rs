//! SSH, FTP, SMTP, IMAP and POP3.

use super::*;

#[test]
fn ssh_identifies_both_ends_whoever_speaks_first() {
    let fields = Play::tcp([50_000, 2222])
        .say(End::B, b"please wait\r\nSSH-2.0-Server_1\r\n\x00\x00")
        .say(End::A, b"SSH-2.0-Client_1 comment\n")
        .end();
    // What a server says in front of its identification is not known to be SSH; the client's word is.
    assert_eq!(fields.unwrap().ssh.unwrap().client.as_deref(), Some("SSH-2.0-Client_1 comment"));

    let fields = dialogue([50_000, 22], b"SSH-1.99-a\n", b"SSH-2.0-b\r\n").unwrap();
    let ssh = fields.ssh.unwrap();
    assert_eq!((ssh.client.as_deref(), ssh.server.as_deref()), (Some("SSH-1.99-a"), Some("SSH-2.0-b")));
}

#[test]
fn ftp_commands_are_kept_without_what_they_hold() {
    let fields = Play::tcp([50_000, 2121])
        .say(End::B, b"220-Welcome\r\n220 FTP server ready\r\n")
        .say(End::A, b"USER anonymous\r\npass secret\r\nSECRET\r\n")
        .end()
        .unwrap();
    let ftp = fields.ftp.unwrap();
    assert_eq!(ftp.commands, ["USER", "PASS"]);
    assert_eq!((ftp.count, ftp.code), (2, None));
}

#[test]
fn the_code_of_ftp_is_that_of_the_last_reply_to_a_command() {
    let codes = |replies: &[u8]| {
        let play = Play::tcp([50_000, 21]).say(End::B, b"220 FTP\r\n").say(End::A, b"USER a\r\nPASS b\r\n");
        play.say(End::B, replies).end().unwrap().ftp.unwrap().code
    };
    assert_eq!(codes(b"331 password, please\r\n"), Some(331));
    assert_eq!(codes(b"331 more\r\n530-no\r\n 2 not a code\r\n530 really\r\n"), Some(530));
    assert_eq!(codes(b"2300 not a code\r\nword\r\n"), None);
    let smtp =
        Play::tcp([50_000, 25]).say(End::B, b"220 ESMTP\r\n").say(End::A, b"NOOP\r\n").say(End::B, b"250 ok\r\n");
    assert_eq!(smtp.end().unwrap().smtp.unwrap().code, None);
}

#[test]
fn a_mail_is_no_command() {
    let fields = Play::tcp([50_000, 25])
        .say(End::B, b"220 mail.example.org ESMTP\r\n")
        .say(End::A, b"EHLO me\r\nMAIL FROM:<a>\r\nRCPT TO:<b>\r\nDATA\r\n")
        .say(End::B, b"250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n")
        .say(End::A, b"QUIT is a word\r\n.\r\nBDAT 6 LAST\r\nQUIT\r\nRSET\r\n")
        .end()
        .unwrap();
    let smtp = fields.smtp.unwrap();
    assert_eq!(smtp.commands, ["EHLO", "MAIL", "RCPT", "DATA", "BDAT", "RSET"]);
    assert_eq!(smtp.greeting.as_deref(), Some("220 mail.example.org ESMTP"));
}

#[test]
fn a_mail_that_is_refused_is_followed_by_commands() {
    let fields = Play::tcp([50_000, 25])
        .say(End::B, b"220 ESMTP\r\n")
        .say(End::A, b"DATA\r\n")
        .say(End::B, b"521 no\r\n")
        .say(End::A, b"QUIT\r\n")
        .end()
        .unwrap();
    assert_eq!(fields.smtp.unwrap().commands, ["DATA", "QUIT"]);
}

#[test]
fn imap_commands_stand_behind_tags_and_literals_are_data() {
    let fields = Play::tcp([50_000, 1143])
        .say(End::B, b"* OK IMAP4rev1 ready\r\n")
        .say(End::A, b"a1 LOGIN me {8}\r\na2 NOOP\na3 uid fetch 1 all\r\n")
        .end()
        .unwrap();
    assert_eq!(fields.imap.unwrap().commands, ["LOGIN", "UID"]);
}

#[test]
fn pop_is_told_by_its_greeting() {
    let fields = dialogue([50_000, 1110], b"", b"+OK ready\r\n").unwrap();
    assert_eq!(fields.pop.unwrap().greeting.as_deref(), Some("+OK ready"));
    let fields = Play::tcp([50_000, 110]).say(End::B, b"+OK\r\n").say(End::A, b"CAPA\r\nQUIT\r\n").end().unwrap();
    assert_eq!(fields.pop.unwrap().commands, ["CAPA", "QUIT"]);
}
