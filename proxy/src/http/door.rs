//! Answers the requests of one client connection.

use std::net::SocketAddr;
use std::sync::Arc;

use hyper::body::{Body, Incoming};
use hyper::header::{self, HeaderValue};
use hyper::http::uri::PathAndQuery;
use hyper::upgrade::OnUpgrade;
use hyper::{Method, Request, Response, StatusCode, Uri, Version};

use super::body::{Inbound, Outbound};
use super::crowd::{Busy, Visit};
use super::dispatch::{Answer, Dispatch};
use super::headers::{self, Client};
use super::path;
use super::refusal::Refusal;
use super::tunnel;
use crate::plane::Shared;
use crate::plane::table::Route;

pub(super) struct Door {
    shared: Arc<Shared>,
    port: u16,
    visit: Arc<Visit>,
    client: Client,
}

/// A change of protocol that the client asks for.
struct Upgrade {
    client: OnUpgrade,
    protocol: HeaderValue,
}

impl Door {
    pub(super) fn new(shared: Arc<Shared>, port: u16, peer: SocketAddr, visit: Arc<Visit>) -> Door {
        Door { shared, port, visit, client: Client::new(peer.ip()) }
    }

    pub(super) async fn answer(&self, request: Request<Incoming>) -> Response<Outbound> {
        let busy = Busy::new(&self.visit);
        let has_body = !request.body().is_end_stream();
        let mut response = match self.forward(request).await {
            Ok((answer, upgrade)) => self.pass_on(answer, upgrade, busy),
            Err(refusal) => refusal.answer(busy, has_body),
        };
        if self.shared.is_draining() && response.status() != StatusCode::SWITCHING_PROTOCOLS {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    async fn forward(&self, request: Request<Incoming>) -> Result<(Answer, Option<Upgrade>), Refusal> {
        let (route, path) = self.route(&request).inspect_err(|_| self.shared.metrics.refused.add_one())?;
        route.metrics.requests.add_one();
        let (request, upgrade) = self.prepare(request);
        let dispatch = Dispatch { shared: &self.shared, port: self.port, path: &path, visit: &self.visit };
        let answer = dispatch.send(&route, request).await.and_then(|answer| Door::check(&route, answer, upgrade.as_ref()));
        let answer = answer.inspect_err(|refusal| match refusal.is_clients() {
            true => self.shared.metrics.refused.add_one(),
            false => route.metrics.errors.add_one(),
        })?;
        Ok((answer, upgrade))
    }

    fn route(&self, request: &Request<Incoming>) -> Result<(Arc<Route>, String), Refusal> {
        if request.method() == Method::CONNECT {
            return Err(Refusal::Connect);
        }
        check_host(request)?;
        let path = path::normalise(request.uri().path())?.into_owned();
        let route = self.shared.table().find(self.port, &path).cloned().ok_or(Refusal::NoRoute)?;
        Ok((route, path))
    }

    /// Makes the request that goes to a backend.
    fn prepare(&self, mut request: Request<Incoming>) -> (Request<Inbound>, Option<Upgrade>) {
        let protocol = headers::upgrade(request.headers()).filter(|_| request.version() == Version::HTTP_11);
        let upgrade = protocol.map(|protocol| Upgrade { client: hyper::upgrade::on(&mut request), protocol });

        let (mut head, body) = request.into_parts();
        headers::end_hop(&mut head.headers);
        // hyper has said "continue" to the client itself.
        head.headers.remove(header::EXPECT);
        self.client.introduce(&mut head.headers);
        if !body.is_end_stream() && body.size_hint().exact().is_none() {
            head.headers.insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
        if let Some(Upgrade { protocol, .. }) = &upgrade {
            head.headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
            head.headers.insert(header::UPGRADE, protocol.clone());
        }
        if !head.headers.contains_key(header::HOST) {
            // Only HTTP/1.0 may leave it out; a backend gets HTTP/1.1, which may not.
            head.headers.insert(header::HOST, HeaderValue::from_static("localhost"));
        }
        if head.uri.scheme().is_some() {
            let target = head.uri.path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"));
            head.uri = Uri::from(target);
        }
        head.version = Version::HTTP_11;
        let body = Inbound::new(body, self.visit.clone(), self.shared.limits.stall);
        (Request::from_parts(head, body), upgrade)
    }

    /// Refuses an answer that changes the protocol unasked, or whose body is coded in a way that only this hop could undo.
    fn check(route: &Route, answer: Answer, upgrade: Option<&Upgrade>) -> Result<Answer, Refusal> {
        let changes = answer.response.status() == StatusCode::SWITCHING_PROTOCOLS;
        let is_readable = headers::transfer_coding_is_plain(answer.response.headers());
        if (changes && upgrade.is_none()) || !is_readable {
            return Err(Refusal::NoAnswer { service: route.service.clone() });
        }
        Ok(answer)
    }

    /// Makes the response that goes to the client.
    fn pass_on(&self, answer: Answer, upgrade: Option<Upgrade>, busy: Busy) -> Response<Outbound> {
        let Answer { mut response, lease } = answer;
        // Of the connection to the backend; this one has its own.
        *response.version_mut() = Version::HTTP_11;
        let protocol = headers::upgrade(response.headers());
        if let (StatusCode::SWITCHING_PROTOCOLS, Some(upgrade)) = (response.status(), upgrade) {
            let backend = hyper::upgrade::on(&mut response);
            self.visit.become_tunnel();
            tokio::spawn(tunnel::join(upgrade.client, backend, busy.clone()));
            headers::end_hop(response.headers_mut());
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
            response.headers_mut().insert(header::UPGRADE, protocol.unwrap_or(upgrade.protocol));
            return response.map(|_| Outbound::text("", busy));
        }
        if response.headers().contains_key(header::TRANSFER_ENCODING) {
            // It does not count (RFC 9112 section 6.3), and would cut the body off.
            response.headers_mut().remove(header::CONTENT_LENGTH);
        }
        headers::end_hop(response.headers_mut());
        response.map(|body| Outbound::backend(body, lease, busy))
    }
}

/// Checks that the request names one host (RFC 9112 section 3.2).
fn check_host(request: &Request<Incoming>) -> Result<(), Refusal> {
    let host = request.headers().get(header::HOST);
    if host.is_none() && request.version() == Version::HTTP_11 {
        return Err(Refusal::BadRequest("the Host header is missing"));
    }
    if host.is_some_and(|host| !headers::is_authority(host)) {
        return Err(Refusal::BadRequest("the Host header is no host and port"));
    }
    if let (Some(authority), Some(host)) = (request.uri().authority(), host)
        && !authority.as_str().as_bytes().eq_ignore_ascii_case(host.as_bytes())
    {
        return Err(Refusal::BadRequest("the target and the Host header name different hosts"));
    }
    Ok(())
}
