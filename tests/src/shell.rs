//! A shell inside a container, reached from the node by the replica's address.

use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use crate::eventually;
use crate::images::GREETING;
use crate::server::{Namespace, Server};

/// Where it listens.
const PORT: u16 = 9;
/// Longest time for one script.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a service of the busybox image needs to be one.
pub const COMMAND: &str = "{entrypoint: [httpd, -f, -p, '9', -h, /www]}";

/// A replica that runs [`COMMAND`].
pub struct Shell {
    namespace: Namespace,
    pub address: Ipv4Addr,
}

impl Shell {
    pub fn of(server: &Server, replica: &str) -> Shell {
        Shell { namespace: server.namespace.clone(), address: server.addresses(replica)[0] }
    }

    /// Runs a script in the container, and returns what it printed.
    pub fn run(&self, script: &str) -> String {
        let address = SocketAddr::from((self.address, PORT));
        eventually("a shell answers", || {
            let script = script.to_owned();
            match self.namespace.run(move || talk(address, &script)) {
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => None,
                result => Some(result.unwrap_or_else(|error| panic!("a shell that runs: {error}"))),
            }
        })
    }

    /// Runs a script, and returns whether its last command succeeded.
    pub fn succeeds(&self, script: &str) -> bool {
        let said = self.run(&format!("{script}\necho \"status $?\""));
        said.trim_end().ends_with("status 0")
    }

    /// Returns which of these, each `<host>:<port>`, answer from inside the container. All are tried at the same time.
    pub fn reaches<'a>(&self, targets: &[&'a str]) -> BTreeSet<&'a str> {
        let script = "echo \"$target is $(timeout 2 wget -q -O - http://$target/ 2>/dev/null)\"";
        let said = self.run(&format!("for target in {}; do ({script}) & done; wait", targets.join(" ")));
        let line = |target: &str, answer: &str| said.lines().any(|line| line == format!("{target} is {answer}"));
        let (answered, silent): (BTreeSet<&str>, BTreeSet<&str>) =
            targets.iter().copied().partition(|target| line(target, GREETING.trim_end()));
        assert!(silent.iter().all(|target| line(target, "")), "{said}");
        answered
    }
}

fn talk(address: SocketAddr, script: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "POST /cgi-bin/run HTTP/1.0\r\nContent-Length: {}\r\n\r\n{script}", script.len())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    let (_, said) = answer.split_once("\n\n").ok_or_else(|| io::Error::other(answer.to_string()))?;
    Ok(said.to_owned())
}
