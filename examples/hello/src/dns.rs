//! Looks a name up: one question for its IPv4 addresses to the name servers of `/etc/resolv.conf` (RFC 1035).
//!
//! A static program cannot rely on the C library for this: its resolver loads plug-ins, which a lone file has not got.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

const TYPE_A: u16 = 1;
const CLASS_IN: u16 = 1;
/// Longest answer over UDP without extensions.
const MESSAGE_MAX: usize = 512;
/// How often each name server is asked: a datagram may get lost.
const TRIES: u32 = 2;

/// Returns the addresses of `name`, at least one. An address is its own name.
pub(crate) fn lookup(name: &str, patience: Duration) -> Result<Vec<IpAddr>, String> {
    if let Ok(address) = name.parse() {
        return Ok(vec![address]);
    }
    let config = std::fs::read_to_string("/etc/resolv.conf").map_err(|error| format!("/etc/resolv.conf: {error}"))?;
    let servers = name_servers(&config);
    ask_all(&servers, name, patience)
}

fn name_servers(config: &str) -> Vec<SocketAddr> {
    let lines = config.lines().map(str::split_whitespace);
    let servers = lines.filter_map(|mut words| (words.next() == Some("nameserver")).then(|| words.next()).flatten());
    servers.filter_map(|address| address.parse().ok()).map(|address: IpAddr| (address, 53).into()).collect()
}

fn ask_all(servers: &[SocketAddr], name: &str, patience: Duration) -> Result<Vec<IpAddr>, String> {
    let turns = servers.len() as u32 * TRIES;
    let mut failure = "/etc/resolv.conf names no name server".to_owned();
    for server in servers.iter().cycle().take(turns as usize) {
        match ask(*server, name, patience / turns) {
            Ok(addresses) if addresses.is_empty() => return Err(format!("{name} has no address")),
            Ok(addresses) => return Ok(addresses),
            Err(error) => failure = format!("looking {name} up at {server}: {error}"),
        }
    }
    Err(failure)
}

fn ask(server: SocketAddr, name: &str, patience: Duration) -> io::Result<Vec<IpAddr>> {
    let any: IpAddr = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0))?;
    // A connected socket takes datagrams from this server only.
    socket.connect(server)?;
    // The answer repeats the id; one that others cannot guess keeps forged answers out.
    let id = RandomState::new().hash_one(name) as u16;
    let question = question(id, name).ok_or_else(|| io::Error::other("this is no name"))?;
    socket.send(&question)?;
    let deadline = Instant::now() + patience;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "no answer"));
        }
        socket.set_read_timeout(Some(left))?;
        let mut message = [0; MESSAGE_MAX];
        let length = match socket.recv(&mut message) {
            Ok(length) => length,
            // How the timeout of a socket shows.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            Err(error) => return Err(error),
        };
        // An answer to something else, such as an earlier try, is not waited for any longer but not taken either.
        if message[..length].starts_with(&id.to_be_bytes()) {
            return answers(&message[..length], &question).map_err(io::Error::other);
        }
    }
}

/// Writes the question for the IPv4 addresses of `name`; `None` when it cannot be one.
fn question(id: u16, name: &str) -> Option<Vec<u8>> {
    let mut message = Vec::with_capacity(MESSAGE_MAX);
    // A standard query that wants recursion, with one question and nothing else.
    for word in [id, 0x0100, 1, 0, 0, 0] {
        message.extend(word.to_be_bytes());
    }
    for label in name.trim_end_matches('.').split('.') {
        let length = u8::try_from(label.len()).ok().filter(|length| (1..=63).contains(length))?;
        message.push(length);
        message.extend(label.as_bytes());
    }
    message.push(0);
    message.extend(TYPE_A.to_be_bytes());
    message.extend(CLASS_IN.to_be_bytes());
    (name.len() <= 253).then_some(message)
}

/// Reads the addresses out of the answer to `question`; none when the name does not exist.
fn answers(message: &[u8], question: &[u8]) -> Result<Vec<IpAddr>, &'static str> {
    const CUT: &str = "the answer is cut short";
    let word = |at: usize| Some(u16::from_be_bytes([*message.get(at)?, *message.get(at + 1)?]));
    let flags = word(2).ok_or(CUT)?;
    if flags & 0x8000 == 0 || !message.get(12..).is_some_and(|rest| starts_with_ignoring_case(rest, &question[12..])) {
        return Err("this answers another question");
    }
    match flags & 0x000f {
        0 => {}
        3 => return Ok(Vec::new()),
        _ => return Err("the name server failed"),
    }
    let mut addresses = Vec::new();
    let mut at = question.len();
    for _ in 0..word(6).ok_or(CUT)? {
        at = skip_name(message, at).ok_or(CUT)?;
        let (kind, class, length) = (word(at).ok_or(CUT)?, word(at + 2).ok_or(CUT)?, word(at + 8).ok_or(CUT)?);
        let data = message.get(at + 10..at + 10 + usize::from(length)).ok_or(CUT)?;
        if let (TYPE_A, CLASS_IN, &[a, b, c, d]) = (kind, class, data) {
            addresses.push(Ipv4Addr::new(a, b, c, d).into());
        }
        at += 10 + data.len();
    }
    Ok(addresses)
}

