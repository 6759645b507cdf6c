//! Published ports as public endpoints.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::Import;
use super::at::At;
use super::names;
use crate::manifest::{Endpoint, Expose, Label, Protocol, ServiceName};
use crate::units::Port;
use crate::yaml::quoted;

/// Ports of containers that are usually HTTP's; in order.
const HTTP: &[u16] = &[
    80, 81, 591, 1337, 2368, 3000, 3001, 3002, 3100, 4000, 4200, 5000, 5001, 5173, 5601, 5678, 5984, 7474, 8000, 8001, 8008,
    8025, 8080, 8081, 8082, 8083, 8084, 8085, 8086, 8088, 8089, 8090, 8096, 8123, 8161, 8200, 8384, 8500, 8529, 8686, 8787, 8888,
    8889, 8983, 8989, 9000, 9001, 9090, 9091, 9093, 9100, 9115, 9117, 9200, 9411, 9696, 9999, 10000, 15672, 16686, 19999, 32400,
];

/// Most ports that one entry is spread out to.
const RANGE_MAX: usize = 64;

/// An entry of `ports`.
#[derive(Default)]
struct Published {
    name: Option<String>,
    host_ip: String,
    /// First and last port of the node.
    published: Option<(u16, u16)>,
    /// First and last port of the container.
    target: Option<(u16, u16)>,
    datagrams: bool,
    /// What is spoken, where that is written.
    spoken: Option<String>,
}

/// The endpoints of one service, whose names are all different.
#[derive(Default)]
struct Endpoints {
    list: Vec<Endpoint>,
    names: BTreeSet<Label>,
}

pub(super) fn read<'a>(import: &mut Import<'a>, at: &At<'a>, service: &ServiceName) -> Vec<Endpoint> {
    let mut endpoints = Endpoints::default();
    for at in import.list(at) {
        let published = if at.is_mapping() { Some(long(import, &at)) } else { short(import, &at) };
        if let Some(published) = published {
            bind(import, &at, service, &published, &mut endpoints);
        }
    }
    endpoints.list
}

/// Reads `[[IP:]PUBLISHED:]TARGET[/PROTOCOL]`.
fn short<'a>(import: &mut Import<'a>, at: &At<'a>) -> Option<Published> {
    let text = import.text(at)?;
    let (ports, protocol) = text.split_once('/').map_or((text.as_str(), "tcp"), |(ports, protocol)| (ports, protocol));
    let (host, target) = ports.rsplit_once(':').map_or(("", ports), |(host, target)| (host, target));
    let (host_ip, published) = host.rsplit_once(':').unwrap_or(("", host));
    let found = Published {
        host_ip: host_ip.trim_matches(['[', ']']).to_owned(),
        published: range(published),
        target: range(target),
        datagrams: protocol == "udp",
        ..Published::default()
    };
    let address = found.host_ip.is_empty() || found.host_ip.parse::<IpAddr>().is_ok();
    let ports = found.target.is_some() && (published.is_empty() || found.published.is_some());
    if !matches!(protocol, "tcp" | "udp") || !address || !ports {
        import.notes.leave_out(at, &format!("{} is not a port that can be published", quoted(&text)));
        return None;
    }
    Some(found)
}

fn long<'a>(import: &mut Import<'a>, at: &At<'a>) -> Published {
    let mut found = Published::default();
    for (field, at) in at.fields() {
        match field {
            "target" => found.target = import.parsed(&at, "a port", range),
            "published" => {
                let any = |text: &str| if text == "0" { Some(None) } else { range(text).map(Some) };
                found.published = import.parsed(&at, "a port", any).flatten();
            }
            "host_ip" => found.host_ip = import.text(&at).unwrap_or_default(),
            "protocol" => found.datagrams = protocol(import, &at),
            "app_protocol" => found.spoken = import.text(&at),
            "name" => found.name = import.text(&at),
            "mode" if matches!(at.text(), Some("ingress" | "host")) => {}
            _ => import.unknown(&at, ["app_protocol", "host_ip", "mode", "name", "protocol", "published", "target"].into_iter()),
        }
    }
    found
}

fn protocol<'a>(import: &mut Import<'a>, at: &At<'a>) -> bool {
    let text = import.text(at).unwrap_or_default();
    if !matches!(text.as_str(), "tcp" | "udp" | "") {
        import.notes.leave_out(at, &format!("{} is neither `tcp` nor `udp`", quoted(&text)));
    }
    text == "udp"
}

/// Reads `80` or `80-89`.
fn range(text: &str) -> Option<(u16, u16)> {
    let port = |text: &str| {
        text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse::<u16>().ok().filter(|port| *port > 0)).flatten()
    };
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (port(first)?, port(last)?);
    (first <= last).then_some((first, last))
}

