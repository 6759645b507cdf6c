//! One service: each field goes to who carries it over, and the others get their reasons.

use super::at::At;
use super::{Import, command, depends, deploy, environment, health, image, ports, reasons, shared, volumes};
use crate::manifest::{Fixed, Scale, Service, ServiceName};
use crate::words::either;
use crate::yaml::quoted;

pub(super) fn read<'a>(import: &mut Import<'a>, key: &str, here: &At<'a>) -> Option<(ServiceName, Service)> {
    let name = import.names.service(key)?.clone();
    let mut service = Service::of(&image::read(import, here, &name));
    service.command = command::read(import, here);
    for (field, at) in here.fields() {
        self::field(import, field, &at, &name, &mut service);
    }
    if let Some(at) = here.get("deploy").and_then(|deploy| deploy.get("update_config")) {
        service.rollout = deploy::rollout(import, &at, &service);
    }
    if let Some(at) = here.get("profiles") {
        profiles(import, &at, &mut service);
    }
    Some((name, service))
}

fn field<'a>(import: &mut Import<'a>, field: &str, at: &At<'a>, name: &ServiceName, service: &mut Service) {
    match field {
        // Read before, because they belong together.
        "image" | "build" | "pull_policy" | "command" | "entrypoint" | "working_dir" | "profiles" => {}
        // Ports of containers are open to the services of the deployment.
        "expose" => {}
        "environment" => service.env = environment::read(import, at, name),
        "ports" => service.endpoints = ports::read(import, at, name),
        "volumes" => service.volumes = volumes::read(import, at, name),
        "healthcheck" => service.health = health::read(import, at),
        "depends_on" => depends::read(import, at, name),
        "links" => depends::links(import, at, name),
        "deploy" => deploy::read(import, at, service),
        "scale" => deploy::replicas(import, at, service),
        "cpus" => deploy::cpu(import, at, service),
        "mem_limit" => deploy::memory(import, at, service),
        "restart" => restart(import, at),
        "network_mode" => network_mode(import, at),
        "networks" => shared::networks_of(import, at, name),
        "secrets" | "configs" => shared::files_of(import, field, at),
        _ => reasons::tell(import, field, at),
    }
}

/// Compose starts a service with profiles only when it is asked to.
fn profiles<'a>(import: &mut Import<'a>, at: &At<'a>, service: &mut Service) {
    let names: Vec<_> = import.list(at).iter().filter_map(At::text).map(quoted).collect();
    if names.is_empty() {
        return;
    }
    service.scale = Some(Scale::Fixed(Fixed { replicas: 0 }));
    let message =
        format!("there are no profiles, and Compose starts this service only with {}: it has no replicas here", either(&names));
    import.notes.add_with(at, message, "write how many it is to have in `scale`, or leave the service out");
}

fn restart<'a>(import: &mut Import<'a>, at: &At<'a>) {
    let Some(text) = import.text(at) else { return };
    match text.split_once(':').map_or(text.as_str(), |(policy, _)| policy) {
        "always" | "unless-stopped" => {}
        "on-failure" if text.len() == "on-failure".len() => {}
        "on-failure" => import.notes.leave_out(at, "a service that ends is started again without a bound, with growing pauses"),
        "no" | "false" => {
            let fix = "for work that comes to an end, write `rtype: job`";
            import.notes.leave_out_with(at, "a service that ends is started again", fix);
        }
        _ => import.notes.leave_out(at, &format!("{} is no restart policy; a service that ends is started again", quoted(&text))),
    }
}

fn network_mode<'a>(import: &mut Import<'a>, at: &At<'a>) {
    let Some(text) = import.text(at) else { return };
    match text.as_str() {
        "bridge" | "default" => {}
        "host" => {
            let fix = "write an endpoint with `expose: public` for each port that is to be reached";
            import.notes.leave_out_with(at, "each container has a network of its own, not the node's", fix);
        }
        _ => import.notes.leave_out(at, "each container has a network of its own, which its deployment's services reach"),
    }
}
