//! `cargo xtask demo`: the example, running in front of whoever wants to see it.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::Serialize;

use super::image;
use crate::leftovers::Snapshot;
use crate::node::{Node, until};
use crate::signal::Interrupt;
use crate::{http, packages, workspace};

/// The port in examples/hello.yaml.
const PORT: u16 = 8080;
/// How long the first page may take; on two cores it takes two seconds.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long a deleted deployment may take to be gone.
const CLEANUP: Duration = Duration::from_secs(30);

/// Run the example deployment on this machine, with a daemon of its own, until Ctrl-C.
#[derive(clap::Args)]
pub struct Demo {
    /// Fetch the page once, print the answer as a line of JSON, clean up and end.
    #[arg(long)]
    once: bool,
    /// The port where the page is served.
    #[arg(long, default_value_t = PORT)]
    port: u16,
}

impl Demo {
    pub fn run(self) -> Result<ExitCode> {
        if !rustix::process::geteuid().is_root() {
            bail!("containers need root: run `sudo -E env PATH=$PATH cargo xtask demo`");
        }
        check_port(self.port)?;
        packages::ensure(&[packages::BUILD])?;
        let programs = workspace::build(&["stead", "hello"])?;
        let interrupt = Interrupt::install()?;
        let before = Snapshot::take()?;
        let place = tempfile::Builder::new().prefix("stead-demo-").tempdir()?;
        println!("starting stead daemon in {}", place.path().display());
        let node = Node::start(&programs[0], place.path())?;
        let id = node.id()?;
        let outcome = self.show(node, &programs[1], place.path(), &interrupt);
        let left = before.wait_for_no_more(CLEANUP, |thing| thing.is_of_node(place.path(), &id))?;
        for thing in &left {
            eprintln!("left behind: {thing}");
        }
        let last_line = outcome?;
        if !left.is_empty() {
            // The directory stays too: what is mounted there would take what is below with it.
            bail!("the demo has left things behind, and its directory {}", place.keep().display());
        }
        check_port(self.port).context("something still listens")?;
        place.close()?;
        println!("{last_line}");
        Ok(ExitCode::SUCCESS)
    }

    /// Runs the deployment for as long as it is wanted, and ends the node; returns what to say at the end.
    fn show(&self, node: Node, hello: &Path, dir: &Path, interrupt: &Interrupt) -> Result<String> {
        let outcome = self.deploy(&node, hello, dir, interrupt).with_context(|| node.log());
        println!("deleting hello and stopping the daemon");
        let deleted = node.delete("hello");
        let stopped = node.stop();
        let last_line = outcome?;
        deleted.and(stopped).map(|()| last_line)
    }

    fn deploy(&self, node: &Node, hello: &Path, dir: &Path, interrupt: &Interrupt) -> Result<String> {
        let (archive, manifest) = (dir.join("hello.tar"), dir.join("hello.yaml"));
        fs::write(&archive, image::pack("hello", hello)?)?;
        let example = fs::read_to_string(workspace::root().join("examples/hello.yaml"))?;
        fs::write(&manifest, with_port(&example, self.port)?)?;
        println!("stead image load hello.tar");
        node.load(&archive)?;
        println!("stead up hello.yaml");
        let started = Instant::now();
        node.up_detached(&manifest)?;
        let answer = first_page(self.port, interrupt)?;
        let ready_ms = started.elapsed().as_millis() as u64;
        if self.once {
            return Ok(serde_json::to_string(&Outcome { status: answer.status, body: answer.body, ready_ms })?);
        }
        println!("ready after {ready_ms} ms: {}", answer.body.trim());
        println!("open http://127.0.0.1:{}/ and press Ctrl-C to end", self.port);
        interrupt.wait()?;
        Ok("nothing is left".to_owned())
    }
}

/// What `--once` prints, for programs that read it.
#[derive(Serialize)]
struct Outcome {
    status: u16,
    body: String,
    /// From `stead up` to the page.
    ready_ms: u64,
}

/// Fetches the page until it is there.
fn first_page(port: u16, interrupt: &Interrupt) -> Result<http::Response> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let answer = until(PATIENCE, || {
        if interrupt.wait_for(Duration::from_millis(1))? {
            return Ok(None);
        }
        match http::get(address, "/")? {
            answer if answer.status == 200 => Ok(Some(answer)),
            answer => bail!("the page answers {} {:?}", answer.status, answer.body),
        }
    })?;
    answer.context("interrupted")
}

fn check_port(port: u16) -> Result<()> {
    match TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            bail!("port {port} is taken on this machine; choose another one: `cargo xtask demo --port {}`", port.wrapping_add(1))
        }
        Err(error) => Err(error).with_context(|| format!("port {port} cannot be had")),
    }
}

/// Moves the example's endpoint to another port; its containers stay where they listen.
fn with_port(manifest: &str, port: u16) -> Result<String> {
    const ENDPOINT: &str = "        port: 8080\n        expose: public\n";
    if port == PORT {
        return Ok(manifest.to_owned());
    }
    if manifest.matches(ENDPOINT).count() != 1 {
        bail!("examples/hello.yaml has not one public endpoint on port {PORT}");
    }
    Ok(manifest.replace(ENDPOINT, &format!("        port: {port}\n        target: {PORT}\n        expose: public\n")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_moves_to_another_port() {
        let example = fs::read_to_string(workspace::root().join("examples/hello.yaml")).unwrap();
        assert_eq!(with_port(&example, PORT).unwrap(), example);
        let manifest = spec::manifest::parse(&with_port(&example, 9000).unwrap()).unwrap();
        let endpoint = &manifest.services["web"].endpoints[0];
        assert_eq!((endpoint.port.get(), endpoint.target().get()), (9000, PORT));
        assert!(with_port("services: {}", 9000).is_err());
    }

    #[test]
    fn a_taken_port_is_told_with_the_way_out() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let holder = TcpListener::bind((Ipv4Addr::LOCALHOST, taken)).unwrap();
        let error = check_port(taken).unwrap_err().to_string();
        assert!(error.contains(&format!("port {taken} is taken")) && error.contains("--port"), "{error}");
        drop(holder);
    }
}
