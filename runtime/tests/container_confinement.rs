//! What a container cannot do. Each test has a canary that a build without the wall would lose. Needs root.

mod container_support;

use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::fs::symlink;
use std::time::Duration;

use container_support::{Host, eventually, is_alive, within};
use runtime::container::Error;
use spec::kind::container::Cause;
use spec::manifest::Resources;
use spec::units::Bytes;

/// Runs each script; none may succeed.
async fn all_fail(tries: &[&str]) {
    let host = Host::new();
    for script in tries {
        let (cause, said) = host.run(script).await;
        assert_ne!(cause, Cause::Code(0), "{script}: {said}");
    }
}

#[tokio::test]
async fn the_kernels_dangerous_files_are_hidden_or_read_only() {
    all_fail(&[
        "test -s /proc/kcore",
        "head -c 1 /proc/kcore | grep -q .",
        "echo h > /proc/sysrq-trigger",
        "echo 1 > /proc/sys/kernel/panic",
        "echo core > /proc/sys/kernel/core_pattern",
        "test -s /proc/keys",
        "mkdir /sys/fs/cgroup/x",
        "echo 1 > /sys/kernel/profiling",
        "touch /sys/x",
        "ls /sys/firmware | grep -q .",
        "ls /sys/fs/cgroup/memory",
    ])
    .await;
}

#[tokio::test]
async fn devices_mounts_and_namespaces_are_out_of_reach() {
    all_fail(&[
        "mknod /tmp/disk b 254 0",
        "mknod /tmp/null c 1 3",
        "mount -t tmpfs none /tmp",
        "umount /proc",
        "unshare -U true",
        "unshare -m true",
        "hostname other",
        "date -s 2000-01-01; test $(date +%Y) = 2000",
        "dmesg",
        "chroot /proc/1/root/../.. ls /work",
        "ls /dev/vda",
        "nsenter -t 1 -m true",
    ])
    .await;
}

#[tokio::test]
async fn a_device_node_in_the_image_is_dead() {
    let host = Host::new();
    let null = libc::makedev(1, 3);
    let mode = rustix::fs::Mode::from_raw_mode(0o666);
    let node = host.image().join("zero");
    rustix::fs::mknodat(rustix::fs::CWD, node, rustix::fs::FileType::CharacterDevice, mode, null).unwrap();
    let (cause, said) = host.run("echo x > /zero").await;
    assert_ne!(cause, Cause::Code(0), "{said}");
}

