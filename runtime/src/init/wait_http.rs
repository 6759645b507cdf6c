//! `init.wait_http`: waits until a URL answers with the right status.

use std::net::SocketAddrV4;

use hyper::Uri;
use spec::manifest::{self, Step};
use spec::units::HttpStatus;

use super::{Action, Context, until};
use crate::names;
use crate::probe;

pub(super) const ACTION: Action = Action { name: "init.wait_http", try_once: |context, _, step| Box::pin(wait(context, step)) };

async fn wait(context: &Context, step: &Step) -> Result<(), String> {
    let manifest::Action::WaitHttp(wanted) = &step.action else { return Err("it is another action".to_owned()) };
    let target = Target::parse(&wanted.url)?;
    let netns = context.containers.netns(&context.launch.spec);
    let waited = until(step.timeout, || async {
        let address = SocketAddrV4::new(names::look_up(&netns, &target.host).await?, target.port);
        probe::get(&netns, address, &target.authority, &target.path, wanted.expect_status.map(HttpStatus::get)).await
    });
    waited.await.map_err(|why| format!("{} does not answer as it should: {why}", wanted.url))
}

#[derive(Debug, PartialEq, Eq)]
struct Target {
    host: String,
    port: u16,
    /// For the `Host` header.
    authority: String,
    path: String,
}

impl Target {
    fn parse(url: &str) -> Result<Target, String> {
        let uri: Uri = url.parse().map_err(|error| format!("`{url}` is no URL: {error}"))?;
        let authority = uri.authority().filter(|authority| !authority.as_str().contains('@'));
        match (uri.scheme_str(), authority) {
            (Some("http"), Some(authority)) => Ok(Target {
                host: authority.host().to_owned(),
                port: authority.port_u16().unwrap_or(80),
                authority: authority.to_string(),
                path: uri.path_and_query().map_or("/", |path| path.as_str()).to_owned(),
            }),
            _ => Err(format!("`{url}` is not http://host[:port]/path")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_host_port_and_path() {
        let target = |url| Target::parse(url).map(|target| (target.host, target.port, target.authority, target.path));
        let expected = |host: &str, port, authority: &str, path: &str| Ok((host.into(), port, authority.into(), path.into()));
        assert_eq!(target("http://db.global:8080/ready?full=1"), expected("db.global", 8080, "db.global:8080", "/ready?full=1"));
        assert_eq!(target("http://10.0.0.1"), expected("10.0.0.1", 80, "10.0.0.1", "/"));
        for url in ["https://x/", "x", "/x", "http://user:secret@x/", "http:///x", "ftp://x"] {
            assert!(Target::parse(url).is_err(), "{url}");
        }
    }
}
