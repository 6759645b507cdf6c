//! What libcontainer is asked to build: the runtime configuration (OCI runtime-spec, `config.md`).
//!
//! A pure function: what had to be looked up in the image or on the host comes in as data.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};
use spec::kind::container::Spec;

use super::user::User;

/// Most processes and threads of one container: enough for big servers, and a fork bomb stays small.
pub(crate) const PIDS: u64 = 4096;

/// Most open files of one process; what systemd gives a service at most.
const OPEN_FILES: u64 = 1 << 20;

/// Open files a process has unless it asks for more: programs that loop over all of them stay quick.
const OPEN_FILES_SOFT: u64 = 1 << 16;

/// Length of a period in which a container may use its share of processor time, in microseconds.
const CPU_PERIOD: u64 = 100_000;

/// Where programs are looked for in an image that does not say.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Docker's default set without CAP_MKNOD: on cgroup v2 nothing else would keep a container from the host's devices.
const CAPABILITIES: [&str; 13] = [
    "CAP_AUDIT_WRITE",
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_RAW",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
];

/// Files and directories of the kernel's that tell about the host or reach into it: hidden.
const MASKED: [&str; 13] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
    "/sys/kernel/debug",
];

/// Those that programs read and must not write.
const READ_ONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// What the configuration is made from.
pub(crate) struct Input<'a> {
    pub spec: &'a Spec,
    pub args: &'a [String],
    pub env: &'a BTreeMap<String, String>,
    pub user: &'a User,
    pub workdir: &'a Path,
    pub netns: &'a Path,
    pub cgroup: &'a str,
    pub host: Host,
}

/// What this host allows.
#[derive(Clone, Copy)]
pub(crate) struct Host {
    /// Hard limit of open files, which cannot be raised without CAP_SYS_RESOURCE.
    pub open_files: u64,
    pub unified_cgroups: bool,
    pub limits_swap: bool,
}

/// Returns the content of `config.json`, for a root at `rootfs` beside it.
pub(crate) fn config(input: &Input<'_>) -> Value {
    json!({
        "ociVersion": "1.2.0",
        "hostname": input.spec.host_name,
        "root": { "path": "rootfs", "readonly": false },
        "process": process(input),
        "mounts": mounts(input.host),
        "linux": {
            "cgroupsPath": input.cgroup,
            "namespaces": [
                { "type": "pid" },
                { "type": "ipc" },
                { "type": "uts" },
                { "type": "mount" },
                { "type": "cgroup" },
                { "type": "network", "path": input.netns },
            ],
            "resources": resources(input),
            // Of the container's own network namespace: any user may bind port 80 and ping, as with other engines.
            "sysctl": { "net.ipv4.ip_unprivileged_port_start": "0", "net.ipv4.ping_group_range": "0 2147483647" },
            "maskedPaths": MASKED,
            "readonlyPaths": READ_ONLY,
        },
    })
}

fn process(input: &Input<'_>) -> Value {
    let open_files = input.host.open_files.min(OPEN_FILES);
    json!({
        "terminal": false,
        "user": { "uid": input.user.uid, "gid": input.user.gid, "additionalGids": input.user.groups },
        "args": input.args,
        "env": environment(input),
        "cwd": input.workdir,
        "noNewPrivileges": true,
        "capabilities": { "bounding": CAPABILITIES, "effective": CAPABILITIES, "permitted": CAPABILITIES },
        "rlimits": [
            { "type": "RLIMIT_NOFILE", "soft": open_files.min(OPEN_FILES_SOFT), "hard": open_files },
            { "type": "RLIMIT_CORE", "soft": 0, "hard": 0 },
        ],
    })
}

fn environment(input: &Input<'_>) -> Vec<String> {
    let mut env = input.env.clone();
    let defaults = [("PATH", PATH), ("HOME", &input.user.home), ("HOSTNAME", &input.spec.host_name)];
    for (name, value) in defaults {
        env.entry(name.to_owned()).or_insert_with(|| value.to_owned());
    }
    env.into_iter().map(|(name, value)| format!("{name}={value}")).collect()
}

fn mounts(host: Host) -> Vec<Value> {
    let mount = |destination: &str, kind: &str, options: &str| json!({ "destination": destination, "type": kind, "source": kind, "options": options.split(',').collect::<Vec<_>>() });
    let mut mounts = vec![
        mount("/proc", "proc", "nosuid,noexec,nodev"),
        mount("/dev", "tmpfs", "nosuid,noexec,strictatime,mode=755,size=64k"),
        mount("/dev/pts", "devpts", "nosuid,noexec,newinstance,ptmxmode=0666,mode=0620,gid=5"),
        mount("/dev/shm", "tmpfs", "nosuid,noexec,nodev,mode=1777,size=64m"),
        mount("/dev/mqueue", "mqueue", "nosuid,noexec,nodev"),
        mount("/sys", "sysfs", "nosuid,noexec,nodev,ro"),
    ];
    // Mounting version 1 takes no notice of `ro`: a container could raise its own limits. So it gets none.
    if host.unified_cgroups {
        mounts.push(mount("/sys/fs/cgroup", "cgroup", "nosuid,noexec,nodev,ro"));
    }
    mounts
}

