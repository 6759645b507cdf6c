//! Lists the tables of the packet filter, over netlink and with no program.

use anyhow::{Result, bail};
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, send, socket_with};

const MESSAGE_HEADER: usize = 16;
/// Of a message of nfnetlink: family, version, resource id.
const FAMILY_HEADER: usize = 4;
const ATTRIBUTE_HEADER: usize = 4;
/// `NFTA_TABLE_NAME`.
const NAME_ATTRIBUTE: u16 = 1;
/// The kernel's answers to a listing come in pieces of at most this size.
const PIECE_MAX: usize = 32 << 10;

/// Returns the names of all tables in this network namespace; none where the kernel has no nftables.
pub fn tables() -> Result<Vec<String>> {
    let flags = SocketFlags::CLOEXEC;
    let socket = match socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, Some(netlink::NETFILTER)) {
        Err(Errno::PROTONOSUPPORT) => return Ok(Vec::new()),
        other => other?,
    };
    send(&socket, &list_request(), SendFlags::empty())?;
    let mut names = Vec::new();
    loop {
        let mut piece = vec![0; PIECE_MAX];
        let (length, _) = recv(&socket, piece.as_mut_slice(), RecvFlags::empty())?;
        if read_piece(&piece[..length], &mut names)? {
            return Ok(names);
        }
    }
}

fn list_request() -> Vec<u8> {
    let length = (MESSAGE_HEADER + FAMILY_HEADER) as u32;
    let kind = (libc::NFNL_SUBSYS_NFTABLES as u16) << 8 | libc::NFT_MSG_GETTABLE as u16;
    let flags = (libc::NLM_F_REQUEST | libc::NLM_F_DUMP) as u16;
    let mut message = Vec::new();
    message.extend(length.to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend(flags.to_ne_bytes());
    // Sequence, port, and a family header that means all families.
    message.resize(length as usize, 0);
    message
}

/// Adds the names in a piece of the listing; returns whether it was the last one.
fn read_piece(mut rest: &[u8], names: &mut Vec<String>) -> Result<bool> {
    let table = (libc::NFNL_SUBSYS_NFTABLES as u16) << 8 | libc::NFT_MSG_NEWTABLE as u16;
    while let Some((message, kind, after)) = split_message(rest) {
        match i32::from(kind) {
            libc::NLMSG_DONE => return Ok(true),
            libc::NLMSG_ERROR => match i32::from_ne_bytes(field(message, MESSAGE_HEADER)) {
                // nfnetlink without nftables behind it.
                error if -error == libc::EINVAL || -error == libc::EOPNOTSUPP => return Ok(true),
                error => bail!("listing the tables of the packet filter: {}", std::io::Error::from_raw_os_error(-error)),
            },
            _ if kind == table => names.extend(name(message)),
            _ => {}
        }
        rest = after;
    }
    Ok(false)
}

/// Returns the first message, its type, and what comes after it.
fn split_message(bytes: &[u8]) -> Option<(&[u8], u16, &[u8])> {
    let length = u32::from_ne_bytes(bytes.get(..4)?.try_into().ok()?) as usize;
    let message = bytes.get(..length).filter(|message| message.len() >= MESSAGE_HEADER)?;
    let kind = u16::from_ne_bytes(field(message, 4));
    Some((message, kind, bytes.get(length.next_multiple_of(4)..).unwrap_or_default()))
}

fn name(message: &[u8]) -> Option<String> {
    let mut rest = message.get(MESSAGE_HEADER + FAMILY_HEADER..)?;
    loop {
        let length = usize::from(u16::from_ne_bytes(rest.get(..2)?.try_into().ok()?));
        let kind = u16::from_ne_bytes(rest.get(2..4)?.try_into().ok()?);
        if kind == NAME_ATTRIBUTE {
            let text = rest.get(ATTRIBUTE_HEADER..length)?;
            return Some(String::from_utf8_lossy(text).trim_end_matches('\0').to_owned());
        }
        rest = rest.get(length.max(ATTRIBUTE_HEADER).next_multiple_of(4)..)?;
    }
}

/// Returns bytes of a message; zeros where it is too short.
fn field<const N: usize>(message: &[u8], at: usize) -> [u8; N] {
    message.get(at..at + N).and_then(|bytes| bytes.try_into().ok()).unwrap_or([0; N])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u16, body: &[u8]) -> Vec<u8> {
        let mut message = Vec::new();
        message.extend(((MESSAGE_HEADER + body.len()) as u32).to_ne_bytes());
        message.extend(kind.to_ne_bytes());
        message.resize(MESSAGE_HEADER, 0);
        message.extend(body);
        message.resize(message.len().next_multiple_of(4), 0);
        message
    }

    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(((ATTRIBUTE_HEADER + value.len()) as u16).to_ne_bytes());
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    #[test]
    fn names_are_read_from_a_listing_in_pieces() {
        let family = [2, 0, 0, 0];
        let flags = attribute(2, &[0; 4]);
        let table = |name: &[u8]| message(0x0a00, &[family.to_vec(), flags.clone(), attribute(NAME_ATTRIBUTE, name)].concat());
        let mut names = Vec::new();
        assert!(!read_piece(&[table(b"filter\0"), table(b"stead-ab12\0")].concat(), &mut names).unwrap());
        assert!(read_piece(&message(libc::NLMSG_DONE as u16, &[0; 4]), &mut names).unwrap());
        assert_eq!(names, ["filter", "stead-ab12"]);
    }

    #[test]
    fn an_error_of_the_kernel_is_one_unless_it_has_no_packet_filter() {
        let error = |number: i32| read_piece(&message(libc::NLMSG_ERROR as u16, &(-number).to_ne_bytes()), &mut Vec::new());
        assert!(error(libc::EPERM).is_err());
        assert!(error(libc::EOPNOTSUPP).unwrap());
    }

    #[test]
    fn this_machine_can_be_asked() {
        tables().unwrap();
    }
}
