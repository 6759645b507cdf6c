//! How long a file may get before somebody should think about cutting it.

use std::path::Path;

use anyhow::Result;

use super::{Finding, Level, read, relative, sources};
use crate::workspace::Package;

/// Past this, a file rarely is about one thing.
const LINES_MAX: usize = 400;

pub(super) fn check(packages: &[Package], root: &Path) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for package in packages {
        for path in sources(package.dir())? {
            findings.extend(of_file(relative(&path, root), &read(&path)?));
        }
    }
    Ok(findings)
}

fn of_file(file: &Path, text: &str) -> Option<Finding> {
    let lines = text.lines().count();
    (lines > LINES_MAX).then(|| Finding {
        file: file.to_owned(),
        line: LINES_MAX + 1,
        message: format!("{lines} lines are more than {LINES_MAX}"),
        way_out: "give what stands on its own a file of its own".to_owned(),
        level: Level::Warning,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_long_files_are_found_and_only_as_a_warning() {
        assert_eq!(of_file(Path::new("a.rs"), &"\n".repeat(LINES_MAX)), None);
        let finding = of_file(Path::new("a.rs"), &"\n".repeat(LINES_MAX + 1)).unwrap();
        assert_eq!((finding.line, finding.level), (LINES_MAX + 1, Level::Warning));
    }
}
