//! Debian's registry, the reference implementation, with a directory and a port of its own.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

pub(crate) struct DebianRegistry {
    pub(crate) port: u16,
    process: Child,
    directory: TempDir,
}

/// How long the registry may take to listen.
const START: Duration = Duration::from_secs(30);

impl DebianRegistry {
    /// Starts a registry; `extra` is added to its configuration, where `DIR` stands for its directory.
    pub(crate) fn start(extra: &str, prepare: impl FnOnce(&Path)) -> DebianRegistry {
        let directory = tempfile::tempdir().unwrap();
        prepare(directory.path());
        let port = free_port();
        let tls = if directory.path().join("key.pem").exists() {
            "\n  tls:\n    certificate: DIR/certificate.pem\n    key: DIR/key.pem"
        } else {
            ""
        };
        let config = format!(
            "version: 0.1\nlog:\n  accesslog:\n    disabled: true\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: DIR/data\nhttp:\n  addr: 127.0.0.1:{port}{tls}\n{extra}\n"
        );
        let path = directory.path().join("config.yml");
        std::fs::write(&path, config.replace("DIR", directory.path().to_str().unwrap())).unwrap();
        let process = Command::new("docker-registry")
            .args(["serve", path.to_str().unwrap()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("docker-registry is needed: apt-get install docker-registry");
        let mut registry = DebianRegistry { port, process, directory };
        registry.wait();
        registry
    }

    fn wait(&mut self) {
        let started = Instant::now();
        while TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, self.port)), START).is_err() {
            assert!(self.process.try_wait().unwrap().is_none(), "the registry ended; see {}", self.directory.path().display());
            assert!(started.elapsed() < START, "the registry does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub(crate) fn repository(&self, name: &str) -> String {
        format!("127.0.0.1:{}/{name}", self.port)
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Pushes an OCI archive.
    pub(crate) fn push(&self, archive: &Path, name: &str, arguments: &[&str]) {
        let target = format!("docker://127.0.0.1:{}/{name}", self.port);
        skopeo(
            &[&["copy", "--dest-tls-verify=false"], arguments, &[&format!("oci-archive:{}", archive.display()), &target]]
                .concat(),
        );
    }
}

impl Drop for DebianRegistry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub(crate) fn skopeo(arguments: &[&str]) {
    let output = Command::new("skopeo")
        .args(["--insecure-policy"])
        .args(arguments)
        .output()
        .expect("skopeo is needed: apt-get install skopeo");
    assert!(output.status.success(), "skopeo {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
