//! The rules about the sources hold: the same as `cargo xtask tidy`, without formatter and linter.

use xtask::tidy::{Level, findings};

#[test]
fn the_workspace_keeps_its_rules() {
    let findings = findings().unwrap();
    let errors: Vec<String> = findings.iter().filter(|finding| finding.level == Level::Error).map(ToString::to_string).collect();
    assert!(errors.is_empty(), "{}", errors.join("\n"));
}
