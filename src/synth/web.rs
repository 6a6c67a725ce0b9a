//! Text of web traffic: targets, requests, and the handshake of TLS.

use super::dice::Dice;

const WORDS: [&str; 20] = [
    "harbour", "winter", "recipe", "camera", "garden", "invoice", "mountain", "ticket", "museum", "battery", "violin",
    "coffee", "lantern", "bicycle", "planet", "window", "bridge", "sweater", "orchard", "compass",
];

/// Attacks as scanners of web applications send them.
const ATTACKS: [&str; 6] = [
    "/products?id=1%27%20OR%20%271%27=%271",
    "/item?id=-1%20UNION%20SELECT%20user,password%20FROM%20users--",
    "/search?q=x%27;%20DROP%20TABLE%20orders--",
    "/login?user=admin%27--&pass=x",
    "/item?id=1%20AND%20SLEEP(5)",
    "/download?file=../../../../etc/passwd",
];

/// A request target that somebody could have clicked on.
pub(super) fn target(dice: &mut Dice) -> String {
    let n = dice.between(1, 9999);
    let (one, other) = (*dice.pick(&WORDS), *dice.pick(&WORDS));
    match dice.below(9) {
        0 => "/".into(),
        1 => format!("/static/app.{n}.js"),
        2 => format!("/images/{one}/{n}.png"),
        3 => format!("/search?q={one}+{other}&page={}", n % 5 + 1),
        4 => format!("/api/v1/items/{n}"),
        5 => format!("/news/2023/10/{one}-{other}.html"),
        6 => format!("/cart/add?item={n}&qty={}", n % 3 + 1),
        7 => format!("/{one}/{other}/"),
        _ => "/index.html".into(),
    }
}

/// A request target that nobody clicked on.
pub(super) fn attack(dice: &mut Dice) -> String {
    (*dice.pick(&ATTACKS)).to_owned()
}

/// A whole request.
pub(super) fn request(host: &str, target: &str) -> Vec<u8> {
    format!(
        "GET {target} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\nAccept: */*\r\n\r\n"
    )
    .into_bytes()
}

/// The head of a response.
pub(super) fn response(length: u64) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {length}\r\n\r\n").into_bytes()
}

/// A ClientHello (RFC 8446, section 4.1.2) with a server name and versions 1.2 and 1.3.
pub(super) fn client_hello(host: &str, dice: &mut Dice) -> Vec<u8> {
    let mut extensions = Vec::new();
    let name = [&[0][..], &(host.len() as u16).to_be_bytes(), host.as_bytes()].concat();
    extension(&mut extensions, 0x0000, &[&(name.len() as u16).to_be_bytes(), &name[..]].concat());
    extension(&mut extensions, 0x000a, &[0, 4, 0, 0x1d, 0, 0x17]);
    extension(&mut extensions, 0x000d, &[0, 4, 4, 3, 8, 4]);
    extension(&mut extensions, 0x002b, &[4, 3, 4, 3, 3]);
    let mut hello = vec![3, 3];
    (0..4).for_each(|_| hello.extend(dice.bits().to_be_bytes()));
    hello.push(0);
    hello.extend([0, 6, 0x13, 1, 0x13, 2, 0xc0, 0x2f, 1, 0]);
    hello.extend((extensions.len() as u16).to_be_bytes());
    hello.extend(extensions);
    handshake(1, &hello, 1)
}

/// A ServerHello that takes the first cipher suite.
pub(super) fn server_hello(dice: &mut Dice) -> Vec<u8> {
    let mut hello = vec![3, 3];
    (0..4).for_each(|_| hello.extend(dice.bits().to_be_bytes()));
    hello.extend([0, 0x13, 1, 0, 0, 6, 0, 0x2b, 0, 2, 3, 4]);
    handshake(2, &hello, 3)
}

/// The head of a record of application data.
pub(super) fn application_data(length: u16) -> Vec<u8> {
    let [high, low] = length.to_be_bytes();
    vec![0x17, 3, 3, high, low]
}

fn handshake(kind: u8, body: &[u8], minor: u8) -> Vec<u8> {
    let length = body.len() as u16;
    let mut record = vec![0x16, 3, minor];
    record.extend((length + 4).to_be_bytes());
    record.extend([kind, 0]);
    record.extend(length.to_be_bytes());
    record.extend_from_slice(body);
    record
}

fn extension(out: &mut Vec<u8>, kind: u16, body: &[u8]) {
    out.extend(kind.to_be_bytes());
    out.extend((body.len() as u16).to_be_bytes());
    out.extend_from_slice(body);
}
