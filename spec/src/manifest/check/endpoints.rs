//! Endpoints: unique names, fields that fit the protocol, and no two at one place.

use std::collections::BTreeMap;

use super::{Findings, One};
use crate::manifest::{Endpoint, Expose, HostName, Manifest, Protocol, Rtype, ServiceName};
use crate::problem::{Code, Problem};
use crate::yaml::Path;

pub(super) fn check(One { service, here, .. }: One<'_>, findings: &mut Findings<'_>) {
    let endpoints = here.key("endpoints");
    let mut names = BTreeMap::new();
    for (index, endpoint) in service.endpoints.iter().enumerate() {
        let path = endpoints.index(index);
        if let Some(first) = names.insert(&endpoint.name, index) {
            let first = endpoints.index(first);
            let related = vec![findings.related(first.key("name"), "the first one is here")];
            let problem = Problem::at("", format!("two endpoints have the name `{}`", endpoint.name)).code(Code::DuplicateName);
            findings.add(path.key("name"), Problem { related, ..problem.fix("give one of them another name") });
        }
        fields(endpoint, path, findings);
        if endpoint.protocol == Protocol::Udp && service.rtype != Rtype::Service {
            let related = vec![findings.related(here.key("rtype"), format!("this is a {}", service.rtype))];
            let message =
                format!("a udp endpoint cannot start a {}: datagrams are no connection that it could answer", service.rtype);
            let problem =
                Problem::at("", message).code(Code::Contradiction).fix("take another protocol, or leave the endpoint out");
            findings.add(path.key("protocol"), Problem { related, ..problem });
        }
    }
}

/// Fields that the protocol has nothing for.
fn fields(endpoint: &Endpoint, here: Path<'_>, findings: &mut Findings<'_>) {
    let protocol = endpoint.protocol;
    let tls_fix = match protocol {
        Protocol::Http => "write `protocol: https`, or leave `tls` out",
        _ => "leave it out: connections are passed on as they are, TLS included",
    };
    for (field, wrong, why, fix) in [
        ("path", endpoint.path.is_some() && !protocol.is_http(), "has no paths", "leave `path` out"),
        ("host", endpoint.host.is_some() && protocol == Protocol::Udp, "names no host", "leave `host` out"),
        ("tls", endpoint.tls.is_some() && !can_be_tls(protocol), "has no TLS that could end at the proxy", tls_fix),
    ] {
        if wrong {
            let related = vec![findings.related(here.key("protocol"), format!("this is {protocol}"))];
            let problem = Problem::at("", format!("`{field}` does not go with `protocol: {protocol}`, which {why}"));
            findings.add_at_key(here.key(field), Problem { related, ..problem.code(Code::MisplacedField).fix(fix) });
        }
    }
}

fn can_be_tls(protocol: Protocol) -> bool {
    matches!(protocol, Protocol::Https | Protocol::Websocket)
}

/// Whose address and which port an endpoint is bound to. `None` is the node's own, else it is that of a service of a deployment.
type Spot<'a> = (Option<(usize, &'a ServiceName)>, u16);

/// What endpoints at one spot can be told apart by.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    /// Requests in the clear.
    Plain,
    /// Requests over TLS, which ends at the proxy.
    Tls,
    /// Connections that are passed on; those with a host are TLS for that name.
    Stream,
    Datagrams,
}

/// What an endpoint takes at its spot: all of a class, all for one host of it, or a path of that.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Claim<'a> {
    All(Class),
    Host(Class, Option<&'a HostName>),
    Path(Class, Option<&'a HostName>, &'a str),
}

/// An endpoint at a spot.
#[derive(Clone, Copy)]
struct Bound<'a> {
    manifest: &'a Manifest,
    /// Which of the manifests with a text it is of.
    source: Option<usize>,
    service: &'a ServiceName,
    index: usize,
    endpoint: &'a Endpoint,
}

