//! A real registry, Debian's docker-registry, on the loopback of a node's network.

use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};

use crate::server::Server;
use crate::{http, until};

/// Its port: each node's network is its own, so it is always free.
const PORT: u16 = 5000;

/// A registry that runs. Dropped, it is ended with all it has.
pub struct Registry {
    process: Child,
    dir: tempfile::TempDir,
}

impl Registry {
    /// Starts an empty one, and waits until it answers.
    pub fn start(server: &Server) -> Registry {
        let dir = tempfile::Builder::new().prefix("stead-registry-").tempdir().expect("a directory");
        let config = dir.path().join("config.yml");
        let text = format!(
            "version: 0.1\nstorage: {{filesystem: {{rootdirectory: '{}'}}}}\nhttp: {{addr: '127.0.0.1:{PORT}'}}\n",
            dir.path().join("images").display()
        );
        fs::write(&config, text).expect("its configuration can be written");
        let log = fs::File::create(dir.path().join("log")).expect("a log");
        let mut command = server.command(Path::new("docker-registry"));
        command.arg("serve").arg(&config).stdin(Stdio::null());
        command.stdout(log.try_clone().expect("a log")).stderr(log);
        let registry = Registry { process: command.spawn().expect("docker-registry is installed"), dir };
        until("the registry answers", || matches!(server.get(PORT, "/v2/"), Ok((200, _))));
        registry
    }

    /// Puts an image of an OCI layout in; returns the name to deploy it by.
    pub fn push(&self, server: &Server, layout: &Path, name: &str) -> String {
        let reference = format!("127.0.0.1:{PORT}/{name}");
        let (from, to) = (format!("oci:{}:latest", layout.display()), format!("docker://{reference}"));
        let mut command = server.command(Path::new("skopeo"));
        command.args(["--insecure-policy", "copy", "--quiet", "--dest-tls-verify=false", &from, &to]);
        let output = command.output().expect("skopeo is installed");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        reference
    }

    /// Returns the paths of what others than this test asked it for so far, in order.
    ///
    /// A request of the test's own comes last and is waited for: what was asked before it is in the log by then.
    pub fn asked(&self, server: &Server) -> Vec<String> {
        let mark = format!("/v2/?{}", self.lines().len());
        http_ok(server, &mark);
        until("the registry wrote down the last request", || self.lines().contains(&mark));
        let ours = |path: &String| path == "/v2/" || path.starts_with("/v2/?");
        self.lines().into_iter().filter(|path| !ours(path)).collect()
    }

    fn lines(&self) -> Vec<String> {
        let log = fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
        let paths = log.lines().filter_map(|line| line.split("\"GET ").nth(1)?.split(' ').next());
        paths.map(str::to_owned).collect()
    }
}

fn http_ok(server: &Server, path: &str) {
    let path = path.to_owned();
    let answer = server.namespace.run(move || http::get(([127, 0, 0, 1], PORT).into(), &path));
    assert_eq!(answer.expect("the registry answers").0, 200);
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
