//! From an accepted manifest to an answer, and what containers cost while nothing happens.

mod rest;
mod times;

use std::path::PathBuf;

use anyhow::{Result, bail};

use super::peer::Peer;
use super::place::Place;
use super::report::{Measure, summary};
use crate::{network, packages, workspace};

const BENCH: &str = "start";

/// What to measure.
pub struct Plan {
    pub runs: usize,
    /// How many at once.
    pub replicas: usize,
    /// Installs the peers when they are missing.
    pub beside: bool,
    /// What to measure, instead of what is in the workspace.
    pub stead: Option<PathBuf>,
}

/// Builds, measures and tells. The calling thread is the main one, and there is no other.
pub fn run(plan: &Plan) -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        bail!("containers need root: run `sudo -E env PATH=$PATH cargo xtask bench start`");
    }
    packages::ensure(&[packages::BUILD])?;
    if plan.beside {
        packages::ensure(&[packages::PEERS])?;
    }
    let hello = workspace::build_release(&["hello"])?.swap_remove(0);
    let stead = match &plan.stead {
        Some(stead) => stead.clone(),
        None => {
            eprintln!("the release profile takes some minutes to build when much has changed");
            workspace::build_release(&["stead"])?.swap_remove(0)
        }
    };
    network::enter_own()?;
    let mut place = Place::new(&stead, &hello)?;
    let load = super::load_average();
    let measures = measure(plan, &mut place, &hello)?;
    eprintln!("\nload of the machine (1 minute) before and after: {load} and {}", super::load_average());
    summary(&measures);
    Ok(())
}

fn measure(plan: &Plan, place: &mut Place, hello: &std::path::Path) -> Result<Vec<Measure>> {
    let mut measures = Vec::new();
    let mut tell = |some: Vec<Measure>| {
        some.iter().for_each(|measure| measure.print(BENCH));
        measures.extend(some);
    };
    let peers: Vec<Peer> = packages::PEERS
        .iter()
        .filter(|package| packages::is_installed(package))
        .map(|package| Peer::new(package.name, place.dir(), hello))
        .collect::<Result<_>>()?;
    tell(times::one_replica(place, &peers, plan.runs, hello)?);
    tell(times::many_replicas(place, plan.runs, plan.replicas)?);
    tell(rest::at_rest(place, plan.replicas)?);
    Ok(measures)
}