/// Checks that no two endpoints of all manifests want the same requests. `others` are there already, and have no text; one that is
/// described anew counts as it will be.
pub(super) fn together(manifests: &[Option<&Manifest>], others: &[&Manifest], findings: &mut [Findings<'_>]) {
    let mut taken: BTreeMap<(Spot<'_>, Claim<'_>), Bound<'_>> = BTreeMap::new();
    let anew = |other: &Manifest| manifests.iter().flatten().any(|manifest| manifest.deployment == other.deployment);
    let others = others.iter().filter(|other| !anew(other)).map(|other| (None, *other));
    let sources = manifests.iter().enumerate().filter_map(|(index, manifest)| Some((Some(index), (*manifest)?)));
    for (deployment, (source, manifest)) in others.chain(sources).enumerate() {
        for (spot, bound) in bound(deployment, source, manifest) {
            let first = refused(bound.endpoint).into_iter().find_map(|claim| taken.get(&(spot, claim)));
            if let (Some(first), Some(source)) = (first, source) {
                let (first, later) = in_order(*first, bound, findings);
                let problem = problem(&later, &first, findings);
                at(&later, |path| findings[source].add(path, problem));
                continue;
            }
            for claim in claims(bound.endpoint) {
                taken.entry((spot, claim)).or_insert(bound);
            }
        }
    }
}

fn bound(deployment: usize, source: Option<usize>, manifest: &Manifest) -> impl Iterator<Item = (Spot<'_>, Bound<'_>)> {
    manifest.services.iter().flat_map(move |(service, spec)| {
        spec.endpoints.iter().enumerate().map(move |(index, endpoint)| {
            let of = (endpoint.expose == Expose::Internal).then_some((deployment, service));
            ((of, endpoint.port.get()), Bound { manifest, source, service, index, endpoint })
        })
    })
}

/// Returns two endpoints of which the second one is at fault: in one text, the later one.
fn in_order<'a>(one: Bound<'a>, other: Bound<'a>, findings: &[Findings<'_>]) -> (Bound<'a>, Bound<'a>) {
    let Some(source) = one.source.filter(|_| one.source == other.source) else { return (one, other) };
    let place = |bound: &Bound<'_>| {
        let mut place = None;
        at(bound, |path| place = Some(findings[source].related(path, "").place));
        place
    };
    if place(&one) <= place(&other) { (one, other) } else { (other, one) }
}

fn at(bound: &Bound<'_>, use_path: impl FnOnce(Path<'_>)) {
    let services = Path::ROOT.key("services");
    let service = services.key(bound.service);
    let endpoints = service.key("endpoints");
    let endpoint = endpoints.index(bound.index);
    use_path(endpoint.key("port"));
}

fn class(endpoint: &Endpoint) -> Class {
    match endpoint.protocol {
        Protocol::Udp => Class::Datagrams,
        Protocol::Tcp => Class::Stream,
        Protocol::Websocket if endpoint.tls.is_some() => Class::Tls,
        Protocol::Https => Class::Tls,
        Protocol::Http | Protocol::Websocket => Class::Plain,
    }
}

/// Returns all that an endpoint takes, seen from far and from near.
fn claims(endpoint: &Endpoint) -> [Claim<'_>; 3] {
    let (class, host) = (class(endpoint), endpoint.host.as_ref());
    [Claim::All(class), Claim::Host(class, host), Claim::Path(class, host, endpoint.path())]
}

/// Returns the claims of others beside which an endpoint cannot be.
fn refused(endpoint: &Endpoint) -> Vec<Claim<'_>> {
    let host = endpoint.host.as_ref();
    // TLS connections are told apart by the name they are for, where both say one.
    let by_name = |class| match host {
        None => vec![Claim::All(class)],
        Some(_) => vec![Claim::Host(class, None), Claim::Host(class, host)],
    };
    let own = vec![Claim::Path(class(endpoint), host, endpoint.path())];
    match class(endpoint) {
        Class::Plain => [own, vec![Claim::All(Class::Tls), Claim::All(Class::Stream)]].concat(),
        Class::Tls => [own, vec![Claim::All(Class::Plain)], by_name(Class::Stream)].concat(),
        Class::Stream => [vec![Claim::All(Class::Plain)], by_name(Class::Tls), by_name(Class::Stream)].concat(),
        Class::Datagrams => vec![Claim::All(Class::Datagrams)],
    }
}

/// Both take requests, which are told apart by host and path.
fn speak_alike(one: &Endpoint, other: &Endpoint) -> bool {
    one.protocol.is_http() && class(one) == class(other)
}

fn problem(bound: &Bound<'_>, first: &Bound<'_>, findings: &[Findings<'_>]) -> Problem {
    let (endpoint, port) = (bound.endpoint, bound.endpoint.port);
    let mut owner = format!("endpoint `{}` of service `{}`", first.endpoint.name, first.service);
    if bound.source != first.source {
        owner.push_str(&format!(" in deployment `{}`", first.manifest.deployment));
    }
    let (message, fix) = if speak_alike(endpoint, first.endpoint) {
        let host = endpoint.host.as_ref().map(|host| format!(" for host {host}")).unwrap_or_default();
        let message = format!("port {port}{host} with path {} is already taken by {owner}", endpoint.path());
        (message, "give one of the two another port, host or path")
    } else {
        let message = format!("port {port} is already taken by {owner}, which speaks {}", first.endpoint.protocol);
        (message, "give one of the two another port")
    };
    let mut related = Vec::new();
    if let Some(source) = first.source {
        at(first, |path| related.push(findings[source].related(path, "it is taken here")));
    }
    Problem { related, ..Problem::at("", message).code(Code::Clash).fix(fix) }
}
