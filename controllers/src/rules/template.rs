//! From a revision's template and its image's configuration to a container, complete in every detail.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use spec::kind::container::{Check, Probe, Process, Spec, Stop};
use spec::kind::{Replica, image, revision};
use spec::manifest::{CheckKind, Command, EnvValue, Template};
use spec::net::Link;
use spec::units::Duration;
use spec::view::Item;

use super::names;

const INTERVAL: Duration = Duration::seconds(10);
const TIMEOUT: Duration = Duration::seconds(2);
const RETRIES: u32 = 3;
/// Time to end after the stop signal, as Docker gives.
const STOP_GRACE: Duration = Duration::seconds(10);

/// Returns the container of a replica on the node with this id.
pub(crate) fn container_spec(
    node_id: &str,
    replica: &Item<'_, Replica>,
    revision: &revision::Spec,
    config: &image::Config,
) -> Spec {
    let name = replica.name();
    let id = names::container_id(node_id, name);
    let template = &revision.template;
    let address = replica.spec.addresses.first().map_or(Ipv4Addr::UNSPECIFIED, |address| address.address);
    Spec {
        image: revision.digest.clone(),
        process: process(template, config),
        resources: template.resources.clone(),
        link: Link { host_name: names::link(node_id, name), netns: id.clone(), addresses: replica.spec.addresses.clone() },
        host_name: name.components().skip(1).collect::<Vec<_>>().join("-"),
        probe: probe(template, address),
        stop: Stop { signal: config.stop_signal.clone().unwrap_or_else(|| "SIGTERM".to_owned()), grace: STOP_GRACE },
        log: name.to_string(),
        id,
    }
}

fn process(template: &Template, config: &image::Config) -> Process {
    let mut env: BTreeMap<String, EnvValue> =
        config.env.iter().map(|(name, value)| (name.clone(), EnvValue::Literal(value.clone()))).collect();
    env.extend(template.env.clone());
    let workdir = template.command.workdir.clone().unwrap_or_else(|| config.workdir.clone());
    Process {
        args: args(&template.command, config),
        env,
        workdir: if workdir.is_empty() { "/".to_owned() } else { workdir },
        user: config.user.clone(),
    }
}

/// Puts entrypoint and arguments together by the rules of section 5.5 of the specification: each overrides its own half alone.
fn args(command: &Command, config: &image::Config) -> Vec<String> {
    let entrypoint = command.entrypoint.as_ref().unwrap_or(&config.entrypoint);
    let args = command.args.as_ref().unwrap_or(&config.cmd);
    [entrypoint.as_slice(), args.as_slice()].concat()
}

/// Returns the health check, or for a service that has an endpoint and no check, whether its port accepts: that keeps traffic
/// away until it can be served, and restarts nothing.
fn probe(template: &Template, address: Ipv4Addr) -> Option<Probe> {
    let usual = |check, restart| Probe {
        check,
        address,
        interval: INTERVAL,
        timeout: TIMEOUT,
        retries: RETRIES,
        start_grace: Duration(0),
        restart,
    };
    let Some(health) = &template.health else {
        return template.port.map(|port| usual(Check::Tcp { port }, false));
    };
    let port = health.check.port.or(template.port)?;
    let check = match health.check.kind {
        CheckKind::Tcp => Check::Tcp { port },
        CheckKind::Http => Check::Http {
            port,
            path: health.check.path.clone().unwrap_or_else(|| "/".to_owned()),
            expect_status: health.check.expect_status,
        },
        CheckKind::Command => return None,
    };
    Some(Probe {
        interval: health.interval.unwrap_or(INTERVAL),
        timeout: health.timeout.unwrap_or(TIMEOUT),
        retries: health.retries.unwrap_or(RETRIES),
        start_grace: health.start_grace.unwrap_or_default(),
        ..usual(check, true)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The four cases of section 5.5.
    #[test]
    fn each_override_replaces_its_own_half() {
        let texts = |list: &[&str]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
        let config = image::Config { entrypoint: texts(&["e"]), cmd: texts(&["c"]), ..image::Config::default() };
        let given = |entrypoint: Option<&[&str]>, arguments: Option<&[&str]>| {
            args(&Command { entrypoint: entrypoint.map(texts), args: arguments.map(texts), workdir: None }, &config)
        };
        assert_eq!(given(None, None), ["e", "c"]);
        assert_eq!(given(None, Some(&["x"])), ["e", "x"]);
        assert_eq!(given(Some(&["y"]), None), ["y", "c"]);
        assert_eq!(given(Some(&["y"]), Some(&["x"])), ["y", "x"]);
    }
}