fn resources(input: &Input<'_>) -> Value {
    let mut resources = json!({
        "devices": [{ "allow": false, "access": "rwm" }],
        "pids": { "limit": PIDS },
    });
    if let Some(memory) = input.spec.resources.memory {
        resources["memory"] = json!({ "limit": memory.0 });
        if input.host.limits_swap {
            // Memory and swap together: so there is no swap.
            resources["memory"]["swap"] = json!(memory.0);
        }
    }
    if let Some(cpu) = input.spec.resources.cpu {
        resources["cpu"] = json!({ "quota": u64::from(cpu.millicores) * CPU_PERIOD / 1000, "period": CPU_PERIOD });
    }
    resources
}

#[cfg(test)]
mod tests {
    use libcontainer::oci_spec::runtime;
    use spec::kind::container::{Process, Stop};
    use spec::manifest::Resources;
    use spec::net::Link;
    use spec::units::{Bytes, Cpu, Duration};

    use super::*;

    fn spec(resources: Resources) -> Spec {
        Spec {
            id: "web-1".to_owned(),
            image: String::new(),
            process: Process { args: vec![], env: BTreeMap::new(), workdir: String::new(), user: String::new() },
            resources,
            link: Link { host_name: "st1".to_owned(), netns: "web-1".to_owned(), addresses: vec![] },
            host_name: "web".to_owned(),
            probe: None,
            stop: Stop { signal: "SIGTERM".to_owned(), grace: Duration::seconds(10) },
            log: "shop/web/1".to_owned(),
        }
    }

    fn config_of(spec: &Spec, host: Host) -> Value {
        let env = [("A", "1"), ("PATH", "/bin")].map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let user = User { uid: 33, gid: 33, groups: vec![4], home: "/var/www".to_owned() };
        config(&Input {
            spec,
            args: &["/bin/serve".to_owned()],
            env: &env,
            user: &user,
            workdir: Path::new("/srv"),
            netns: Path::new("/run/stead/netns/web-1"),
            cgroup: "/stead/web-1",
            host,
        })
    }

    const V1: Host = Host { open_files: 20_000, unified_cgroups: false, limits_swap: true };

    #[test]
    fn the_process_has_what_its_spec_says_and_defaults_for_the_rest() {
        let config = config_of(&spec(Resources::default()), V1);
        insta::assert_snapshot!(config["process"]["env"], @r#"["A=1","HOME=/var/www","HOSTNAME=web","PATH=/bin"]"#);
        insta::assert_snapshot!(config["process"]["user"], @r#"{"additionalGids":[4],"gid":33,"uid":33}"#);
        insta::assert_snapshot!(config["process"]["rlimits"], @r#"[{"hard":20000,"soft":20000,"type":"RLIMIT_NOFILE"},{"hard":0,"soft":0,"type":"RLIMIT_CORE"}]"#);
        insta::assert_snapshot!(config["linux"]["resources"], @r#"{"devices":[{"access":"rwm","allow":false}],"pids":{"limit":4096}}"#);
    }

    #[test]
    fn limits_are_set_and_swap_is_off() {
        let limited = Resources { cpu: Some(Cpu { millicores: 250 }), memory: Some(Bytes(64 << 20)) };
        insta::assert_snapshot!(config_of(&spec(limited.clone()), V1)["linux"]["resources"], @r#"{"cpu":{"period":100000,"quota":25000},"devices":[{"access":"rwm","allow":false}],"memory":{"limit":67108864,"swap":67108864},"pids":{"limit":4096}}"#);
        let host = Host { limits_swap: false, ..V1 };
        assert_eq!(config_of(&spec(limited), host)["linux"]["resources"]["memory"], json!({ "limit": 64 << 20 }));
    }

    #[test]
    fn control_groups_are_mounted_only_where_read_only_holds() {
        let mounted = |host| config_of(&spec(Resources::default()), host)["mounts"].to_string().contains("/sys/fs/cgroup");
        assert!(!mounted(V1));
        assert!(mounted(Host { unified_cgroups: true, ..V1 }));
    }

    #[test]
    fn it_is_a_runtime_configuration() {
        let config = config_of(&spec(Resources::default()), V1);
        let read: runtime::Spec = serde_json::from_value(config).unwrap();
        let process = read.process().as_ref().unwrap();
        assert_eq!(process.no_new_privileges(), Some(true));
        let bounding = process.capabilities().as_ref().unwrap().bounding().as_ref().unwrap();
        assert!(bounding.contains(&runtime::Capability::Chown) && !bounding.contains(&runtime::Capability::Mknod));
    }
}
