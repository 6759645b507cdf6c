//! The node that is measured: alone in a network of its own and in a temporary place, with the image there already.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::timeline::{Stage, Timeline, Watch};
use crate::node::{Node, until};
use crate::signal::Interrupt;
use crate::{http, oci};

/// How long a deployment may take to serve or to go: far longer than any should.
const PATIENCE: Duration = Duration::from_secs(60);
/// Pause between two requests for a page that is not there yet; it bounds what a figure can be off by.
const PAUSE: Duration = Duration::from_millis(1);
/// The first port of the node's that is used. Each deployment has one of its own, so that none finds another's open.
const FIRST_PORT: u16 = 20000;

pub(super) struct Place {
    node: Option<Node>,
    stead: PathBuf,
    dir: tempfile::TempDir,
    interrupt: Interrupt,
    deployments: u16,
}

/// A deployment that is there.
pub(super) struct Deployed {
    pub(super) name: String,
    /// Of the manifest.
    pub(super) acknowledged: Instant,
    pub(super) timeline: Timeline,
}

impl Place {
    /// Starts a node; the calling process is in a network of its own.
    pub(super) fn new(stead: &Path, hello: &Path) -> Result<Place> {
        let dir = tempfile::Builder::new().prefix("stead-bench-").tempdir()?;
        let interrupt = Interrupt::install()?;
        let archive = dir.path().join("hello.tar");
        let program = std::fs::read(hello)?;
        std::fs::write(&archive, oci::archive(&oci::Program { reference: "hello:latest", name: "hello", bytes: &program })?)?;
        let node = Node::start(stead, dir.path())?;
        node.load(&archive)?;
        Ok(Place { node: Some(node), stead: stead.to_owned(), dir, interrupt, deployments: 0 })
    }

    pub(super) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(super) fn node(&self) -> Result<&Node> {
        self.node.as_ref().context("the node could not be started again")
    }

    /// Ends the daemon and starts another; containers go on meanwhile.
    pub(super) fn restart(&mut self) -> Result<()> {
        if let Some(node) = self.node.take() {
            node.stop()?;
        }
        self.node = Some(Node::start(&self.stead, self.dir.path())?);
        Ok(())
    }

    /// Deploys the greeter under a fresh name, and waits until all replicas are ready and one has answered.
    pub(super) fn deploy(&mut self, replicas: usize) -> Result<Deployed> {
        self.deployments += 1;
        let (name, port) = (format!("bench{}", self.deployments), FIRST_PORT + self.deployments);
        let socket = self.node()?.socket();
        let watch = Watch::open(&socket, &name)?;
        let answer = http::put_manifest(&socket, &manifest(&name, port, replicas))?;
        let acknowledged = Instant::now();
        if answer.status / 100 != 2 {
            bail!("the manifest is refused: {} {}", answer.status, answer.body);
        }
        let mut timeline = Timeline::default();
        timeline.reached(Stage::Answered, &name, self.first_answer(port)?);
        let deadline = acknowledged + PATIENCE;
        while timeline.count(Stage::Ready) < replicas || timeline.count(Stage::Published) < replicas {
            self.check_interrupt()?;
            if !watch.follow(&mut timeline, Duration::from_secs(1))? && Instant::now() > deadline {
                bail!("{} of {replicas} replicas are ready after {} s", timeline.count(Stage::Ready), PATIENCE.as_secs());
            }
        }
        Ok(Deployed { name, acknowledged, timeline })
    }

    /// Returns when a page was there.
    pub(super) fn first_answer(&self, port: u16) -> Result<Instant> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let deadline = Instant::now() + PATIENCE;
        loop {
            match http::get(address, "/") {
                Ok(answer) if answer.status == 200 => return Ok(Instant::now()),
                Ok(answer) if Instant::now() > deadline => bail!("the page answers {} {}", answer.status, answer.body),
                Err(error) if Instant::now() > deadline => return Err(error.context("the page does not answer")),
                _ if self.interrupt.wait_for(PAUSE)? => bail!("interrupted"),
                _ => {}
            }
        }
    }

    pub(super) fn rest(&self, time: Duration) -> Result<()> {
        if self.interrupt.wait_for(time)? { bail!("interrupted") } else { Ok(()) }
    }

    fn check_interrupt(&self) -> Result<()> {
        self.rest(Duration::from_nanos(1000))
    }

    /// Deletes a deployment and waits until nothing is left of it.
    pub(super) fn delete(&self, name: &str) -> Result<Duration> {
        let socket = self.node()?.socket();
        let started = Instant::now();
        let answer = http::delete_unix(&socket, &format!("/objects/deployment/{name}"))?;
        if answer.status / 100 != 2 {
            bail!("{name} cannot be deleted: {} {}", answer.status, answer.body);
        }
        until(PATIENCE, || match self.objects(&format!("deployment={name}"))?.len() {
            0 => Ok(()),
            left => bail!("{left} objects of {name} are left"),
        })?;
        Ok(started.elapsed())
    }

    /// Returns the objects of a list, by a query such as `kind=container`.
    pub(super) fn objects(&self, query: &str) -> Result<Vec<Value>> {
        let answer = http::get_unix(&self.node()?.socket(), &format!("/objects?{query}"))?;
        let mut list: Value = serde_json::from_str(&answer.body)?;
        serde_json::from_value(list["objects"].take()).with_context(|| format!("no list of objects: {}", answer.body))
    }
}

impl Drop for Place {
    /// Containers outlive the daemon: after a failure they are taken away here.
    fn drop(&mut self) {
        for deployment in self.objects("kind=deployment").unwrap_or_default() {
            let name = deployment["name"].as_str().unwrap_or_default();
            if let Err(error) = self.delete(name) {
                eprintln!("left behind: deployment {name} ({error:#})");
            }
        }
    }
}

fn manifest(name: &str, port: u16, replicas: usize) -> String {
    format!(
        "version: v1
deployment: {name}
services:
  greeter:
    image: {{name: 'hello:latest', pull_policy: never}}
    command: {{args: [greeter]}}
    endpoints: [{{name: http, protocol: http, port: {port}, target: 8080, expose: public}}]
    scale: {{mode: fixed, replicas: {replicas}}}
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manifest_is_one() {
        let parsed = spec::manifest::parse(&manifest("bench1", 20001, 20)).unwrap();
        assert_eq!((&*parsed.deployment, parsed.services.len()), ("bench1", 1));
    }
}
