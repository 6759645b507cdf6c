//! How long it takes until somebody is answered.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use crate::bench::limits;
use crate::bench::peer::Peer;
use crate::bench::place::{Deployed, Place};
use crate::bench::report::Measure;
use crate::bench::timeline::{Stage, milliseconds};

/// What people take for at once, with something left for the way to them.
const ONE_AIM_MS: f64 = 150.0;
/// Of twenty replicas.
const MANY_AIM_MS: f64 = 1500.0;
/// The number of replicas that the aim is for.
const MANY: usize = 20;

/// Before each start, so that all are as cold as the first of a day: a move between control groups makes the next one fast.
const PAUSE: Duration = Duration::from_millis(100);

/// Starts one replica again and again, taking turns with the peers and with what bounds them all.
pub(super) fn one_replica(place: &mut Place, peers: &[Peer], runs: usize, hello: &Path) -> Result<Vec<Measure>> {
    // The first one also unpacks and binds what the others find there.
    let first = place.deploy(1)?;
    place.delete(&first.name)?;
    let (mut starts, mut stages, mut deletes) = (Vec::new(), Stages::default(), Vec::new());
    let mut of_peers = vec![Vec::new(); peers.len()];
    let (mut flushes, mut processes, mut moves) = (Vec::new(), Vec::new(), Vec::new());
    for run in 0..runs {
        place.rest(PAUSE)?;
        let deployed = place.deploy(1)?;
        starts.push(stages.add(&deployed, &[Stage::Answered]));
        deletes.push(milliseconds(place.delete(&deployed.name)?));
        for (peer, samples) in peers.iter().zip(&mut of_peers) {
            place.rest(PAUSE)?;
            samples.push(peer.run(place, run)?);
        }
        flushes.push(limits::flush(place.dir())?);
        processes.push(limits::process(hello)?);
        place.rest(PAUSE)?;
        moves.push(limits::control_group()?);
    }
    let mut measures = vec![Measure::new("one_replica_first_200", "ms", starts).aim(ONE_AIM_MS).stages(stages.0)];
    measures.push(Measure::new("one_replica_deleted", "ms", deletes));
    for (peer, samples) in peers.iter().zip(of_peers) {
        let beside = Measure::new(format!("{}_first_200", peer.name), "ms", samples);
        let ratio = measures[0].median() / beside.median();
        measures.push(beside);
        measures.push(Measure::new(format!("one_replica_by_{}", peer.name), "times", vec![ratio]));
    }
    measures.push(Measure::new("limit_flush_of_4_kib", "ms", flushes));
    measures.push(Measure::new("limit_start_of_a_process", "ms", processes));
    measures.push(Measure::new("limit_move_into_control_group", "ms", moves));
    Ok(measures)
}

/// Starts many replicas of one service; those of the last run stay.
pub(super) fn many_replicas(place: &mut Place, runs: usize, replicas: usize) -> Result<Vec<Measure>> {
    let (mut starts, mut stages, mut deletes) = (Vec::new(), Stages::default(), Vec::new());
    for run in 0..runs {
        let deployed = place.deploy(replicas)?;
        starts.push(stages.add(&deployed, &[Stage::Ready, Stage::Answered]));
        if run + 1 < runs {
            deletes.push(milliseconds(place.delete(&deployed.name)?));
        }
    }
    let all = Measure::new(format!("all_of_{replicas}_ready"), "ms", starts).stages(stages.0);
    let all = if replicas == MANY { all.aim(MANY_AIM_MS) } else { all };
    Ok(vec![all, Measure::new(format!("all_of_{replicas}_deleted"), "ms", deletes)])
}

/// When each stage was reached by the last replica, in milliseconds after the manifest was acknowledged, of each run.
#[derive(Default)]
struct Stages(Vec<(Stage, Vec<f64>)>);

impl Stages {
    /// Adds a run; returns when it had reached all of `goals`.
    fn add(&mut self, deployed: &Deployed, goals: &[Stage]) -> f64 {
        let after = |stage| {
            let at = deployed.timeline.last(stage);
            at.map(|at| milliseconds(at.saturating_duration_since(deployed.acknowledged)))
        };
        if self.0.is_empty() {
            self.0 = Stage::ALL.iter().map(|stage| (*stage, Vec::new())).collect();
        }
        let mut before = 0.0;
        for (stage, samples) in &mut self.0 {
            // What was true before the manifest, as that the image is there, shows no change.
            before = after(*stage).unwrap_or(before);
            samples.push(before);
        }
        goals.iter().filter_map(|goal| after(*goal)).fold(0.0, f64::max)
    }
}