#[tokio::test]
async fn the_process_has_few_rights_and_a_filter() {
    let host = Host::new();
    let (_, said) = host.run("grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status; cat /proc/self/oom_score_adj").await;
    insta::assert_snapshot!(said.replace('\t', " "), @r"
    CapInh: 0000000000000000
    CapPrm: 00000000a00425fb
    CapEff: 00000000a00425fb
    CapBnd: 00000000a00425fb
    CapAmb: 0000000000000000
    NoNewPrivs: 1
    Seccomp: 2
    0
    ");
}

#[tokio::test]
async fn a_set_user_id_program_gives_no_rights() {
    use std::os::unix::fs::PermissionsExt;
    let host = Host::new();
    fs::copy(host.image().join("bin/busybox"), host.image().join("bin/elevate")).unwrap();
    fs::set_permissions(host.image().join("bin/elevate"), fs::Permissions::from_mode(0o4755)).unwrap();
    // Busybox goes by the name it is called by, and knows none of this one.
    let mut launch = host.script("suid", "ln -s /bin/elevate /tmp/id; /tmp/id -u");
    launch.spec.process.user = "web".to_owned();
    host.run_launch(launch).await.unwrap();
    assert_eq!(host.said("suid").await.lines().last(), Some("33"));
}

#[tokio::test]
async fn only_the_three_standard_files_are_open() {
    let host = Host::new();
    // One that is not closed on exec, as a careless library would leave it.
    let leaked = rustix::fs::open("/etc/passwd", rustix::fs::OFlags::RDONLY, rustix::fs::Mode::empty()).unwrap();
    assert!(leaked.as_raw_fd() > 2);
    let (_, said) = host.run("ls /proc/1/fd; readlink /proc/1/fd/0").await;
    assert_eq!(said, "0\n1\n2\n/dev/null");

    // Nor does the shim hold it, which lives as long as the container.
    let _running = host.start(host.script("held", "sleep 1000")).await;
    let open = fs::read_dir(format!("/proc/{}/fd", host.shim("held"))).unwrap();
    let open: Vec<_> = open.filter_map(|file| fs::read_link(file.unwrap().path()).ok()).collect();
    assert!(!open.is_empty() && !open.iter().any(|file| file == std::path::Path::new("/etc/passwd")), "{open:?}");
}

#[tokio::test]
async fn only_its_own_processes_and_mounts_are_seen() {
    let host = Host::new();
    let (_, said) = host.run("exec ps -o pid,comm").await;
    assert_eq!(said.lines().count(), 2, "{said}");
    let (_, said) = host.run("cut -d' ' -f5 /proc/self/mountinfo | grep -v ^/proc | grep -v ^/sys/").await;
    insta::assert_snapshot!(said, @r"
    /
    /dev
    /dev/pts
    /dev/shm
    /dev/mqueue
    /sys
    ");
    let (_, said) = host.run("cat /proc/self/cgroup | cut -d: -f3 | sort -u; ls /sys/class/net").await;
    assert_eq!(said, "/\nlo");
}

#[tokio::test]
async fn an_image_with_links_in_place_of_the_kernels_directories_is_refused() {
    for name in ["dev", "proc", "sys"] {
        let host = Host::new();
        let canary = host.dir.path().join("canary");
        fs::create_dir(&canary).unwrap();
        fs::remove_dir(host.image().join(name)).unwrap();
        symlink(&canary, host.image().join(name)).unwrap();
        let refused = host.run_launch(host.script("links", "true")).await.unwrap_err();
        assert_eq!(refused.to_string(), format!("the image's /{name} is not a directory of its own; refused"));
        assert_eq!(fs::read_dir(&canary).unwrap().count(), 0);
    }
}

#[tokio::test]
async fn a_device_file_that_is_a_link_in_the_image_is_of_no_consequence() {
    let host = Host::new();
    let canary = host.dir.path().join("canary");
    fs::write(&canary, "alive").unwrap();
    symlink(&canary, host.image().join("dev/null")).unwrap();
    let (cause, said) = host.run("test -c /dev/null && echo x > /dev/null").await;
    assert_eq!(cause, Cause::Code(0), "{said}");
    assert_eq!(fs::read_to_string(canary).unwrap(), "alive");
}

#[tokio::test]
async fn a_working_directory_behind_an_open_file_is_refused() {
    let host = Host::new();
    symlink("/proc/self/fd/8", host.image().join("door")).unwrap();
    for workdir in ["/proc/self/fd/7", "/proc/self/fd/8/../..", "/door", "/door/..", "/proc/1/cwd"] {
        let mut launch = host.launch("door", &["pwd"]);
        launch.spec.process.workdir = workdir.to_owned();
        let refused = host.run_launch(launch).await;
        assert!(matches!(&refused, Err(Error::NotStarted(why)) if why.contains("leads into /dev, /proc or /sys")), "{refused:?}");
    }
}

#[tokio::test]
async fn files_of_the_host_are_not_written_through_links_in_etc() {
    let host = Host::new();
    let canary = host.dir.path().join("canary");
    fs::write(&canary, "alive").unwrap();
    for name in ["hosts", "hostname", "resolv.conf"] {
        symlink(&canary, host.image().join("etc").join(name)).unwrap();
    }
    let (cause, said) = host.run("cat /etc/hostname").await;
    assert_eq!((cause, said.as_str()), (Cause::Code(0), "replica"));
    assert_eq!(fs::read_to_string(canary).unwrap(), "alive");
}

#[tokio::test]
async fn one_that_uses_too_much_memory_dies_alone_and_says_so() {
    let host = Host::new();
    let neighbour = host.start(host.script("neighbour", "sleep 1000")).await;
    let mut hog = host.script("hog", "exec tail -c 1000000000 /dev/zero");
    hog.spec.resources = Resources { cpu: None, memory: Some(Bytes(16 << 20)) };
    assert_eq!(host.run_launch(hog).await.unwrap().cause, Cause::OutOfMemory);
    let mut child = host.script("child", "tail -c 1000000000 /dev/zero; exit $?");
    child.spec.resources = Resources { cpu: None, memory: Some(Bytes(16 << 20)) };
    assert_eq!(host.run_launch(child).await.unwrap().cause, Cause::OutOfMemory, "a shell passes it on as code 137");
    assert_eq!(host.run("kill -9 $$; exit 137").await.0, Cause::Code(137), "a code alone is no proof");
    assert!(is_alive(neighbour.pid));
}

#[tokio::test]
async fn a_fork_bomb_stays_in_its_bounds_and_is_removed() {
    let host = Host::new();
    let mut bomb = host.script("bomb", "echo lit; b() { b | b & }; b; b; sleep 1000");
    bomb.spec.resources = Resources { cpu: None, memory: Some(Bytes(256 << 20)) };
    let running = host.start(bomb).await;
    let most = || {
        let groups = host.cgroups("bomb");
        let counts = groups.iter().filter_map(|group| fs::read_to_string(group.join("pids.max")).ok());
        counts.filter_map(|count| count.trim().parse::<u32>().ok()).max()
    };
    assert_eq!(most(), Some(4096));
    host.heard("bomb", "lit").await;
    let count = || {
        host.cgroups("bomb")
            .iter()
            .map(|group| fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default().lines().count())
            .max()
    };
    eventually("it has many processes", async || count() > Some(50) || !is_alive(running.pid)).await;
    within(host.containers.release("bomb")).await.unwrap();
    assert!(host.cgroups("bomb").is_empty());
    let (cause, _) = host.run("true").await;
    assert_eq!(cause, Cause::Code(0));
}

#[tokio::test]
async fn a_share_of_a_processor_is_all_it_gets() {
    let host = Host::new();
    let mut launch = host.script("slow", "while :; do :; done");
    launch.spec.resources = Resources { cpu: Some("0.2".parse().unwrap()), memory: None };
    let running = host.start(launch).await;
    let used = || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", running.pid)).unwrap();
        let fields: Vec<u64> = stat.rsplit_once(") ").unwrap().1.split(' ').filter_map(|field| field.parse().ok()).collect();
        // utime and stime, in hundredths of a second.
        (fields[10] + fields[11]) * 10
    };
    let begin = std::time::Instant::now();
    eventually("it has run for a while", async || begin.elapsed() > Duration::from_secs(1)).await;
    let (used, wall) = (used(), begin.elapsed().as_millis() as u64);
    assert!(used < wall / 2, "{used} of {wall} ms");
}