fn starts_with_ignoring_case(bytes: &[u8], start: &[u8]) -> bool {
    bytes.get(..start.len()).is_some_and(|bytes| bytes.eq_ignore_ascii_case(start))
}

/// Returns the place after a name, which is labels up to an empty one or to a pointer at the rest.
fn skip_name(message: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *message.get(at)? {
            0 => return Some(at + 1),
            length if length & 0xc0 == 0xc0 => return Some(at + 2),
            length => at += 1 + usize::from(length),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An answer with the question repeated, and `records` of (type, data) for its name.
    fn answer(question: &[u8], flags: u16, records: &[(u16, &[u8])]) -> Vec<u8> {
        let mut message = question.to_vec();
        message[2..4].copy_from_slice(&flags.to_be_bytes());
        message[6..8].copy_from_slice(&(records.len() as u16).to_be_bytes());
        for (kind, data) in records {
            message.extend([0xc0, 12]);
            message.extend(kind.to_be_bytes());
            message.extend([0, 1, 0, 0, 0, 5, 0, data.len() as u8]);
            message.extend(*data);
        }
        message
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn name_servers_are_read_from_the_configuration() {
        let config = "# a comment\nsearch local\nnameserver 169.254.1.1\n nameserver\t::1 # mine\nnameserver\nnameserver x\n";
        assert_eq!(name_servers(config), ["169.254.1.1:53".parse().unwrap(), "[::1]:53".parse().unwrap()]);
    }

    #[test]
    fn a_question_is_written_as_the_standard_says() {
        let expected = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07greeter\x06global\x00\x00\x01\x00\x01";
        assert_eq!(question(0x1234, "greeter.global").unwrap(), expected);
        assert_eq!(question(0x1234, "greeter.global.").unwrap(), expected);
        for bad in ["", ".", "a..b", &"x".repeat(64), &"x.".repeat(200)] {
            assert_eq!(question(1, bad), None, "{bad:?}");
        }
    }

    #[test]
    fn addresses_are_read_and_other_records_passed_over() {
        let question = question(1, "a.global").unwrap();
        let message = answer(&question, 0x8180, &[(5, b"\x01b\xc0\x0c"), (1, &[10, 0, 0, 1]), (1, &[10, 0, 0, 2])]);
        assert_eq!(answers(&message, &question), Ok(vec![ip("10.0.0.1"), ip("10.0.0.2")]));
        assert_eq!(answers(&answer(&question, 0x8183, &[]), &question), Ok(vec![]));
        assert!(answers(&answer(&question, 0x8182, &[]), &question).is_err());
    }

    #[test]
    fn a_broken_answer_is_an_error_wherever_it_breaks() {
        let question = question(1, "a.global").unwrap();
        let message = answer(&question, 0x8180, &[(1, &[10, 0, 0, 1])]);
        for length in 0..message.len() {
            assert!(answers(&message[..length], &question).is_err(), "{length}");
        }
        assert!(answers(&message, &super::question(1, "b.global").unwrap()).is_err());
        assert!(answers(&question, &question).is_err(), "a question is no answer");
    }

    #[test]
    fn a_lost_datagram_is_asked_for_again_and_a_stray_one_passed_over() {
        let server = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
        let address = server.local_addr().unwrap();
        let answering = std::thread::spawn(move || {
            let mut buffer = [0; MESSAGE_MAX];
            server.recv_from(&mut buffer).unwrap();
            let (length, client) = server.recv_from(&mut buffer).unwrap();
            let mut stray = answer(&buffer[..length], 0x8180, &[(1, &[6, 6, 6, 6])]);
            stray[0] ^= 1;
            server.send_to(&stray, client).unwrap();
            server.send_to(&answer(&buffer[..length], 0x8180, &[(1, &[10, 0, 0, 9])]), client).unwrap();
        });
        assert_eq!(ask_all(&[address], "a.global", Duration::from_secs(2)), Ok(vec![ip("10.0.0.9")]));
        answering.join().unwrap();
    }

    #[test]
    fn addresses_need_no_name_server() {
        assert_eq!(lookup("10.1.2.3", Duration::ZERO), Ok(vec![ip("10.1.2.3")]));
    }
}
