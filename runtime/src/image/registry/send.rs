//! One request: retries, redirects, and who gets to see the credentials.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::header::{ACCEPT, AUTHORIZATION, HeaderValue, LOCATION, RANGE, RETRY_AFTER, USER_AGENT};
use hyper::{Response, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio::time::{sleep, timeout};
use tower::util::BoxCloneSyncService;
use url::Url;

use super::connect::{connect, is_not_public};
use super::route::{NOT_PUBLIC, Reach, Rules, bare, is_same_place, route};
use super::{Config, Registry};
use crate::image::Error;

pub(super) struct Request<'a> {
    pub(super) url: &'a Url,
    /// An address at the registry that the user named.
    pub(super) named: &'a Url,
    pub(super) accept: Option<&'a str>,
    /// The first byte that is wanted, when not all are.
    pub(super) from: Option<u64>,
    /// Sent to `url` only, not to where that redirects.
    pub(super) authorization: Option<HeaderValue>,
}

pub(super) struct Reply {
    pub(super) response: Response<Incoming>,
    /// Where it came from in the end.
    pub(super) url: Url,
}

impl Reply {
    pub(super) fn is_unauthorized(&self) -> bool {
        self.response.status() == StatusCode::UNAUTHORIZED
    }

    pub(super) fn is_from(&self, url: &Url) -> bool {
        is_same_place(&self.url, url)
    }
}

/// Redirects that are followed: a registry sends to its storage, and that perhaps to a cache.
const REDIRECTS_MAX: u32 = 5;
/// Tries of one request.
const TRIES: u32 = 4;
/// Longest wait between two tries. Who asks for more is asked again by whoever wants the image.
const WAIT_MAX: Duration = Duration::from_secs(30);
const FIRST_WAIT: Duration = Duration::from_millis(500);

const AGENT: &str = concat!("stead/", env!("CARGO_PKG_VERSION"));

impl Registry {
    /// Sends a request and follows redirects; any final status is an answer.
    pub(super) async fn send(&self, request: &Request<'_>) -> Result<Reply, Error> {
        let mut url = request.url.clone();
        let mut authorization = request.authorization.clone();
        let mut reach = self.check_route(request.url, &url, request.named)?;
        for _ in 0..=REDIRECTS_MAX {
            let response = self.send_patiently(request, &url, authorization.as_ref(), reach).await?;
            let Some(target) = redirect(&url, &response)? else { return Ok(Reply { response, url }) };
            reach = self.check_route(&url, &target, request.named)?;
            if !is_same_place(&url, &target) {
                // Not given back either, when the way leads home again.
                authorization = None;
            }
            url = target;
        }
        Err(Error::Protocol { url: bare(request.url), reason: format!("more than {REDIRECTS_MAX} redirects") })
    }

    pub(super) fn check_route(&self, from: &Url, to: &Url, named: &Url) -> Result<Reach, Error> {
        route(from, to, Rules { named, insecure: &self.config.insecure, trusted: &self.config.trusted })
    }

    /// Sends a request again while the server asks for patience.
    async fn send_patiently(
        &self,
        request: &Request<'_>,
        url: &Url,
        authorization: Option<&HeaderValue>,
        reach: Reach,
    ) -> Result<Response<Incoming>, Error> {
        for attempt in 1..TRIES {
            let response = self.send_once(request, url, authorization, reach).await?;
            let Some(wait) = wait(&response, attempt) else { return Ok(response) };
            tracing::debug!(%url, status = %response.status(), ?wait, "registry asks for patience");
            drop(response);
            sleep(wait).await;
        }
        self.send_once(request, url, authorization, reach).await
    }

    async fn send_once(
        &self,
        request: &Request<'_>,
        url: &Url,
        authorization: Option<&HeaderValue>,
        reach: Reach,
    ) -> Result<Response<Incoming>, Error> {
        let mut builder = hyper::Request::get(url.as_str()).header(USER_AGENT, AGENT);
        if let Some(accept) = request.accept {
            builder = builder.header(ACCEPT, accept);
        }
        if let Some(from) = request.from {
            builder = builder.header(RANGE, format!("bytes={from}-"));
        }
        if let Some(authorization) = authorization {
            builder = builder.header(AUTHORIZATION, authorization);
        }
        let message =
            builder.body(Empty::new()).map_err(|error| Error::Protocol { url: bare(url), reason: error.to_string() })?;
        let after = self.config.timeouts.headers;
        match timeout(after, self.clients()?.of(reach).request(message)).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) if is_not_public(&error) => {
                Err(Error::Refused { from: bare(request.named), to: bare(url), reason: NOT_PUBLIC })
            }
            Ok(Err(error)) => Err(Error::Network { url: bare(url), source: error.into() }),
            Err(_) => Err(Error::Timeout { url: bare(url), after }),
        }
    }

    fn clients(&self) -> Result<&Clients, Error> {
        match self.clients.get() {
            Some(clients) => Ok(clients),
            None => {
                let clients = Clients::new(&self.config)?;
                Ok(self.clients.get_or_init(|| clients))
            }
        }
    }
}

