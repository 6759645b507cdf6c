//! The programs under test, built once.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::SystemTime;

/// Set by whoever has just built everything, so that no test has to ask.
const BUILT: &str = "STEAD_BUILT";

/// Returns where the programs are, after bringing them up to date.
fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        if std::env::var_os(BUILT).is_none() {
            let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
            let status = Command::new(env!("CARGO"))
                .args(["build", "--quiet", "-p", "stead", "-p", "hello", "-p", "xtask"])
                .current_dir(root)
                .status();
            assert!(status.expect("cargo runs").success(), "the programs cannot be built");
        }
        // This test lies in `deps`, the programs beside it.
        let own = std::env::current_exe().expect("this test has a file");
        own.parent().and_then(Path::parent).expect("a target directory").to_owned()
    })
}

pub fn stead() -> PathBuf {
    folder().join("stead")
}

/// Returns an OCI archive with the example program, called `hello:latest`.
pub fn hello_archive() -> &'static Path {
    static ARCHIVE: OnceLock<PathBuf> = OnceLock::new();
    ARCHIVE.get_or_init(|| {
        let archive = folder().join("hello-for-tests.tar");
        if written(&archive).is_some_and(|packed| written(&folder().join("hello")).is_some_and(|built| built < packed)) {
            return archive;
        }
        // Other tests do the same at the same time: each makes its own, and the last one named is as good as the first.
        let own = archive.with_extension(std::process::id().to_string());
        let packed = Command::new(folder().join("xtask")).args(["image", "hello", "-o"]).arg(&own).output().expect("xtask runs");
        assert!(packed.status.success(), "the image cannot be packed: {}", String::from_utf8_lossy(&packed.stderr));
        std::fs::rename(&own, &archive).expect("it can be renamed");
        archive
    })
}

fn written(file: &Path) -> Option<SystemTime> {
    file.metadata().and_then(|metadata| metadata.modified()).ok()
}
