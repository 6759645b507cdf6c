//! What does not carry over, and why.

use super::Import;
use super::at::At;
use super::quantity::boolean;
use crate::yaml::Plain;

/// Fields of a service that do not carry over, and why; in order.
const REASONS: &[(&str, &str)] = &[
    ("annotations", "the language has no labels"),
    ("attach", "logs are read with `stead logs`"),
    ("blkio_config", "disks are not shared out"),
    ("cap_add", "containers have one set of rights, which cannot be widened"),
    ("cap_drop", "containers have one small set of rights"),
    ("cgroup", "each container has control groups of its own"),
    ("cgroup_parent", "each container has control groups of its own"),
    ("container_name", "containers are named after their service"),
    ("cpu_count", "a bound is written as `cpus`"),
    ("cpu_percent", "a bound is written as `cpus`"),
    ("cpu_period", "a bound is written as `cpus`"),
    ("cpu_quota", "a bound is written as `cpus`"),
    ("cpu_rt_period", "there are no real-time shares"),
    ("cpu_rt_runtime", "there are no real-time shares"),
    ("cpu_shares", "processor time has bounds and no shares"),
    ("cpuset", "containers run on all processors"),
    ("credential_spec", "it is for Windows"),
    ("develop", "it is for work on the source"),
    ("device_cgroup_rules", "containers have no devices of the node"),
    ("devices", "containers have no devices of the node"),
    ("dns", "names are answered by Stead"),
    ("dns_opt", "names are answered by Stead"),
    ("dns_search", "names are answered by Stead"),
    ("domainname", "containers are named after their service"),
    ("external_links", "a deployment reaches its own services only"),
    ("extra_hosts", "containers have no names of their own making"),
    ("gpus", "containers have no devices of the node"),
    ("group_add", "groups are those of the image's user"),
    ("hostname", "containers are named after their service"),
    ("init", "containers have no init process"),
    ("ipc", "each container has shared memory of its own"),
    ("isolation", "it is for Windows"),
    ("label_file", "the language has no labels"),
    ("labels", "the language has no labels"),
    ("logging", "output is kept by Stead, and read with `stead logs`"),
    ("mac_address", "addresses are given out by Stead"),
    ("mem_reservation", "nothing is reserved"),
    ("mem_swappiness", "memory has one bound, `mem_limit`"),
    ("memswap_limit", "memory has one bound, `mem_limit`"),
    ("models", "models are not run by Stead"),
    ("oom_kill_disable", "a container that uses more memory than it may is killed"),
    ("oom_score_adj", "a container that uses more memory than it may is killed"),
    ("pid", "each container sees its own processes"),
    ("pids_limit", "the number of processes has no bound that can be written"),
    ("platform", "images run on the node's own platform"),
    ("post_start", "there is nothing that runs after a start"),
    ("pre_start", "what runs before a start is written as `init.steps`"),
    ("pre_stop", "there is nothing that runs before a stop"),
    ("privileged", "containers have one small set of rights"),
    ("provider", "services are containers"),
    ("pull_refresh_after", "an image stays what it was until its name changes"),
    ("read_only", "what a container writes is gone with it, and cannot be forbidden"),
    ("runtime", "containers are run by Stead itself"),
    ("security_opt", "containers have one set of rights"),
    ("shm_size", "the size of shared memory cannot be written"),
    ("stdin_open", "containers have no input"),
    ("stop_grace_period", "all containers get the same time to stop"),
    ("stop_signal", "the signal is the image's"),
    ("storage_opt", "images are kept by Stead"),
    ("sysctls", "containers have the kernel's own settings"),
    ("tmpfs", "there are no volumes in memory; what a container writes is gone with it"),
    ("tty", "containers have no terminal"),
    ("ulimits", "containers have one set of limits"),
    ("use_api_socket", "there is no Docker behind it"),
    ("user", "the user is the image's"),
    ("userns_mode", "user namespaces are not chosen"),
    ("uts", "each container has a host name of its own"),
    ("volume_driver", "volumes are directories of the node"),
    ("volumes_from", "volumes are written with each service"),
];

/// Fields whose `false` is what Stead does anyway.
const SWITCHES: &[&str] =
    &["attach", "init", "oom_kill_disable", "privileged", "read_only", "stdin_open", "tty", "use_api_socket"];

/// Fields that are not in the table, for those who mistyped one.
const CARRIED: &[&str] = &[
    "build",
    "command",
    "configs",
    "cpus",
    "depends_on",
    "deploy",
    "entrypoint",
    "env_file",
    "environment",
    "expose",
    "extends",
    "healthcheck",
    "image",
    "links",
    "mem_limit",
    "network_mode",
    "networks",
    "ports",
    "profiles",
    "pull_policy",
    "restart",
    "scale",
    "secrets",
    "volumes",
    "working_dir",
];

/// Says why a field of a service does not carry over.
pub(super) fn tell<'a>(import: &mut Import<'a>, field: &str, at: &At<'a>) {
    if at.node.is_null() || (SWITCHES.contains(&field) && is_false(at)) {
        return;
    }
    match field {
        "env_file" => return env_file(import, at),
        "extends" => {
            let why = "services do not build on others; the fields of the other one were not filled in";
            return import.notes.leave_out_with(at, why, "import what `docker compose config` prints");
        }
        "labels" if is_about_a_proxy(at) => {
            let fix = "the proxy is part of Stead: write an endpoint with `port`, `target` and `host`";
            return import.notes.leave_out_with(at, "the language has no labels", fix);
        }
        _ => {}
    }
    match REASONS.iter().find(|(name, _)| *name == field) {
        Some((_, why)) => import.notes.leave_out(at, why),
        None => import.unknown(at, CARRIED.iter().copied().chain(REASONS.iter().map(|(name, _)| *name))),
    }
}

fn is_false(at: &At<'_>) -> bool {
    at.node.plain() == Some(Plain::Boolean(false)) || at.text().and_then(boolean) == Some(false)
}

fn env_file<'a>(import: &mut Import<'a>, at: &At<'a>) {
    let why = "variables are written in `env`, and those that are not for this file are read on the node";
    let fix = "write them into the node's environment file, /etc/stead/env, and `NAME: $E:NAME` into `env` for each";
    import.notes.leave_out_with(at, why, fix);
}

/// Labels by which well-known proxies are told where to lead requests.
fn is_about_a_proxy(at: &At<'_>) -> bool {
    let keys = at.fields().map(|(key, _)| key).chain(at.items().filter_map(|at| at.text()));
    keys.into_iter().any(|key| key.starts_with("traefik.") || key.starts_with("caddy"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_in_order_and_for_what_is_not_carried() {
        assert!(REASONS.is_sorted_by_key(|(name, _)| name) && CARRIED.is_sorted() && SWITCHES.is_sorted());
        assert!(!REASONS.iter().any(|(name, _)| CARRIED.contains(name)));
    }
}
