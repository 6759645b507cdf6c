//! Writes initramfs archives: cpio in its `newc` form (Documentation/driver-api/early-userspace/buffer-format.rst).

use std::path::Path;

use anyhow::{Context, Result};

use crate::process::Tool;

/// Everything in the archive is padded to this.
const ALIGNMENT: usize = 4;
const DIRECTORY: u32 = 0o040_000;
const FILE: u32 = 0o100_000;

/// An archive under construction. The kernel unpacks several, one behind the other, as if they were one.
#[derive(Default)]
pub struct Archive {
    bytes: Vec<u8>,
    entries: u32,
}

impl Archive {
    /// Adds a directory; its parent has been added before. Paths have no slash in front.
    pub fn directory(&mut self, path: &str) {
        self.entry(path, DIRECTORY | 0o755, &[]);
    }

    pub fn file(&mut self, path: &str, contents: &[u8]) {
        self.entry(path, FILE | 0o644, contents);
    }

    pub fn program(&mut self, path: &str, contents: &[u8]) {
        self.entry(path, FILE | 0o755, contents);
    }

    pub fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, &[]);
        self.bytes
    }

    fn entry(&mut self, path: &str, mode: u32, contents: &[u8]) {
        self.entries += 1;
        let links = if mode & DIRECTORY == 0 { 1 } else { 2 };
        let size = u32::try_from(contents.len()).expect("a file of an initramfs is shorter than 4 GiB");
        let name_size = path.len() as u32 + 1;
        self.bytes.extend(b"070701");
        // Inode, mode, owner, group, links, time, size, two device numbers, two of the node, length of the name, checksum.
        for field in [self.entries, mode, 0, 0, links, 0, size, 0, 0, 0, 0, name_size, 0] {
            self.bytes.extend(format!("{field:08x}").bytes());
        }
        self.bytes.extend(path.bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend(contents);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(ALIGNMENT), 0);
    }
}

/// Returns a program without its symbols: an emulated machine takes a second for every 20 MB.
pub fn stripped(program: &Path) -> Result<Vec<u8>> {
    let file = tempfile::NamedTempFile::new()?;
    Tool::new("strip").arg("-o").arg(file.path()).arg(program).run()?;
    std::fs::read(file.path()).with_context(|| format!("cannot read {}", file.path().display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_have_the_form_the_kernel_reads() {
        let mut archive = Archive::default();
        archive.directory("a");
        archive.file("a/bcd", b"hello");
        let bytes = archive.finish();
        assert_eq!(bytes.len() % ALIGNMENT, 0);
        let text = String::from_utf8(bytes).unwrap().replace('\0', ".");
        insta::assert_snapshot!(text, @"07070100000001000041ed0000000000000000000000020000000000000000000000000000000000000000000000000000000200000000a.07070100000002000081a40000000000000000000000010000000000000005000000000000000000000000000000000000000600000000a/bcd.hello...07070100000003000000000000000000000000000000010000000000000000000000000000000000000000000000000000000b00000000TRAILER!!!....");
    }
}
