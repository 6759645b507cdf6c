//! Images made of what Debian has: a shell in a box, and a real web server.
//!
//! They are kept below `target/images`, so that they are made once; a new name in the code makes a new one.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use rustix::fs::FlockOperation;

/// What busybox's httpd answers.
pub const GREETING: &str = "here\n";

/// What it runs for a POST: a script, and what that prints is the answer.
const SHELL: &str = "#!/bin/sh\necho 'Content-Type: text/plain'\necho\nexec 2>&1\nexec sh\n";

/// What nginx is told: to answer with the name of the machine, and to write where containers write.
const NGINX: &str = "daemon off;
user www-data;
worker_processes 1;
error_log /dev/stderr notice;
events {}
http {
    access_log /dev/stdout;
    server {
        listen 80;
        default_type text/plain;
        return 200 \"$hostname\\n\";
    }
}
";

/// What the programs of [`commands`] do: they say how they were called and where, and stay.
const SAY: &str = "#!/bin/sh\necho \"called: $0 $* in $PWD\"\nexec sleep 1000\n";

/// Returns an OCI archive with busybox and a name for each of its applets, called `busybox:latest`.
pub fn busybox() -> &'static Path {
    static ARCHIVE: OnceLock<PathBuf> = OnceLock::new();
    ARCHIVE.get_or_init(|| {
        kept("busybox-4.tar", |archive, scratch| {
            let root = busybox_root(scratch);
            fs::create_dir_all(root.join("www/cgi-bin")).expect("a directory");
            fs::write(root.join("www/index.html"), GREETING).expect("a file");
            fs::write(root.join("www/cgi-bin/run"), SHELL).expect("a file");
            fs::set_permissions(root.join("www/cgi-bin/run"), fs::Permissions::from_mode(0o755)).expect("it is a program");
            // As the first process of a container none of its programs hears a SIGTERM, and a test has no time for the grace.
            let layout = pack(scratch, &root, &["--config.stopsignal", "SIGKILL"]);
            let target = format!("oci-archive:{}:busybox:latest", archive.display());
            copy(&format!("oci:{}:latest", layout.display()), &target);
        })
    })
}

/// Returns an OCI archive with all three that a command can replace: ENTRYPOINT `/bin/say image-entrypoint`, CMD `image-cmd` and
/// WORKDIR `/image`; called `commands:latest`. It has a second program, `/bin/tell`.
pub fn commands() -> &'static Path {
    static ARCHIVE: OnceLock<PathBuf> = OnceLock::new();
    ARCHIVE.get_or_init(|| {
        kept("commands-1.tar", |archive, scratch| {
            let root = busybox_root(scratch);
            for dir in ["image", "other"] {
                fs::create_dir_all(root.join(dir)).expect("a directory");
            }
            for program in ["bin/say", "bin/tell"] {
                fs::write(root.join(program), SAY).expect("a file");
                fs::set_permissions(root.join(program), fs::Permissions::from_mode(0o755)).expect("it is a program");
            }
            let entrypoint = ["--config.entrypoint", "/bin/say", "--config.entrypoint", "image-entrypoint"];
            let rest = ["--config.cmd", "image-cmd", "--config.workingdir", "/image", "--config.stopsignal", "SIGKILL"];
            let layout = pack(scratch, &root, &[entrypoint.as_slice(), rest.as_slice()].concat());
            let target = format!("oci-archive:{}:commands:latest", archive.display());
            copy(&format!("oci:{}:latest", layout.display()), &target);
        })
    })
}

/// Makes a root with busybox and a name for each of its applets.
fn busybox_root(scratch: &Path) -> PathBuf {
    let root = scratch.join("root");
    for dir in ["bin", "etc", "proc", "sys", "dev"] {
        fs::create_dir_all(root.join(dir)).expect("a directory");
    }
    fs::write(root.join("etc/passwd"), "root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n").expect("a file");
    fs::copy(busybox_program(), root.join("bin/busybox")).expect("busybox-static is installed");
    let applets = run(Command::new(busybox_program()).arg("--list"));
    for applet in applets.lines().filter(|applet| *applet != "busybox") {
        symlink("busybox", root.join("bin").join(applet)).expect("a link");
    }
    root
}

