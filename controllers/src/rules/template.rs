//! From a revision's template and its image's configuration to a container, complete in every detail.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use spec::kind::container::{self, Probe, Process, Spec, Stop, Variable};
use spec::kind::{Replica, image, revision};
use spec::manifest::{Check, Command, EnvValue, Health, TcpCheck, Template, Text};
use spec::net::Link;
use spec::units::{Duration, HttpStatus, Port};
use spec::view::Item;

use super::names;

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
    let mut env: BTreeMap<String, Variable> =
        config.env.iter().map(|(name, value)| (name.clone(), Variable::Text(value.clone()))).collect();
    env.extend(template.env.iter().map(|(name, value)| (name.to_string(), variable(value))));
    let workdir = template.command.workdir.as_deref().unwrap_or(&config.workdir);
    Process {
        args: args(&template.command, config),
        env,
        workdir: if workdir.is_empty() { "/".to_owned() } else { workdir.to_owned() },
        user: config.user.clone(),
    }
}

fn variable(value: &EnvValue) -> Variable {
    match value {
        EnvValue::Literal(text) => Variable::Text(text.clone()),
        EnvValue::FromNode(name) => Variable::Node(name.to_string()),
        EnvValue::Secret(name) => Variable::Secret(name.to_string()),
    }
}

/// Puts entrypoint and arguments together by the rules of section 5.5 of the specification: each overrides its own half alone.
fn args(command: &Command, config: &image::Config) -> Vec<String> {
    let half = |given: &Option<Vec<Text>>, own: &[String]| match given {
        Some(texts) => texts.iter().map(ToString::to_string).collect(),
        None => own.to_vec(),
    };
    [half(&command.entrypoint, &config.entrypoint), half(&command.args, &config.cmd)].concat()
}

/// Returns the health check, or for a service that has an endpoint and no check, whether its port accepts: that keeps traffic
/// away until it can be served, and restarts nothing.
fn probe(template: &Template, address: Ipv4Addr) -> Option<Probe> {
    let Some(health) = &template.health else {
        let accepts = Health::of(&Check::Tcp(TcpCheck { port: Some(template.port?) }));
        return timed(&accepts, template, address).map(|probe| Probe { restart: false, ..probe });
    };
    timed(health, template, address)
}

fn timed(health: &Health, template: &Template, address: Ipv4Addr) -> Option<Probe> {
    let port = health.check.port().or(template.port).map(Port::get);
    let check = match &health.check {
        Check::Tcp(_) => container::Check::Tcp { port: port? },
        Check::Http(http) => container::Check::Http {
            port: port?,
            path: http.path.as_deref().unwrap_or("/").to_owned(),
            expect_status: http.expect_status.map(HttpStatus::get),
        },
        Check::Command(_) => return None,
    };
    let Health { start_grace, interval, timeout, retries, .. } = *health;
    Some(Probe { check, address, interval, timeout, retries, start_grace, restart: true })
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
            let words = |list: &[&str]| list.iter().map(|text| text.parse().unwrap()).collect();
            args(&Command { entrypoint: entrypoint.map(words), args: arguments.map(words), workdir: None }, &config)
        };
        assert_eq!(given(None, None), ["e", "c"]);
        assert_eq!(given(None, Some(&["x"])), ["e", "x"]);
        assert_eq!(given(Some(&["y"]), None), ["y", "c"]);
        assert_eq!(given(Some(&["y"]), Some(&["x"])), ["y", "x"]);
    }

    /// Or an image could read what the node keeps from it.
    #[test]
    fn a_variable_of_the_image_is_a_text_whatever_it_says() {
        let text = |text: &str| (String::from("A"), text.to_owned());
        let config = image::Config { env: [text("$E:SECRET")].into(), ..image::Config::default() };
        let spec = process(&Template::default(), &config);
        let kept: Process = serde_json::from_str(&serde_json::to_string(&spec).unwrap()).unwrap();
        assert_eq!(kept.env["A"], Variable::Text("$E:SECRET".to_owned()));
        let template = Template { env: [("A".parse().unwrap(), "$E:B".parse().unwrap())].into(), ..Template::default() };
        assert_eq!(process(&template, &config).env["A"], Variable::Node("B".to_owned()));
    }
}
