//! The lines by which a scenario says from inside the VM how it went.
//!
//! One line is one fact: `e2e: start`, `e2e: pass NAME`, `e2e: fail NAME: WHY`, `e2e: note TEXT`, `e2e: end`. Whatever else
//! comes over the serial port is the kernel's.

use std::fmt;

use anyhow::Result;

const MARK: &str = "e2e: ";

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// The first process runs.
    Start,
    Pass(String),
    Fail {
        check: String,
        why: String,
    },
    Note(String),
    /// The scenario is over. Without this line it was cut short.
    End,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Line::Start => write!(f, "{MARK}start"),
            Line::Pass(check) => write!(f, "{MARK}pass {check}"),
            Line::Fail { check, why } => write!(f, "{MARK}fail {check}: {}", why.replace('\n', " | ")),
            Line::Note(text) => write!(f, "{MARK}note {text}"),
            Line::End => write!(f, "{MARK}end"),
        }
    }
}

impl Line {
    /// Finds what a line of the serial port says; the kernel may have written something in front.
    pub fn parse(text: &str) -> Option<Line> {
        let (_, said) = text.trim_end().split_once(MARK)?;
        let (word, rest) = said.split_once(' ').unwrap_or((said, ""));
        match word {
            "start" => Some(Line::Start),
            "pass" => Some(Line::Pass(rest.to_owned())),
            "fail" => rest.split_once(": ").map(|(check, why)| Line::Fail { check: check.to_owned(), why: why.to_owned() }),
            "note" => Some(Line::Note(rest.to_owned())),
            "end" => Some(Line::End),
            _ => None,
        }
    }
}

/// Where a scenario writes its lines.
#[derive(Default)]
pub struct Report {
    failed: bool,
}

impl Report {
    /// Does one step and says how it went; returns its value when it went well.
    pub fn check<T>(&mut self, name: &str, step: impl FnOnce() -> Result<T>) -> Option<T> {
        match step() {
            Ok(value) => {
                println!("{}", Line::Pass(name.to_owned()));
                Some(value)
            }
            Err(error) => {
                self.failed = true;
                println!("{}", Line::Fail { check: name.to_owned(), why: format!("{error:#}") });
                None
            }
        }
    }

    /// Says something that explains, one line of it a line.
    pub fn note(&self, text: &str) {
        for line in text.lines() {
            println!("{}", Line::Note(line.to_owned()));
        }
    }

    pub fn has_failed(&self) -> bool {
        self.failed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_they_were_written() {
        let fail = Line::Fail { check: "the page".to_owned(), why: "it: is | gone".to_owned() };
        for line in [Line::Start, Line::Pass("a b: c".to_owned()), fail, Line::Note("x".to_owned()), Line::End] {
            assert_eq!(Line::parse(&line.to_string()), Some(line.clone()));
            assert_eq!(Line::parse(&format!("[    2.5] {line}\r")), Some(line));
        }
        for other in ["", "e2e:", "e2e: ", "e2e: endless", "e2e: fail", "[ 1.0] Linux version"] {
            assert_eq!(Line::parse(other), None, "{other:?}");
        }
    }

    #[test]
    fn a_failed_step_is_remembered_and_its_neighbours_go_on() {
        let mut report = Report::default();
        assert_eq!(report.check("one", || Ok(1)), Some(1));
        assert!(!report.has_failed());
        assert_eq!(report.check("two", || -> Result<()> { anyhow::bail!("no") }), None);
        assert_eq!(report.check("three", || Ok(3)), Some(3));
        assert!(report.has_failed());
    }
}
