//! What became of a deployment and when, as the node's own watch tells it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// What happens to a deployment between its manifest and its first answer, in the usual order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// The digest of its image is known.
    Resolved,
    /// Its image is known to be on the node.
    Image,
    /// Its replicas are there to be started.
    Placed,
    /// Their network is there.
    Linked,
    /// Their programs run.
    Started,
    /// Their ports accept.
    Passed,
    /// Traffic may come to all of them.
    Ready,
    /// The proxy's table has them in it.
    Published,
    /// Somebody got a 200.
    Answered,
}

impl Stage {
    pub(super) const ALL: [Stage; 9] = [
        Stage::Resolved,
        Stage::Image,
        Stage::Placed,
        Stage::Linked,
        Stage::Started,
        Stage::Passed,
        Stage::Ready,
        Stage::Published,
        Stage::Answered,
    ];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Stage::Resolved => "resolved",
            Stage::Image => "image",
            Stage::Placed => "placed",
            Stage::Linked => "linked",
            Stage::Started => "started",
            Stage::Passed => "passed",
            Stage::Ready => "ready",
            Stage::Published => "published",
            Stage::Answered => "answered",
        }
    }
}

/// When objects reached which stage first.
#[derive(Default)]
pub(super) struct Timeline(BTreeMap<(Stage, String), Instant>);

impl Timeline {
    pub(super) fn reached(&mut self, stage: Stage, name: &str, at: Instant) {
        self.0.entry((stage, name.to_owned())).or_insert(at);
    }

    pub(super) fn count(&self, stage: Stage) -> usize {
        self.of(stage).count()
    }

    /// Returns when the last object that reached a stage did.
    pub(super) fn last(&self, stage: Stage) -> Option<Instant> {
        self.of(stage).max()
    }

    fn of(&self, stage: Stage) -> impl Iterator<Item = Instant> {
        self.0.iter().filter(move |((other, _), _)| *other == stage).map(|(_, at)| *at)
    }

    /// Takes an event of the watch in.
    fn take(&mut self, event: &Value, at: Instant) {
        let object = &event["object"];
        let (Some(kind), Some(name)) = (object["kind"].as_str(), object["name"].as_str()) else { return };
        let status = &object["status"];
        let stages: &[(Stage, bool)] = match kind {
            "resolution" => &[(Stage::Resolved, status["resolved"].is_object())],
            "image" => &[(Stage::Image, status["config"].is_object())],
            "container" => &[
                (Stage::Placed, true),
                (Stage::Linked, status["linked"] == true),
                (Stage::Started, status["state"]["running"].is_object()),
                (Stage::Passed, status["health"]["passed"] == true),
            ],
            "replica" => &[(Stage::Ready, status["phase"] == "ready")],
            "endpoint" => return self.take_backends(object, at),
            _ => &[],
        };
        for (stage, _) in stages.iter().filter(|(_, reached)| *reached) {
            self.reached(*stage, name, at);
        }
    }

    fn take_backends(&mut self, endpoint: &Value, at: Instant) {
        for backend in endpoint["spec"]["backends"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            self.reached(Stage::Published, backend, at);
        }
    }
}

/// The node's watch, read on a thread that notes when each line came.
pub(super) struct Watch {
    lines: Receiver<(Instant, String)>,
    deployment: String,
}

impl Watch {
    /// Begins to watch; what happens from now on is not missed.
    pub(super) fn open(socket: &Path, deployment: &str) -> Result<Watch> {
        let mut stream = UnixStream::connect(socket)?;
        write!(stream, "GET /watch HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            // Events are lines; those of the chunks around them begin with a digit, and those of the head with a letter.
            for line in BufReader::new(stream).lines().map_while(Result::ok).filter(|line| line.starts_with('{')) {
                if sender.send((Instant::now(), line)).is_err() {
                    return;
                }
            }
        });
        let watch = Watch { lines, deployment: deployment.to_owned() };
        while watch.next(Duration::from_secs(10))?.context("the watch does not begin")?.1["type"] != "synced" {}
        Ok(watch)
    }

    /// Takes in what comes next and is of this deployment; returns whether anything came.
    pub(super) fn follow(&self, timeline: &mut Timeline, patience: Duration) -> Result<bool> {
        let Some((at, event)) = self.next(patience)? else { return Ok(false) };
        let name = event["object"]["name"].as_str().unwrap_or_default();
        // Images belong to no deployment.
        if name.split('/').next() == Some(&self.deployment) || event["object"]["kind"] == "image" {
            timeline.take(&event, at);
        }
        Ok(true)
    }

    fn next(&self, patience: Duration) -> Result<Option<(Instant, Value)>> {
        use std::sync::mpsc::RecvTimeoutError;
        match self.lines.recv_timeout(patience) {
            Ok((at, line)) => Ok(Some((at, serde_json::from_str(&line)?))),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => bail!("the node ended the watch"),
        }
    }
}

pub(super) fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_stage_is_reached_once_and_the_last_object_counts() {
        let mut timeline = Timeline::default();
        let start = Instant::now();
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        let container = |name: &str, status: Value| json!({"object": {"kind": "container", "name": name, "status": status}});
        timeline.take(&container("d/a/1", json!(null)), at(1));
        timeline.take(&container("d/a/1", json!({"linked": true, "state": "down"})), at(2));
        timeline.take(&container("d/a/1", json!({"linked": true, "state": {"running": {"pid": 7}}})), at(3));
        timeline.take(&container("d/a/2", json!({"linked": true, "state": {"running": {"pid": 8}}})), at(5));
        timeline.take(&container("d/a/2", json!({"health": {"passed": true}})), at(9));
        timeline.take(&json!({"object": {"kind": "endpoint", "name": "d/a/e", "spec": {"backends": []}}}), at(10));
        timeline.take(&json!({"object": {"kind": "endpoint", "name": "d/a/e", "spec": {"backends": ["10.0.0.1:80"]}}}), at(11));
        let reached = |stage| (timeline.count(stage), timeline.last(stage));
        assert_eq!(reached(Stage::Placed), (2, Some(at(5))));
        assert_eq!(reached(Stage::Linked), (2, Some(at(5))));
        assert_eq!(reached(Stage::Started), (2, Some(at(5))));
        assert_eq!(reached(Stage::Passed), (1, Some(at(9))));
        assert_eq!(reached(Stage::Ready), (0, None));
        assert_eq!(reached(Stage::Published), (1, Some(at(11))));
    }
}