/// Returns where an answer redirects to.
fn redirect(url: &Url, response: &Response<Incoming>) -> Result<Option<Url>, Error> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let location = response.headers().get(LOCATION).and_then(|location| location.to_str().ok());
    let target = location.and_then(|location| url.join(location).ok());
    target.map(Some).ok_or_else(|| Error::Protocol { url: bare(url), reason: "a redirect to nowhere".to_owned() })
}

/// Returns how long to wait before the next try; none when the answer is to be taken as it is.
fn wait(response: &Response<Incoming>, attempt: u32) -> Option<Duration> {
    if !matches!(response.status().as_u16(), 429 | 502..=504) {
        return None;
    }
    let asked = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()).and_then(retry_after);
    let wait = asked.unwrap_or_else(|| backoff(attempt));
    (wait <= WAIT_MAX).then_some(wait)
}

/// Reads seconds or a date (RFC 9110, section 10.2.3).
fn retry_after(value: &str) -> Option<Duration> {
    if let Ok(seconds) = value.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(value).ok()?.timestamp();
    let wait = date.duration_since(jiff::Timestamp::now());
    Some(Duration::try_from(wait).unwrap_or(Duration::ZERO))
}

/// Returns the wait before try number `attempt + 1`, doubled each time.
pub(super) fn backoff(attempt: u32) -> Duration {
    FIRST_WAIT.saturating_mul(1 << attempt.min(6).saturating_sub(1)).min(WAIT_MAX)
}

type HttpClient = Client<hyper_rustls::HttpsConnector<Connector>, Empty<Bytes>>;
type Stream = hyper_util::rt::TokioIo<tokio::net::TcpStream>;
type Connector = BoxCloneSyncService<hyper::Uri, Stream, Box<dyn std::error::Error + Send + Sync>>;

/// A client for each reach: a connection made for one is never used for the other.
pub(super) struct Clients {
    any: HttpClient,
    public: HttpClient,
}

impl Clients {
    fn new(config: &Config) -> Result<Clients, Error> {
        let tls = tls(config)?;
        let client = |reach| client(tls.clone(), reach, config.timeouts.connect);
        Ok(Clients { any: client(Reach::Any), public: client(Reach::Public) })
    }

    fn of(&self, reach: Reach) -> &HttpClient {
        match reach {
            Reach::Any => &self.any,
            Reach::Public => &self.public,
        }
    }
}

fn client(tls: ClientConfig, reach: Reach, limit: Duration) -> HttpClient {
    let connector = BoxCloneSyncService::new(tower::service_fn(move |uri| connect(uri, reach, limit)));
    let https = hyper_rustls::HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1();
    Client::builder(TokioExecutor::new()).pool_timer(TokioTimer::new()).build(https.wrap_connector(connector))
}

/// Trusts whom the host trusts and whom the user adds; Mozilla's list serves a host that has none of its own.
fn tls(config: &Config) -> Result<ClientConfig, Error> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    for path in &config.authorities {
        let unreadable =
            |error: rustls::pki_types::pem::Error| Error::io("read the certificates of", path)(std::io::Error::other(error));
        let certificates: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).map_err(unreadable)?.collect();
        roots.add_parsable_certificates(certificates.map_err(unreadable)?);
    }
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| Error::Network { url: "tls".to_owned(), source: error.into() })?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        assert_eq!(retry_after("7"), Some(Duration::from_secs(7)));
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::ZERO));
        let soon = retry_after("Fri, 06 Nov 2195 08:49:37 GMT").unwrap();
        assert!(soon > WAIT_MAX);
        assert_eq!(retry_after("soon"), None);
    }

    #[test]
    fn waits_double_and_are_bounded() {
        let waits: Vec<u128> = (1..=8).map(|attempt| backoff(attempt).as_millis()).collect();
        assert_eq!(waits, [500, 1000, 2000, 4000, 8000, 16000, 16000, 16000]);
    }
}
