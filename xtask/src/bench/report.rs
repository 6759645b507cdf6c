//! Figures, their statistics and their aims: a line of JSON each for programs, and a table for people.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::timeline::Stage;

/// What was measured a number of times.
#[derive(Clone, Debug)]
pub(super) struct Measure {
    pub(super) name: String,
    pub(super) unit: &'static str,
    pub(super) samples: Vec<f64>,
    /// What the median should be at most.
    pub(super) aim: Option<f64>,
    /// When each stage was reached, in milliseconds, in each run.
    pub(super) stages: Vec<(Stage, Vec<f64>)>,
}

impl Measure {
    pub(super) fn new(name: impl Into<String>, unit: &'static str, samples: Vec<f64>) -> Measure {
        Measure { name: name.into(), unit, samples, aim: None, stages: Vec::new() }
    }

    pub(super) fn aim(self, aim: f64) -> Measure {
        Measure { aim: Some(aim), ..self }
    }

    pub(super) fn stages(self, stages: Vec<(Stage, Vec<f64>)>) -> Measure {
        Measure { stages, ..self }
    }

    pub(super) fn median(&self) -> f64 {
        quantile(&self.samples, 0.5)
    }

    /// Prints the line of JSON.
    pub(super) fn print(&self, bench: &str) {
        println!("{}", self.json(bench));
    }

    fn json(&self, bench: &str) -> Value {
        let mut line = Map::new();
        line.insert("bench".into(), bench.into());
        line.insert("measure".into(), self.name.clone().into());
        line.insert("runs".into(), self.samples.len().into());
        line.insert(format!("median_{}", self.unit), rounded(self.median()));
        line.insert(format!("p95_{}", self.unit), rounded(quantile(&self.samples, 0.95)));
        if let Some(aim) = self.aim {
            line.insert(format!("aim_{}", self.unit), rounded(aim));
            line.insert("reached".into(), self.is_reached().into());
        }
        if !self.stages.is_empty() {
            let stage = |(stage, at, took): (Stage, f64, f64)| {
                (stage.as_str().to_owned(), json!({ "at_ms": rounded(at), "took_ms": rounded(took) }))
            };
            line.insert("stages".into(), self.stage_medians().into_iter().map(stage).collect());
        }
        line.into()
    }

    fn is_reached(&self) -> bool {
        self.aim.is_none_or(|aim| self.median() <= aim)
    }

    /// Returns of each stage the medians of when it was reached, and of how long that was after the one before; by time.
    fn stage_medians(&self) -> Vec<(Stage, f64, f64)> {
        let mut stages: Vec<_> = self.stages.iter().map(|(stage, at)| (*stage, at, quantile(at, 0.5))).collect();
        stages.sort_by(|(_, _, a), (_, _, b)| a.total_cmp(b));
        let mut before: &Vec<f64> = &vec![0.0; self.samples.len()];
        let mut medians = Vec::new();
        for (stage, at, median) in stages {
            let took: Vec<f64> = at.iter().zip(before).map(|(at, before)| at - before).collect();
            medians.push((stage, median, quantile(&took, 0.5)));
            before = at;
        }
        medians
    }

    /// Returns the lines for people.
    fn text(&self) -> String {
        let Measure { name, unit, samples, .. } = self;
        let (median, p95) = (self.median(), quantile(samples, 0.95));
        let mut text = format!("  {name:<34} {median:>9.2} {unit:<7} p95 {p95:>9.2}   {} samples\n", samples.len());
        for (stage, at, took) in self.stage_medians() {
            let _ = writeln!(text, "      {:<30} {at:>9.2} ms      +{took:>8.2}", stage.as_str());
        }
        text
    }

    /// Returns the line that says whether the aim is reached.
    fn verdict(&self) -> Option<String> {
        let Measure { name, unit, .. } = self;
        let verdict = if self.is_reached() { "reached    " } else { "NOT reached" };
        self.aim.map(|aim| format!("  {verdict}  {name}: {:.2} {unit}, the aim is {aim} {unit}\n", self.median()))
    }
}

/// Tells people everything, on standard error.
pub(super) fn summary(measures: &[Measure]) {
    let figures: String = measures.iter().map(Measure::text).collect();
    let verdicts: String = measures.iter().filter_map(Measure::verdict).collect();
    eprintln!("\nfigures (medians; stages: when reached, and how long after the one before)\n{figures}\naims\n{verdicts}");
}

fn rounded(value: f64) -> Value {
    json!((value * 1000.0).round() / 1000.0)
}

/// Returns the smallest sample that at least that share of all is not above; 0 without samples.
fn quantile(samples: &[f64], share: f64) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    if share == 0.5 && sorted.len().is_multiple_of(2) && !sorted.is_empty() {
        return f64::midpoint(sorted[sorted.len() / 2 - 1], sorted[sorted.len() / 2]);
    }
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_one_of_the_samples_and_a_median_may_lie_between_two() {
        let samples: Vec<f64> = (1..=20).rev().map(f64::from).collect();
        assert_eq!((quantile(&samples, 0.5), quantile(&samples, 0.95)), (10.5, 19.0));
        assert_eq!((quantile(&[3.0, 1.0, 2.0], 0.5), quantile(&[7.0], 0.95), quantile(&[], 0.5)), (2.0, 7.0, 0.0));
    }

    #[test]
    fn the_line_says_how_long_each_stage_took() {
        let stages = vec![(Stage::Linked, vec![2.0, 4.0, 3.0]), (Stage::Answered, vec![10.0, 5.0, 9.0])];
        let measure = Measure::new("one", "ms", vec![10.0, 5.0, 9.0]).aim(8.0).stages(stages);
        insta::assert_snapshot!(measure.json("start"), @r#"{"aim_ms":8.0,"bench":"start","measure":"one","median_ms":9.0,"p95_ms":10.0,"reached":false,"runs":3,"stages":{"answered":{"at_ms":9.0,"took_ms":6.0},"linked":{"at_ms":3.0,"took_ms":3.0}}}"#);
        insta::assert_snapshot!(measure.verdict().unwrap().trim(), @"NOT reached  one: 9.00 ms, the aim is 8 ms");
    }
}
