//! A shell inside a container, reached from the node by the replica's address.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use crate::eventually;
use crate::server::{Namespace, Server};

/// Where it listens.
const PORT: u16 = 9;
/// Longest time for one script.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a service of the busybox image needs to be one.
pub const COMMAND: &str = "{entrypoint: [nc, -ll, -p, '9', -e, sh]}";

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
}

fn talk(address: SocketAddr, script: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    writeln!(stream, "exec 2>&1\n{script}")?;
    stream.shutdown(Shutdown::Write)?;
    let mut said = Vec::new();
    stream.read_to_end(&mut said)?;
    Ok(String::from_utf8_lossy(&said).into_owned())
}
