//! What a container reaches and what it does not: on the network, of the kernel, and of its neighbours' share. Needs root.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::net::{AddressFamily, SendFlags, SocketType, ipproto, sendto, socket};
use tests::outside::{INTERNET, Listener, METADATA, NODE, connect, is_reached_from};
use tests::server::{Namespace, Server};
use tests::shell::{self, Shell};
use tests::{host, images, program, until};

/// A program that answers on port 80.
const GREETER: &str = "{entrypoint: [httpd, -f, -h, /www]}";

/// A deployment of services of the busybox image, each with its command and more fields.
fn deployment(name: &str, services: &[(&str, &str, &str)]) -> String {
    let mut text = format!("version: v1\ndeployment: {name}\nservices:\n");
    for (service, command, more) in services {
        text += &format!("  {service}:\n    image: {{name: 'busybox:latest'}}\n    command: {command}\n{more}");
    }
    text
}

fn with_busybox() -> Server {
    let server = Server::new();
    server.load(images::busybox());
    server
}

/// A node with a deployment `one`, a shell and its sibling, and another, `two`, all connected to the outside.
fn neighbours() -> (Server, Namespace, Shell) {
    let server = with_busybox();
    let outside = connect(&server);
    let endpoint = "    endpoints: [{name: e, protocol: http, port: 8080, target: 80, expose: public}]\n";
    server.up(&deployment("one", &[("shell", shell::COMMAND, ""), ("sibling", GREETER, endpoint)])).good();
    server.up(&deployment("two", &[("other", GREETER, "    health: {check: {type: tcp, port: 80}}\n")])).good();
    let shell = Shell::of(&server, "one/shell/0");
    (server, outside, shell)
}

fn at(address: impl Into<std::net::IpAddr>, port: u16) -> SocketAddr {
    SocketAddr::new(address.into(), port)
}

#[test]
fn a_container_reaches_its_siblings_and_the_internet_and_nobody_else() {
    let (server, outside, shell) = neighbours();
    let (internet, _metadata) =
        (Listener::on(&outside, &format!("{INTERNET}:80")), Listener::on(&outside, &format!("{METADATA}:80")));
    let everywhere = Listener::on(&server.namespace, "0.0.0.0:7000");
    let loopback = Listener::on(&server.namespace, "127.0.0.1:7001");
    let (sibling, other) = (server.addresses("one/sibling/0"), server.addresses("two/other/0"));

    // All of them are there: from the node itself they are reached.
    let all = [at(sibling[0], 80), at(other[0], 80), at(other[1], 80), at(INTERNET, 80), at(METADATA, 80), at(NODE, 7000)];
    for address in all.into_iter().chain([at(Ipv4Addr::LOCALHOST, 7001)]) {
        until(&format!("{address} answers the node"), || is_reached_from(&server.namespace, address));
    }
    let (came, came_to_loopback) = (everywhere.visitors().len(), loopback.visitors().len());

    let friends = [format!("{}:80", sibling[0]), "sibling.global:80".to_owned(), format!("{INTERNET}:80")];
    let strangers = [
        format!("{}:80", other[0]),
        format!("{}:80", other[1]),
        "other.global:80".to_owned(),
        "169.254.1.1:7000".to_owned(),
        "169.254.1.1:7001".to_owned(),
        "169.254.1.1:8080".to_owned(),
        format!("{NODE}:7000"),
        format!("{NODE}:8080"),
        format!("{METADATA}:80"),
    ];
    let targets: Vec<&str> = friends.iter().chain(&strangers).map(String::as_str).collect();
    assert_eq!(shell.reaches(&targets), friends.iter().map(String::as_str).collect());
    assert_eq!(everywhere.visitors().len(), came, "no packet got as far as a connection");
    assert_eq!(loopback.visitors().len(), came_to_loopback);
    assert_eq!(internet.visitors().last(), Some(&NODE.into()), "it leaves under the node's address");

    // The node says why, to who looks.
    let filter = server.namespace.shell("nft list ruleset");
    for rule in ["host-service", "link-local", "other-overlay"] {
        let line = filter.lines().find(|line| line.contains(rule)).unwrap_or_else(|| panic!("no rule {rule}:\n{filter}"));
        assert!(!line.contains("packets 0 "), "{line}");
    }
}

#[test]
fn names_are_answered_for_the_own_deployment_alone() {
    let (server, _outside, shell) = neighbours();
    let sibling = server.addresses("one/sibling/0")[0].to_string();
    let found = shell.run("nslookup sibling.global");
    assert!(found.contains(&format!("Address: {sibling}")), "{found}");
    for name in ["other.global", "two.global", "other.service", "sibling.service", "nobody.global"] {
        let said = shell.run(&format!("nslookup {name}"));
        assert!(said.contains(&format!("can't find {name}: NXDOMAIN")), "{said}");
    }
}

