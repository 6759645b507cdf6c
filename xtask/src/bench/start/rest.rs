//! What a node with containers costs while nothing happens.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::bench::memory::{Memory, children_with, parent, processor_time};
use crate::bench::place::Place;
use crate::bench::report::Measure;

/// What the smallest servers can spare.
const DAEMON_AIM_MIB: f64 = 30.0;
const PROCESSOR_AIM_PERCENT: f64 = 0.5;
const SHIM_AIM_MIB: f64 = 4.0;
/// How long it is left alone before it counts as idle.
const SETTLE: Duration = Duration::from_secs(5);
/// How long it is watched: the checks of its containers come every ten seconds.
const WATCHED: Duration = Duration::from_secs(20);
/// What the data plane is called by, on its command line.
const DATA_PLANE: &str = "__data-plane";

pub(super) fn at_rest(place: &mut Place, replicas: usize) -> Result<Vec<Measure>> {
    place.rest(SETTLE)?;
    let containers = place.objects("kind=container")?;
    let running = |object: &serde_json::Value| object["status"]["state"]["running"]["pid"].as_u64();
    let programs: Vec<u32> = containers.iter().filter_map(running).filter_map(|pid| pid.try_into().ok()).collect();
    if programs.len() != replicas {
        bail!("{} of {replicas} containers run", programs.len());
    }
    let shims = programs.iter().map(|pid| Memory::of(parent(*pid)?)).collect::<Result<Vec<_>>>()?;
    let programs = programs.iter().map(|pid| Memory::of(*pid)).collect::<Result<Vec<_>>>()?;
    let worked = Daemon::watch(place)?;
    let data_plane = children_with(place.node()?.pid(), DATA_PLANE);
    let data_plane = Memory::of(*data_plane.first().context("there is no data plane")?)?;
    place.restart()?;
    place.rest(SETTLE)?;
    let fresh = Daemon::watch(place)?;

    let mib = |name: &str, value: f64| Measure::new(name, "mib", vec![value]);
    let all = |name: &str, of: &[Memory], what: fn(&Memory) -> f64| Measure::new(name, "mib", of.iter().map(what).collect());
    Ok(vec![
        mib("daemon_resident", worked.memory.resident).aim(DAEMON_AIM_MIB),
        mib("daemon_proportional", worked.memory.proportional),
        mib("daemon_unique", worked.memory.unique),
        Measure::new("daemon_processor", "percent", vec![worked.percent]).aim(PROCESSOR_AIM_PERCENT),
        mib("daemon_restarted_resident", fresh.memory.resident),
        mib("daemon_restarted_unique", fresh.memory.unique),
        Measure::new("daemon_restarted_processor", "percent", vec![fresh.percent]),
        all("shim_proportional", &shims, |shim| shim.proportional).aim(SHIM_AIM_MIB),
        all("shim_unique", &shims, |shim| shim.unique),
        all("program_proportional", &programs, |program| program.proportional),
        mib("data_plane_proportional", data_plane.proportional),
        mib("data_plane_unique", data_plane.unique),
    ])
}

/// The daemon while it has nothing to do.
struct Daemon {
    memory: Memory,
    /// Of one core.
    percent: f64,
}

impl Daemon {
    fn watch(place: &Place) -> Result<Daemon> {
        let pid = place.node()?.pid();
        let (started, before) = (Instant::now(), processor_time(pid)?);
        place.rest(WATCHED)?;
        let used = processor_time(pid)? - before;
        let percent = used.as_secs_f64() / started.elapsed().as_secs_f64() * 100.0;
        Ok(Daemon { memory: Memory::of(pid)?, percent })
    }
}