fn bind<'a>(import: &mut Import<'a>, at: &At<'a>, service: &ServiceName, published: &Published, endpoints: &mut Endpoints) {
    let Some(target) = published.target else {
        return import.notes.leave_out(at, "it has no port of the container");
    };
    let Some(from) = published.published else {
        let why =
            format!("it names no port of the node, and the deployment's services reach `{service}.global` on all its ports");
        return import.notes.leave_out_with(
            at,
            &why,
            "write an endpoint with `port` and `expose: public` if it is for others too",
        );
    };
    if !is_everywhere(&published.host_ip) {
        let why = format!(
            "it is for {} alone, and public endpoints are reached at all addresses of the node",
            quoted(&published.host_ip)
        );
        return import.notes.leave_out_with(
            at,
            &why,
            format!("the deployment's services reach {service}.global:{} as it is", target.0),
        );
    }
    let count = usize::from(from.1 - from.0) + 1;
    let targets = usize::from(target.1 - target.0) + 1;
    if targets == 1 && count > 1 {
        import.notes.add(at, format!("one port of a range is not chosen: {} was taken", from.0));
    } else if targets != count || count > RANGE_MAX {
        let why = if count > RANGE_MAX {
            format!("{count} ports are too many to write as endpoints")
        } else {
            "the two ranges differ in length".to_owned()
        };
        return import.notes.leave_out(at, &why);
    }
    let protocol = protocol_of(import, at, published, target);
    for (port, target) in (from.0..=from.1).zip(target.0..=target.1) {
        add(import, at, service, (published, protocol, port, target), endpoints);
    }
}

/// All addresses of the node are meant.
fn is_everywhere(host_ip: &str) -> bool {
    host_ip.is_empty() || host_ip.parse::<IpAddr>().is_ok_and(|address| address.is_unspecified())
}

/// Tells what is spoken: by what is written, or by the container's port, with a note.
fn protocol_of(import: &mut Import<'_>, at: &At<'_>, published: &Published, target: (u16, u16)) -> Protocol {
    if published.datagrams {
        if let Some(spoken) = &published.spoken {
            import.notes.add(at, format!("{} is not spoken by endpoints: datagrams are passed on as they are", quoted(spoken)));
        }
        return Protocol::Udp;
    }
    match published.spoken.as_deref() {
        Some("http") => return Protocol::Http,
        Some("ws") => return Protocol::Websocket,
        Some("tcp") => return Protocol::Tcp,
        Some(spoken) => {
            import
                .notes
                .add(at, format!("{} is not spoken by endpoints here: connections are passed on as they are", quoted(spoken)));
            return Protocol::Tcp;
        }
        None => {}
    }
    if HTTP.binary_search(&target.0).is_err() {
        return Protocol::Tcp;
    }
    let message = format!("{} is usually a port of HTTP, so the endpoint speaks http", target.0);
    import.notes.add_with(at, message, "write `protocol: tcp` if it is something else");
    Protocol::Http
}

fn add(
    import: &mut Import<'_>,
    at: &At<'_>,
    service: &ServiceName,
    (published, protocol, port, target): (&Published, Protocol, u16, u16),
    endpoints: &mut Endpoints,
) {
    let spot = (published.datagrams, port);
    if let Some(owner) = import.ports.get(&spot) {
        let why = format!("port {port} of the node is taken by `{owner}`");
        return import.notes.leave_out_with(at, &why, "give one of the two another port, host or path");
    }
    import.ports.insert(spot, service.to_string());
    let target = Port::new(target).filter(|_| target != port);
    let name = endpoints.name(published, protocol, port);
    endpoints.list.push(Endpoint {
        name,
        protocol,
        port: Port::new(port).expect("ports are read from 1 up"),
        target,
        host: None,
        path: None,
        expose: Expose::Public,
        tls: None,
    });
}

impl Endpoints {
    /// Takes a name: the one that is written, that of what is spoken, or one of these with the port.
    fn name(&mut self, published: &Published, protocol: Protocol, port: u16) -> Label {
        let base = published.name.as_deref().map_or_else(|| names::label(protocol.word()), names::label);
        let numbered = names::label(&format!("{}-{port}", &base[..base.len().min(50)]));
        let last = names::label(&format!("{}-{port}-{}", protocol.word(), self.list.len()));
        let name = [base, numbered].into_iter().find(|name| !self.names.contains(name)).unwrap_or(last);
        self.names.insert(name.clone());
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read() {
        for (text, found) in [
            ("80", Some((80, 80))),
            ("80-89", Some((80, 89))),
            ("0", None),
            ("9-8", None),
            ("", None),
            ("+8", None),
            ("1-", None),
        ] {
            assert_eq!(range(text), found, "{text}");
        }
    }

    #[test]
    fn ports_of_http_are_in_order() {
        assert!(HTTP.is_sorted());
    }
}
