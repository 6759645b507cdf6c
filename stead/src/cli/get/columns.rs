//! Which columns a kind is shown with.

use spec::kind::container::State;
use spec::kind::{Spec, Status, replica};
use spec::{Kind, Object};

/// Returns the titles for a kind; `wide` adds what is long.
pub(super) fn titles(kind: Kind, wide: bool) -> Vec<&'static str> {
    let (own, more): (&[&str], &[&str]) = match kind {
        Kind::Deployment => (&["ready"], &["waiting for"]),
        Kind::Service => (&["ready", "image"], &["revision", "message"]),
        Kind::Replica => (&["phase", "restarts", "message"], &["node", "addresses"]),
        Kind::Container => (&["state"], &["image", "id"]),
        Kind::Endpoint => (&["binds", "backends"], &["error"]),
        Kind::Image => (&["present"], &["repository", "error"]),
        Kind::Node => (&["pool"], &["id"]),
        Kind::Overlay => (&["block"], &[]),
        Kind::Resolution => (&["image"], &["digest", "error"]),
        Kind::Event => (&["count", "message"], &["about"]),
        Kind::Init => (&["outcome"], &[]),
        Kind::Revision => (&["digest"], &[]),
    };
    let more = if wide { more } else { &[] };
    ["name"].iter().chain(own).chain(more).copied().collect()
}

/// Returns the cells under [`titles`].
pub(super) fn cells(object: &Object, wide: bool) -> Vec<String> {
    let (own, more) = parts(object);
    let mut cells = vec![object.key.name.to_string()];
    cells.extend(own);
    if wide {
        cells.extend(more);
    }
    if object.deleting {
        cells[0].push_str(" (deleting)");
    }
    cells
}

fn parts(object: &Object) -> (Vec<String>, Vec<String>) {
    let yes = |flag: bool| if flag { "yes" } else { "no" }.to_owned();
    match (&object.spec, &object.status) {
        (Spec::Deployment(_), status) => match status {
            Some(Status::Deployment(status)) => {
                let waiting = status.waiting.iter().map(|(service, why)| format!("{service}: {why}"));
                (vec![yes(status.ready)], vec![waiting.collect::<Vec<_>>().join("; ")])
            }
            _ => (vec![yes(false)], vec![String::new()]),
        },
        (Spec::Service(spec), status) => {
            let (ready, revision, message) = match status {
                Some(Status::Service(status)) => {
                    let revision = status.revision.as_ref().map(|name| name.leaf().to_owned()).unwrap_or_default();
                    (format!("{}/{}", status.ready, status.desired), revision, status.message.clone())
                }
                _ => (format!("0/{}", spec.replicas()), String::new(), String::new()),
            };
            (vec![ready, spec.image.name.to_string()], vec![revision, message])
        }
        (Spec::Replica(spec), status) => {
            let status = match status {
                Some(Status::Replica(status)) => replica::Status::clone(status),
                _ => replica::Status::default(),
            };
            let addresses: Vec<_> = spec.addresses.iter().map(|address| address.address.to_string()).collect();
            (
                vec![format!("{:?}", status.phase).to_lowercase(), status.restarts.to_string(), status.message],
                vec![spec.node.to_string(), addresses.join(" ")],
            )
        }
        (Spec::Container(spec), status) => {
            let state = match status {
                Some(Status::Container(status)) => match &status.state {
                    State::Running { pid, .. } => format!("running (pid {pid})"),
                    State::Down => status.exits.last().map_or("not started".to_owned(), |exit| exit.cause.to_string()),
                },
                _ => "not started".to_owned(),
            };
            (vec![state], vec![spec.image.clone(), spec.id.clone()])
        }
        (Spec::Endpoint(spec), status) => {
            let error = match status {
                Some(Status::Endpoint(status)) => status.error.clone().unwrap_or_default(),
                _ => String::new(),
            };
            let backends: Vec<_> = spec.backends.iter().map(ToString::to_string).collect();
            (vec![format!(":{}{}", spec.port, spec.path), backends.join(" ")], vec![error])
        }
        (Spec::Image(spec), status) => {
            let (present, error) = match status {
                Some(Status::Image(status)) => {
                    (status.config.is_some(), status.failure.as_ref().map(|failure| failure.message.clone()).unwrap_or_default())
                }
                _ => (false, String::new()),
            };
            (vec![yes(present)], vec![spec.repository.clone(), error])
        }
        (Spec::Node(_), Some(Status::Node(status))) => {
            (vec![status.pool.map(|pool| pool.to_string()).unwrap_or_default()], vec![status.id.clone()])
        }
        (Spec::Node(_), _) => (vec![String::new()], vec![String::new()]),
        (Spec::Overlay(spec), _) => (vec![spec.block.to_string()], vec![]),
        (Spec::Resolution(spec), status) => {
            let (digest, error) = match status {
                Some(Status::Resolution(status)) => (
                    status.resolved.as_ref().map(|resolved| resolved.digest.clone()).unwrap_or_default(),
                    status.failure.as_ref().map(|failure| failure.message.clone()).unwrap_or_default(),
                ),
                _ => Default::default(),
            };
            (vec![spec.reference.clone()], vec![digest, error])
        }
        (Spec::Event(spec), _) => (vec![spec.count.to_string(), spec.message.clone()], vec![spec.about.to_string()]),
        (Spec::Init(_), status) => {
            let outcome = match status {
                Some(Status::Init(status)) => serde_json::to_string(&status.outcome).unwrap_or_default(),
                _ => String::new(),
            };
            (vec![outcome], vec![])
        }
        (Spec::Revision(spec), _) => (vec![spec.digest.clone()], vec![]),
    }
}
