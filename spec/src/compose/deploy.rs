//! Replicas, bounds of what they use, and how changes reach them.

use super::Import;
use super::at::At;
use crate::manifest::{Fixed, OnRolloutFailure, Rollout, Scale, Service};
use crate::units::{Bytes, Cpu};
use crate::yaml::quoted;

/// Most replicas a service may have.
const REPLICAS_MAX: u32 = 400;
/// Least memory a replica may be bound to.
const MEMORY_MIN: Bytes = Bytes(4 << 20);

pub(super) fn read<'a>(import: &mut Import<'a>, at: &At<'a>, service: &mut Service) {
    for (field, at) in at.fields() {
        match field {
            "replicas" => replicas(import, &at, service),
            "resources" => resources(import, &at, service),
            "mode" => mode(import, &at),
            "endpoint_mode" => {
                if import.text(&at).is_some_and(|text| text != "vip") {
                    import.notes.leave_out(&at, "a service has one address, and the proxy leads to its replicas");
                }
            }
            "labels" => import.notes.leave_out(&at, "the language has no labels"),
            "placement" => import.notes.leave_out(&at, "replicas are placed by Stead, on the nodes that joined the service"),
            "restart_policy" => restart_policy(import, &at),
            "rollback_config" => import.notes.leave_out(&at, "going back is done as any change is"),
            // Read when the volumes are known.
            "update_config" => {}
            _ => import.unknown(&at, ["placement", "replicas", "resources", "restart_policy", "update_config"].into_iter()),
        }
    }
    not_a_mapping(import, at);
}

fn not_a_mapping(import: &mut Import<'_>, at: &At<'_>) {
    if at.text().is_some() || at.is_list() {
        import.notes.leave_out(at, "a mapping belongs here");
    }
}

fn mode<'a>(import: &mut Import<'a>, at: &At<'a>) {
    match import.text(at).as_deref() {
        None | Some("replicated") => {}
        Some("global") => import.notes.leave_out(at, "there is no service with one replica on each node"),
        Some("replicated-job" | "global-job") => {
            import.notes.leave_out_with(
                at,
                "it was read as a service",
                "for work that comes to an end, write `rtype: job` and no `scale`",
            );
        }
        Some(mode) => import.notes.leave_out(at, &format!("{} is no mode of Compose", quoted(mode))),
    }
}

pub(super) fn replicas<'a>(import: &mut Import<'a>, at: &At<'a>, service: &mut Service) {
    let Some(wanted) = import.parsed(at, "a number", |text| text.parse::<u32>().ok()) else { return };
    let replicas = wanted.min(REPLICAS_MAX);
    if replicas < wanted {
        import.notes.add(at, format!("a service has at most {REPLICAS_MAX} replicas"));
    }
    let scale = Scale::Fixed(Fixed { replicas });
    match &service.scale {
        Some(there) if *there != scale => import.notes.leave_out(at, "another number of replicas is written too, and was taken"),
        _ => service.scale = Some(scale),
    }
}

fn resources<'a>(import: &mut Import<'a>, at: &At<'a>, service: &mut Service) {
    for (field, at) in at.fields() {
        match field {
            "limits" => limits(import, &at, service),
            "reservations" => import.notes.leave_out(&at, "nothing is reserved; bounds are written as `limits`"),
            _ => import.unknown(&at, ["limits", "reservations"].into_iter()),
        }
    }
    not_a_mapping(import, at);
}

fn limits<'a>(import: &mut Import<'a>, at: &At<'a>, service: &mut Service) {
    for (field, at) in at.fields() {
        match field {
            "cpus" => cpu(import, &at, service),
            "memory" => memory(import, &at, service),
            "pids" => import.notes.leave_out(&at, "the number of processes has no bound that can be written"),
            _ => import.unknown(&at, ["cpus", "memory", "pids"].into_iter()),
        }
    }
    not_a_mapping(import, at);
}

pub(super) fn cpu<'a>(import: &mut Import<'a>, at: &At<'a>, service: &mut Service) {
    let Some(Some(cpu)) = import.parsed(at, "a number of cores from 0.01 to 4096", cores) else { return };
    match service.resources.cpu {
        Some(there) if there != cpu => import.notes.leave_out(at, "another bound is written too, and was taken"),
        _ => service.resources.cpu = Some(cpu),
    }
}