#[test]
fn from_outside_only_endpoints_are_reached() {
    let (server, outside, _shell) = neighbours();
    outside.shell(&format!("ip route add 10.192.0.0/12 via {NODE}"));
    let sibling = server.addresses("one/sibling/0");
    until("it answers the node", || is_reached_from(&server.namespace, at(sibling[0], 80)));
    until("the endpoint answers outside", || is_reached_from(&outside, at(NODE, 8080)));
    for address in [at(sibling[0], 80), at(sibling[1], 80), at(Ipv4Addr::new(169, 254, 1, 1), 53)] {
        assert!(!is_reached_from(&outside, address), "{address}");
    }
    let filter = server.namespace.shell("nft list ruleset");
    let line = filter.lines().find(|line| line.contains("from-outside")).expect("a rule");
    assert!(!line.contains("packets 0 "), "{line}");
}

/// Returns a UDP packet with whatever source address (RFC 791, RFC 768); the kernel fills in length and checksum.
fn datagram(from: Ipv4Addr, to: Ipv4Addr, port: u16, payload: &[u8]) -> Vec<u8> {
    let length = 8 + payload.len() as u16;
    let mut packet = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0];
    packet.extend(from.octets());
    packet.extend(to.octets());
    for word in [4000, port, length, 0] {
        packet.extend(word.to_be_bytes());
    }
    packet.extend(payload);
    packet
}

#[test]
fn a_packet_with_a_false_source_goes_nowhere() {
    let (server, _outside, shell) = neighbours();
    let pids = server.pids();
    let (sender, receiver) = (Namespace::of(pids["one/shell/0"]), Namespace::of(pids["one/sibling/0"]));
    let (own, to) = (shell.address, server.addresses("one/sibling/0")[0]);
    let inbox = receiver.run(|| UdpSocket::bind("0.0.0.0:7777")).expect("a port");
    inbox.set_read_timeout(Some(tests::PATIENCE)).unwrap();

    // Another replica of the same network, one of another's, an address that nobody has, and a stranger.
    let unused = Ipv4Addr::from(u32::from(to) ^ 1);
    let spoofed = [to, server.addresses("two/other/0")[0], unused, INTERNET, NODE];
    let sources: Vec<_> = spoofed.into_iter().map(|source| (source, "false")).chain([(own, "true")]).collect();
    sender.run(move || {
        let raw = socket(AddressFamily::INET, SocketType::RAW, Some(ipproto::RAW)).expect("a raw socket");
        for (source, payload) in sources {
            let packet = datagram(source, to, 7777, payload.as_bytes());
            sendto(&raw, &packet, SendFlags::empty(), &at(to, 0)).expect("it can be sent");
        }
    });
    let mut payload = [0; 16];
    let (length, from) = inbox.recv_from(&mut payload).expect("the honest one arrives");
    assert_eq!((&payload[..length], from.ip()), (&b"true"[..], own.into()));
    inbox.set_nonblocking(true).unwrap();
    assert!(inbox.recv(&mut payload).is_err(), "nothing else does");
}

#[test]
fn a_container_reaches_nothing_of_the_kernel_that_is_the_hosts() {
    let server = with_busybox();
    server.up(&deployment("one", &[("shell", shell::COMMAND, ""), ("sleeper", "{entrypoint: [sleep, '1000']}", "")])).good();
    let shell = Shell::of(&server, "one/shell/0");
    assert!(shell.succeeds("echo x > /file && test $(cat /file) = x && id -u | grep -qx 0"), "what is its own it may do");
    for script in [
        "test $(head -c 1 /proc/kcore | wc -c) != 0",
        "echo h > /proc/sysrq-trigger",
        "echo /bin/false > /proc/sys/kernel/core_pattern",
        "echo 1 > /proc/sys/net/ipv4/ip_forward",
        "mknod /disk b 8 0",
        "mknod /null c 1 3",
        "mkdir -p /mnt && mount -t tmpfs none /mnt",
        "mount -o remount,rw /sys",
        "umount /proc",
        "unshare -U true",
        "unshare -m true",
        "hostname other",
        "ip link add x type veth",
        "ip address add 10.0.0.1/8 dev lo",
        "ip link set lo down",
        "dmesg | grep -q .",
        "mkdir /sys/fs/cgroup/own",
        "test -n \"$(for file in $(find /sys/fs/cgroup -type f); do echo 0 2>/dev/null > $file && echo $file; done)\"",
        "ls /sys/firmware | grep -q .",
        "ls /dev | grep -vxE 'console|core|fd|full|mqueue|null|ptmx|pts|random|shm|stderr|stdin|stdout|tty|urandom|zero'",
    ] {
        assert!(!shell.succeeds(&format!("({script})")), "{script}: {}", shell.run(script));
    }
    for replica in ["one/shell/0", "one/sleeper/0"] {
        let status = fs::read_to_string(format!("/proc/{}/status", server.pid(replica))).unwrap();
        let field =
            |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim).unwrap_or_default().to_owned();
        // Docker's default set without CAP_MKNOD; two filters of system calls.
        for name in ["CapEff:", "CapPrm:", "CapBnd:"] {
            assert_eq!(field(name), "00000000a00425fb", "{name}");
        }
        assert_eq!((field("CapInh:"), field("CapAmb:")), ("0".repeat(16), "0".repeat(16)));
        assert_eq!((field("NoNewPrivs:"), field("Seccomp:"), field("Seccomp_filters:")), ("1".into(), "2".into(), "2".into()));
    }
    let sleeper = server.pid("one/sleeper/0");
    let open: BTreeSet<_> =
        fs::read_dir(format!("/proc/{sleeper}/fd")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(open, ["0", "1", "2"].map(Into::into).into(), "{open:?}");
}

