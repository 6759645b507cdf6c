//! Finds out which program holds a port, for an error message that helps.

use std::fs;
use std::path::Path;

/// State of a listening socket in /proc/net/tcp.
const LISTEN: &str = "0A";

/// Returns the name and id of a process that listens on `port`, if it can be seen from here.
pub(super) fn of(port: u16, transport: &str) -> Option<String> {
    let inode = [transport.to_owned(), format!("{transport}6")].iter().find_map(|table| inode(table, port))?;
    let wanted = format!("socket:[{inode}]");
    let mut processes = fs::read_dir("/proc").ok()?.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let holder = processes.find(|pid| has_open(Path::new(&format!("/proc/{pid}/fd")), &wanted))?;
    let name = fs::read_to_string(format!("/proc/{holder}/comm")).ok()?;
    Some(format!("{} (process {holder})", name.trim()))
}

fn inode(table: &str, port: u16) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/net/{table}")).ok()?;
    text.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (_, bound) = fields.get(1)?.rsplit_once(':')?;
        let listens = table.starts_with("udp") || *fields.get(3)? == LISTEN;
        let found = listens && u16::from_str_radix(bound, 16) == Ok(port);
        found.then(|| fields.get(9).map(|&inode| inode.to_owned()))?
    })
}

fn has_open(files: &Path, wanted: &str) -> bool {
    let Ok(files) = fs::read_dir(files) else { return false };
    files.flatten().any(|file| fs::read_link(file.path()).is_ok_and(|target| target.as_os_str() == wanted))
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, UdpSocket};

    use super::*;

    #[test]
    fn the_holder_of_a_port_is_named() {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let me = format!("(process {})", std::process::id());
        for (port, transport) in [(tcp.local_addr().unwrap().port(), "tcp"), (udp.local_addr().unwrap().port(), "udp")] {
            let holder = of(port, transport).unwrap();
            assert!(holder.ends_with(&me), "{holder}");
        }
        assert_eq!(of(0, "tcp"), None);
    }
}
