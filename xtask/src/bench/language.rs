//! The language: a manifest of a thousand services, and texts made to cost much.
//!
//! The times are taken by a program of `spec`, built as users get it; here they are put beside their aims.

use anyhow::{Context, Result};
use serde::Deserialize;

use super::report::{Measure, summary};
use crate::{packages, workspace};

const BENCH: &str = "language";
/// What begins the name of a measure of a hostile text.
const BOMB: &str = "bomb: ";
/// How many of the worst hostile texts people are told of.
const WORST: usize = 5;

/// What to measure.
pub struct Plan {
    pub runs: usize,
    /// How often each hostile text is tried.
    pub tries: usize,
}

/// Builds, measures and tells.
pub fn run(plan: &Plan) -> Result<()> {
    packages::ensure(&[packages::BUILD])?;
    let program = workspace::build_bench("spec", BENCH)?;
    let load = super::load_average();
    let arguments = [plan.runs, plan.tries].map(|number| number.to_string());
    let told = crate::process::Tool::new(program).args(arguments).timeout(workspace::BUILD_TIMEOUT).show_messages()?;
    let measures = told.lines().map(measure).collect::<Result<Vec<_>>>()?;
    measures.iter().for_each(|measure| measure.print(BENCH));
    eprintln!("\nload of the machine (1 minute) before and after: {load} and {}", super::load_average());
    let (bombs, others): (Vec<_>, Vec<_>) = measures.into_iter().partition(|measure| measure.name.starts_with(BOMB));
    summary(&[others, worst(bombs)].concat());
    Ok(())
}

/// Reads a line of the program's.
fn measure(line: &str) -> Result<Measure> {
    #[derive(Deserialize)]
    struct Line {
        measure: String,
        unit: String,
        samples: Vec<f64>,
    }
    let Line { measure, unit, samples } = serde_json::from_str(line).with_context(|| format!("the program says `{line}`"))?;
    let unit = ["ms", "MiB", "KiB", "thousand"].into_iter().find(|known| *known == unit).context("an unknown unit")?;
    let aim = aim(&measure, unit);
    let measure = Measure::new(measure, unit, samples);
    Ok(match aim {
        Some(aim) => measure.aim(aim),
        None => measure,
    })
}

fn aim(measure: &str, unit: &str) -> Option<f64> {
    match (measure, unit) {
        ("read and checked", _) => Some(50.0),
        (bomb, "ms") if bomb.starts_with(BOMB) => Some(100.0),
        (bomb, "MiB") if bomb.starts_with(BOMB) => Some(64.0),
        _ => None,
    }
}

/// Returns those that took longest, and those that took most memory.
fn worst(bombs: Vec<Measure>) -> Vec<Measure> {
    let (mut times, mut memory): (Vec<_>, Vec<_>) = bombs.into_iter().partition(|measure| measure.unit == "ms");
    for measures in [&mut times, &mut memory] {
        measures.sort_by(|one, other| other.median().total_cmp(&one.median()));
        measures.truncate(WORST);
    }
    [times, memory].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_come_first_and_each_has_its_aim() {
        let lines = (0..7).map(|number| format!(r#"{{"measure": "bomb: {number}", "unit": "ms", "samples": [{number}]}}"#));
        let worst = worst(lines.map(|line| measure(&line).unwrap()).collect());
        let names: Vec<_> = worst.iter().map(|measure| measure.name.as_str()).collect();
        assert_eq!(names, ["bomb: 6", "bomb: 5", "bomb: 4", "bomb: 3", "bomb: 2"]);
        assert!(worst.iter().all(|measure| measure.aim == Some(100.0)));
        assert!(measure("x").is_err());
    }
}