#[test]
fn the_program_that_starts_containers_cannot_be_reached_from_one() {
    let server = with_busybox();
    let before = fs::read(program::stead()).unwrap();
    server.up(&deployment("one", &[("sleeper", "{entrypoint: [sleep, '1000']}", "")])).good();
    let shim = host::parent(server.pid("one/sleeper/0"));
    let program = format!("/proc/{shim}/exe");
    assert_eq!(fs::read_link(&program).unwrap(), Path::new("/memfd:stead (deleted)"), "it is a copy in memory");
    let written = fs::File::options().write(true).open(&program).and_then(|mut file| file.write_all(b"#!"));
    assert!(written.is_err(), "not even the host's root can write to it");

    let evil = "    init: {steps: [{id: evil, uses: init.run, with: {command: 'ln -sf /proc/self/exe /evil'}}]}\n";
    let services = [("plain", "{entrypoint: [/proc/self/exe]}", ""), ("link", "{entrypoint: [/evil]}", evil)];
    let said = server.up(&deployment("two", &services)).bad();
    for (service, program) in [("plain", "/proc/self/exe"), ("link", "/evil")] {
        let line = format!("{service}: replica 0: it could not start: exec: {program}: is not of the image; refused");
        assert!(said.contains(&line), "{said}");
    }
    assert!(fs::read(program::stead()).unwrap() == before, "the file on disk is as it was");
}

#[test]
fn a_fork_bomb_and_a_hog_of_memory_harm_nobody_else() {
    let server = with_busybox();
    server.up(&deployment("good", &[("web", shell::COMMAND, "")])).good();
    let neighbour = server.pids();
    let before = server.traces();
    let limited = "    resources: {cpu: 0.5, memory: 512Mi}\n";
    let bomb = "{entrypoint: [sh, -c, 'bomb() { bomb | bomb & }; bomb; sleep 1000']}";
    let hog = "{entrypoint: [tail, /dev/zero]}";
    let manifest = deployment("bad", &[("bomb", bomb, limited), ("hog", hog, "    resources: {memory: 32Mi}\n")]);
    server.stead(&["apply", &server.manifest(&manifest)]).good();

    let reason = "it was killed for using more memory than its limit";
    until("the hog is killed and said to be one", || server.stead(&["get", "replica", "bad/hog"]).all().contains(reason));
    let id = server.objects("container")["bad/bomb/0"]["spec"]["id"].as_str().unwrap().to_owned();
    until("the bomb is at its limit", || times_refused(&server, &id) > 0);
    assert!(Shell::of(&server, "good/web/0").succeeds("true"), "the neighbour works");
    assert_eq!(server.pids()["good/web/0"], neighbour["good/web/0"], "and was not restarted");

    server.stead(&["delete", "bad"]).good();
    assert_eq!(server.traces(), before, "nothing is left of either");
    assert_eq!(server.pids(), neighbour);
}

/// How often a container was refused another process.
fn times_refused(server: &Server, id: &str) -> u64 {
    let files = server.traces().control_groups.into_iter().map(|group| group.join(id).join("pids.events"));
    let text = files.filter_map(|file| fs::read_to_string(file).ok()).collect::<String>();
    text.lines().find_map(|line| line.strip_prefix("max ")?.parse().ok()).unwrap_or(0)
}

#[test]
fn what_the_node_keeps_is_for_root_alone() {
    let server = with_busybox();
    server.up(&deployment("one", &[("shell", shell::COMMAND, "")])).good();
    let mode = |path: &Path| fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777;
    for dir in [
        server.data(),
        server.run(),
        server.run().join("containers"),
        server.run().join("data-plane"),
        server.data().join("images"),
    ] {
        assert_eq!(mode(&dir), 0o700, "{}", dir.display());
    }
    let below = |dir: PathBuf| host::files(&dir).into_iter().map(move |file| dir.join(file));
    let files: Vec<_> =
        below(server.run()).chain(below(server.data()).filter(|path| !path.starts_with(server.data().join("images")))).collect();
    let sockets: Vec<_> = files.iter().filter(|path| fs::symlink_metadata(path).unwrap().file_type().is_socket()).collect();
    assert!(sockets.len() >= 3, "the API's, the data plane's, a shim's: {sockets:?}");
    // The one by which libcontainer starts a container is its own making, in a directory that nobody else can enter.
    for socket in sockets.into_iter().filter(|socket| !socket.ends_with("notify.sock")) {
        assert_eq!(mode(socket), 0o600, "{}", socket.display());
    }
    for file in ["store.redb", "node.json"] {
        assert_eq!(mode(&server.data().join(file)) & 0o077, 0, "{file}");
    }
}
