//! Debian's kernel for virtual machines: downloaded and unpacked into the target directory, never installed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::packages;
use crate::process::{Tool, retry};

/// Always names the newest kernel; the one it names today is its dependency. Older ones vanish from the archive.
const META_PACKAGE: &str = "linux-image-cloud-amd64";

/// An unpacked kernel package.
pub struct Kernel {
    /// What is booted.
    pub image: PathBuf,
    /// `lib/modules/<release>`.
    modules: PathBuf,
}

impl Kernel {
    /// Returns the kernel in `cache`, where it is put the first time.
    pub fn cached(cache: &Path) -> Result<Kernel> {
        if std::env::consts::ARCH != "x86_64" {
            bail!("virtual machines are made for x86_64 only so far");
        }
        let place = cache.join("kernel");
        if !place.exists() {
            download(cache, &place).context("the kernel for virtual machines")?;
        }
        Kernel::in_folder(&place).with_context(|| format!("{} is no kernel; remove it to have it made again", place.display()))
    }

    fn in_folder(folder: &Path) -> Result<Kernel> {
        let modules = only_entry(&folder.join("lib/modules"))?;
        let release = modules.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let image = folder.join(format!("boot/vmlinuz-{release}"));
        if !image.exists() {
            bail!("{} is missing", image.display());
        }
        Ok(Kernel { image, modules })
    }

    /// Returns the files of modules, each behind those it depends on. What is built into the kernel has no file.
    pub fn modules(&self, names: &[&str]) -> Result<Vec<PathBuf>> {
        let dependencies = std::fs::read_to_string(self.modules.join("modules.dep"))?;
        let built_in = std::fs::read_to_string(self.modules.join("modules.builtin"))?;
        let files = load_order(&dependencies, &built_in, names)?;
        Ok(files.iter().map(|file| self.modules.join(file)).collect())
    }
}

fn download(cache: &Path, place: &Path) -> Result<()> {
    std::fs::create_dir_all(cache)?;
    let work = tempfile::tempdir_in(cache)?;
    retry(2, "the kernel package", || {
        let package = newest().or_else(|_| packages::update().and_then(|()| newest()))?;
        println!("downloading {package}");
        // A list that is out of date names a package that is gone.
        packages::apt_get()
            .args(["download", &package])
            .dir(work.path())
            .run()
            .or_else(|error| packages::update().and(Err(error)))
    })?;
    let package = only_entry(work.path())?;
    let unpacked = work.path().join("unpacked");
    Tool::new("dpkg").arg("-x").arg(&package).arg(&unpacked).run()?;
    let release = only_entry(&unpacked.join("lib/modules"))?;
    // Not in everybody's PATH.
    let depmod = ["/usr/sbin/depmod", "/sbin/depmod"].into_iter().find(|path| Path::new(path).exists()).unwrap_or("depmod");
    Tool::new(depmod).arg("-b").arg(&unpacked).arg(release.file_name().unwrap_or_default()).run()?;
    // At once or not at all, for whoever looks meanwhile.
    match std::fs::rename(&unpacked, place) {
        Err(error) if !place.exists() => Err(error.into()),
        _ => Ok(()),
    }
}

/// Returns the package that the meta package stands for.
fn newest() -> Result<String> {
    let text = Tool::new("apt-cache").args(["depends", META_PACKAGE]).run()?;
    let dependencies = text.lines().filter_map(|line| line.trim().strip_prefix("Depends: "));
    let package = dependencies.into_iter().find(|name| name.starts_with("linux-image-"));
    package.map(str::to_owned).with_context(|| format!("{META_PACKAGE} names no kernel"))
}

fn only_entry(folder: &Path) -> Result<PathBuf> {
    let mut entries = std::fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    match (entries.next(), entries.next()) {
        (Some(entry), None) => Ok(entry?.path()),
        _ => bail!("{} has not exactly one entry", folder.display()),
    }
}

/// Orders modules by `modules.dep`, whose lines are `file: files it depends on`.
fn load_order<'a>(dependencies: &'a str, built_in: &str, names: &[&str]) -> Result<Vec<&'a str>> {
    let table: Vec<(&str, &str)> = dependencies.lines().filter_map(|line| line.split_once(':')).collect();
    let mut order = Vec::new();
    let mut known = BTreeSet::new();
    for name in names {
        match table.iter().find(|(file, _)| module_name(file) == *name) {
            Some((file, _)) => visit(file, &table, &mut known, &mut order),
            None if built_in.lines().any(|file| module_name(file) == *name) => {}
            None => bail!("the kernel has no module {name}"),
        }
    }
    Ok(order)
}

fn visit<'a>(file: &'a str, table: &[(&'a str, &'a str)], known: &mut BTreeSet<&'a str>, order: &mut Vec<&'a str>) {
    if !known.insert(file) {
        return;
    }
    let needs = table.iter().find(|(other, _)| *other == file).map_or("", |(_, needs)| needs);
    for need in needs.split_whitespace() {
        visit(need, table, known, order);
    }
    order.push(file);
}

/// Returns the name in `kernel/net/nf-x.ko`, in which the kernel sees no difference between `-` and `_`.
fn module_name(file: &str) -> String {
    let name = file.rsplit('/').next().unwrap_or(file);
    name.split(".ko").next().unwrap_or(name).replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_loaded_behind_what_they_depend_on_and_once() {
        let dependencies = "k/nft_nat.ko: k/nf_nat.ko k/nf-tables.ko k/crc.ko\nk/nf_nat.ko: k/crc.ko\nk/nf-tables.ko: k/crc.ko\nk/crc.ko:\nk/x.ko:\n";
        let order = load_order(dependencies, "k/ext4.ko\n", &["nf_tables", "ext4", "nft_nat"]).unwrap();
        assert_eq!(order, ["k/crc.ko", "k/nf-tables.ko", "k/nf_nat.ko", "k/nft_nat.ko"]);
        assert!(load_order(dependencies, "", &["ext4"]).unwrap_err().to_string().contains("ext4"));
    }
}