/// Returns the static busybox of this machine.
pub fn busybox_program() -> &'static Path {
    Path::new("/usr/bin/busybox")
}

/// Returns an OCI layout with Debian and its nginx, whose only image has the tag `latest`.
pub fn nginx() -> &'static Path {
    static LAYOUT: OnceLock<PathBuf> = OnceLock::new();
    LAYOUT.get_or_init(|| {
        kept("debian-nginx-2", |target, scratch| {
            let root = scratch.join("root");
            debian(&root, "nginx-light");
            fs::write(root.join("etc/nginx/nginx.conf"), NGINX).expect("its configuration can be written");
            for leftover in
                ["var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/info", "usr/share/locale", "usr/share/man"]
            {
                // Debian's own images for containers leave the same out.
                fs::remove_dir_all(root.join(leftover)).expect("it can be left out");
            }
            let layout = pack(scratch, &root, &["--config.entrypoint", "nginx"]);
            fs::rename(layout, target).expect("it can be kept");
        })
    })
}

/// Copies an image; both ends are as skopeo names them.
pub fn copy(from: &str, to: &str) {
    run(Command::new("skopeo").args(["--insecure-policy", "copy", "--quiet", from, to]));
}

/// Returns what is kept by that name, after `make` made it if it was not there: it gets its place and a scratch directory.
fn kept(name: &str, make: impl FnOnce(&Path, &Path)) -> PathBuf {
    let images = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").join("target/images");
    fs::create_dir_all(&images).expect("a directory");
    let lock = fs::File::create(images.join(format!("{name}.lock"))).expect("a file");
    // Other tests may want the same at the same time: one makes it.
    rustix::fs::flock(&lock, FlockOperation::LockExclusive).expect("it can be locked");
    let place = images.join(name);
    if !place.exists() {
        let scratch = tempfile::Builder::new().prefix(".making-").tempdir_in(&images).expect("a directory");
        let made = scratch.path().join("made");
        make(&made, scratch.path());
        fs::rename(made, &place).expect("it can be put in its place");
    }
    place
}

/// Makes an image of one layer out of a root; returns its layout.
fn pack(scratch: &Path, root: &Path, config: &[&str]) -> PathBuf {
    let layout = scratch.join("layout");
    let image = format!("{}:latest", layout.display());
    run(Command::new("umoci").args(["init", "--layout"]).arg(&layout));
    run(Command::new("umoci").args(["new", "--image", &image]));
    run(Command::new("umoci").args(["insert", "--image", &image]).arg(root).arg("/"));
    run(Command::new("umoci").args(["config", "--image", &image]).args(config));
    layout
}

/// Installs the smallest Debian of this machine's release, with some packages more.
fn debian(root: &Path, packages: &str) {
    let (mirror, release) = mirror();
    // In a mount namespace of its own: what it mounts ends with it, however it ends.
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "debootstrap", "--variant=minbase", "--include", packages]);
    command.arg(release).arg(root).arg(mirror);
    if let Some(proxy) = proxy() {
        command.env("http_proxy", proxy);
    }
    run(&mut command);
}

/// Returns where apt gets this release from, and the release's name.
fn mirror() -> (String, String) {
    let os = fs::read_to_string("/etc/os-release").expect("the release has a name");
    let release = os.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME=")).expect("it is a Debian");
    let format = ["indextargets", "--format", "$(RELEASE) $(COMPONENT) $(REPO_URI)", "Identifier: Packages"];
    let targets = run(Command::new("apt-get").args(format));
    let wanted = format!("{release} main ");
    let mirror = targets.lines().find_map(|line| line.strip_prefix(&wanted)).expect("apt has a mirror of this release");
    (mirror.to_owned(), release.to_owned())
}

/// Returns the proxy that apt goes through.
fn proxy() -> Option<String> {
    let said = run(Command::new("apt-config").args(["shell", "PROXY", "Acquire::http::Proxy"]));
    let proxy = said.trim().strip_prefix("PROXY=")?.trim_matches('\'').to_owned();
    Some(proxy).filter(|proxy| !proxy.is_empty() && proxy != "DIRECT")
}

/// Runs a program that must succeed, and returns what it printed.
fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = || format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{}", output.status, said());
    String::from_utf8_lossy(&output.stdout).into_owned()
}
