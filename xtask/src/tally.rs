//! What a soak has done so far, over all times it ran.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Tally {
    /// Units tried, all of them good.
    pub(crate) done: u64,
    seconds: f64,
}

impl Tally {
    /// Reads what was written down; nothing was done where there is no file.
    pub(crate) fn load(path: &Path) -> Result<Tally> {
        match std::fs::read(path) {
            Ok(bytes) => serde_json::from_slice(&bytes).with_context(|| format!("{} is broken: remove it", path.display())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Tally::default()),
            Err(error) => Err(error).with_context(|| path.display().to_string()),
        }
    }

    /// Writes it in place of what was there, whole or not at all.
    pub(crate) fn save(&self, path: &Path) -> Result<()> {
        let new = path.with_extension("new");
        std::fs::write(&new, serde_json::to_vec(self)?)?;
        Ok(std::fs::rename(new, path)?)
    }

    pub(crate) fn add(&mut self, units: u64, time: Duration) {
        self.done += units;
        self.seconds += time.as_secs_f64();
    }

    /// Returns the sum and the rate, for people.
    pub(crate) fn told(&self, unit: &str) -> String {
        let rate = if self.seconds > 0.0 { self.done as f64 / self.seconds * 60.0 } else { 0.0 };
        format!("{} {unit} in {:.0} s, {rate:.1} a minute", self.done, self.seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_adds_up_over_all_times() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.json");
        let mut tally = Tally::load(&path).unwrap();
        tally.add(10, Duration::from_secs(30));
        tally.save(&path).unwrap();
        let mut tally = Tally::load(&path).unwrap();
        tally.add(10, Duration::from_secs(10));
        assert_eq!(tally.told("kills"), "20 kills in 40 s, 30.0 a minute");
        std::fs::write(&path, "{").unwrap();
        assert!(Tally::load(&path).unwrap_err().to_string().contains("remove it"));
    }
}
