//! Programs that Debian's packages bring: installed when they are missing, and only those.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::process::{Tool, retry};

/// Bound on one run of apt-get; its downloads have shorter ones.
const TIMEOUT: Duration = Duration::from_secs(900);

/// A package, and a file by which one sees that what it brings is there, whoever installed it.
pub struct Package {
    pub name: &'static str,
    probe: &'static str,
}

const fn package(name: &'static str, probe: &'static str) -> Package {
    Package { name, probe }
}

/// What it takes to build: a linker and a C compiler for the cryptography.
pub const BUILD: &[Package] = &[
    package("gcc", "gcc"),
    package("libc6-dev", "/usr/include/stdio.h"),
    package("make", "make"),
    package("pkg-config", "pkg-config"),
];

/// Fuzzers: they are written in C++.
pub const FUZZING: &[Package] = &[package("g++", "g++")];

/// Real registries, images and containers for tests.
pub const TESTS: &[Package] = &[
    package("busybox-static", "busybox"),
    package("debootstrap", "debootstrap"),
    package("docker-registry", "docker-registry"),
    package("iproute2", "ip"),
    package("nftables", "nft"),
    package("python3-jsonschema", "/usr/lib/python3/dist-packages/jsonschema/__init__.py"),
    package("skopeo", "skopeo"),
    package("umoci", "umoci"),
];

/// Others that start containers, to compare with.
pub const PEERS: &[Package] = &[package("crun", "crun"), package("runc", "runc")];

/// Virtual machines.
pub const MACHINES: &[Package] =
    &[package("binutils", "strip"), package("kmod", "depmod"), package("qemu-system-x86", "qemu-system-x86_64")];

/// Installs what is missing of `packages`.
pub fn ensure(packages: &[&[Package]]) -> Result<()> {
    let missing: Vec<&str> = packages
        .iter()
        .flat_map(|list| list.iter())
        .filter(|package| !is_installed(package))
        .map(|package| package.name)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names = missing.join(" ");
    if !is_there("apt-get") {
        bail!("this is no Debian, so these packages are yours to install, by whatever names they have here: {names}");
    }
    if !rustix::process::geteuid().is_root() {
        bail!("packages are missing, and installing them takes root: sudo apt-get install {names}");
    }
    eprintln!("installing {names}");
    update()?;
    retry(3, "apt-get install", || apt_get().args(["install", "--yes", "--no-install-recommends"]).args(&missing).run().map(drop))
        .with_context(|| format!("installing {names}"))
}

/// Fetches the lists of packages.
pub fn update() -> Result<()> {
    retry(3, "apt-get update", || apt_get().arg("update").run().map(drop))
}

/// Returns a run of apt-get that neither asks nor waits for ever.
pub fn apt_get() -> Tool {
    let bounds = ["Acquire::Retries=3", "Acquire::http::Timeout=30", "Acquire::https::Timeout=30", "DPkg::Lock::Timeout=120"];
    let options = bounds.iter().flat_map(|bound| ["-o", bound]);
    Tool::new("apt-get").arg("--quiet").args(options).env("DEBIAN_FRONTEND", "noninteractive").timeout(TIMEOUT)
}

pub fn is_installed(package: &Package) -> bool {
    is_there(package.probe)
}

/// Returns whether a file is there: by its path, or as a program that root finds.
fn is_there(probe: &str) -> bool {
    if probe.starts_with('/') {
        return Path::new(probe).exists();
    }
    // Not everybody's PATH has the directories of root's programs.
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/local/sbin:/usr/sbin:/sbin";
    path.split(':').any(|dir| Path::new(dir).join(probe).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_by_name_and_files_by_path() {
        assert!(is_there("sh") && is_there("/etc/passwd"));
        assert!(!is_there("no-such-program") && !is_there("/no/such/file"));
    }

    #[test]
    fn nothing_is_done_when_nothing_is_missing() {
        ensure(&[&[package("no-such-package", "sh")]]).unwrap();
    }
}