/// Returns a number of cores; of zero, no bound.
fn cores(text: &str) -> Option<Option<Cpu>> {
    if !text.is_empty() && text.chars().all(|c| matches!(c, '0' | '.')) {
        return Some(None);
    }
    let text = if text.starts_with('.') { format!("0{text}") } else { text.to_owned() };
    text.parse().ok().map(Some)
}

pub(super) fn memory<'a>(import: &mut Import<'a>, at: &At<'a>, service: &mut Service) {
    let Some(memory) = import.bytes(at).filter(|memory| memory.0 > 0) else { return };
    match service.resources.memory {
        _ if memory < MEMORY_MIN => import.notes.leave_out(at, &format!("a bound is at least {MEMORY_MIN}")),
        Some(there) if there != memory => import.notes.leave_out(at, "another bound is written too, and was taken"),
        _ => service.resources.memory = Some(memory),
    }
}

fn restart_policy<'a>(import: &mut Import<'a>, at: &At<'a>) {
    for (field, at) in at.fields() {
        match field {
            "condition" => match import.text(&at).as_deref() {
                None | Some("any" | "on-failure") => {}
                Some("none") => {
                    let fix = "for work that comes to an end, write `rtype: job`";
                    import.notes.leave_out_with(&at, "a service that ends is started again", fix);
                }
                Some(other) => import.notes.leave_out(&at, &format!("{} is no condition", quoted(other))),
            },
            "delay" | "max_attempts" | "window" => {
                import.notes.leave_out(&at, "a service that ends is started again without a bound, with growing pauses");
            }
            _ => import.unknown(&at, ["condition", "delay", "max_attempts", "window"].into_iter()),
        }
    }
    not_a_mapping(import, at);
}

/// Reads how a change reaches the replicas. Without an order, Compose stops old ones first.
pub(super) fn rollout<'a>(import: &mut Import<'a>, at: &At<'a>, service: &Service) -> Rollout {
    let mut rollout = Rollout::default();
    let start_first = at.get("order").is_some_and(|at| at.text() == Some("start-first"));
    // A service with a volume is stopped as a whole, so that no two replicas have it.
    let whole = service.volumes.iter().any(|volume| volume.name.is_some());
    let mut parallelism = 1;
    for (field, at) in at.fields() {
        match field {
            "parallelism" | "order" if whole => {
                import.notes.leave_out(&at, "a service with a volume is stopped before it is started anew");
            }
            "parallelism" => {
                let number = |text: &str| text.parse().ok().filter(|number| (1..=REPLICAS_MAX).contains(number));
                parallelism = import.parsed(&at, "a number from 1 to 400", number).unwrap_or(parallelism);
            }
            "order" => order(import, &at),
            "failure_action" => rollout.on_failure = failure_action(import, &at),
            "delay" | "monitor" => import.notes.leave_out(&at, "a change goes on when the new replicas are ready"),
            "max_failure_ratio" => import.notes.leave_out(&at, "each new replica has to become ready"),
            _ => import.unknown(&at, ["delay", "failure_action", "monitor", "order", "parallelism"].into_iter()),
        }
    }
    not_a_mapping(import, at);
    if at.is_mapping() && !whole {
        (rollout.max_surge, rollout.max_unavailable) = if start_first { (parallelism, 0) } else { (0, parallelism) };
    }
    rollout
}

fn order<'a>(import: &mut Import<'a>, at: &At<'a>) {
    if let Some(text) = import.text(at)
        && !matches!(text.as_str(), "start-first" | "stop-first")
    {
        import.notes.leave_out(at, &format!("{} is no order; old replicas go first", quoted(&text)));
    }
}

fn failure_action<'a>(import: &mut Import<'a>, at: &At<'a>) -> Option<OnRolloutFailure> {
    match import.text(at)?.as_str() {
        "rollback" => return Some(OnRolloutFailure::Rollback),
        "pause" => return Some(OnRolloutFailure::Pause),
        "continue" => import.notes.leave_out(at, "a change does not go on with replicas that do not become ready"),
        other => import.notes.leave_out(at, &format!("{} is no action", quoted(other))),
    }
    None
}
