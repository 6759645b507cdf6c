//! A client of registries (distribution-spec), thin because its rules are ours.
//!
//! A registry names other places: where to get a token, where a layer lies. It may not make this node talk to places that
//! only the node can reach, nor get credentials sent anywhere they do not belong:
//!
//! - what the user did not name must have a public address, checked on the address that is connected to ([`address`], [`connect`]);
//! - a redirect to another place goes without credentials, and never from https to http ([`route`]).

mod address;
mod auth;
mod body;
mod challenge;
mod connect;
mod route;
mod send;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::PathBuf;
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use hyper::Response;
use hyper::body::Incoming;
use hyper::header::CONTENT_LENGTH;
use url::Url;

use super::Error;
use super::digest::Digest;
use super::document::{CONFIG_MAX, DOCKER_LIST, DOCKER_MANIFEST, Descriptor, MANIFEST_MAX, OCI_INDEX, OCI_MANIFEST, refused};
use super::feed::{Closed, Feeder};
use super::reference::Repository;
use super::unpack::{Expected, Limits};
use body::Body;
use send::Clients;

/// How images are fetched.
#[derive(Clone, Default)]
pub struct Config {
    /// Registries spoken to in plain http: `host` or `host:port`. Those at loopback addresses and `localhost` are anyway.
    pub insecure: Vec<String>,
    /// User name and password by registry: `docker.io`, `registry.example:5000`.
    pub credentials: BTreeMap<String, (String, String)>,
    /// Further places that a registry may name although their address is private: `host` or `host:port`.
    pub trusted: Vec<String>,
    /// PEM files with certificates of authorities, beside those of the host.
    pub authorities: Vec<PathBuf>,
    pub limits: Limits,
    pub timeouts: Timeouts,
}

/// How long a registry may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// To find and connect to an address.
    pub connect: Duration,
    /// To the start of an answer.
    pub headers: Duration,
    /// Between two pieces of an answer that are worth counting.
    pub stall: Duration,
}

impl Default for Timeouts {
    fn default() -> Timeouts {
        Timeouts { connect: Duration::from_secs(10), headers: Duration::from_secs(30), stall: Duration::from_secs(30) }
    }
}

/// Passwords stay out of logs.
impl fmt::Debug for Config {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Config { insecure, credentials, trusted, authorities, limits, timeouts } = self;
        formatter
            .debug_struct("Config")
            .field("insecure", insecure)
            .field("credentials", &credentials.keys().collect::<Vec<_>>())
            .field("trusted", trusted)
            .field("authorities", authorities)
            .field("limits", limits)
            .field("timeouts", timeouts)
            .finish()
    }
}

/// The client, for all registries.
pub(super) struct Registry {
    config: Config,
    /// Made when first needed: reading the host's certificates takes a while.
    clients: OnceLock<Clients>,
    grants: Mutex<HashMap<Repository, auth::Grant>>,
}

const MANIFESTS: [&str; 4] = [OCI_INDEX, OCI_MANIFEST, DOCKER_LIST, DOCKER_MANIFEST];

/// Reconnections for one layer, when a connection breaks after something has come.
const RESUMES: u32 = 5;

impl Registry {
    pub(super) fn new(config: Config) -> Registry {
        Registry { config, clients: OnceLock::new(), grants: Mutex::default() }
    }

    /// Fetches a manifest or index by tag or digest, and checks it against `expected`.
    pub(super) async fn manifest(
        &self,
        repository: &Repository,
        asked: &str,
        expected: Option<&Digest>,
    ) -> Result<Vec<u8>, Error> {
        let url = self.url(repository, "manifests", asked)?;
        let mut body = self.get(repository, &url, Some(&MANIFESTS.join(", ")), None).await?;
        let announced = body.announced_digest().map(Digest::parse).transpose()?;
        let bytes = body.collect(MANIFEST_MAX).await?;
        let digest = Digest::of(&bytes);
        for wanted in expected.iter().copied().chain(&announced) {
            if digest != *wanted {
                return Err(refused(&format!("manifest {wanted}"), format!("what {url} sends has digest {digest}")));
            }
        }
        Ok(bytes)
    }

    /// Fetches a small blob whole, and checks it against its descriptor.
    pub(super) async fn document(&self, repository: &Repository, descriptor: &Descriptor) -> Result<Vec<u8>, Error> {
        let url = self.url(repository, "blobs", &descriptor.digest.to_string())?;
        let bytes = self.get(repository, &url, None, None).await?.collect(descriptor.size.min(CONFIG_MAX)).await?;
        let what = format!("blob {}", descriptor.digest);
        if bytes.len() as u64 != descriptor.size {
            return Err(refused(&what, format!("{} bytes, not {}", bytes.len(), descriptor.size)));
        }
        if Digest::of(&bytes) != descriptor.digest {
            return Err(refused(&what, format!("what {url} sends has digest {}", Digest::of(&bytes))));
        }
        Ok(bytes)
    }

    /// Streams a layer into `feeder`, which checks it; a broken connection is taken up where it broke.
    pub(super) async fn layer(&self, repository: &Repository, expected: &Expected, feeder: Feeder) -> Result<(), Error> {
        let url = self.url(repository, "blobs", &expected.digest.to_string())?;
        let mut sent = 0;
        let mut resumes = 0;
        loop {
            let result = match self.get(repository, &url, None, (sent > 0).then_some(sent)).await {
                Ok(mut body) => pass(&mut body, &feeder, &mut sent, expected.size).await,
                Err(error) => Err(error),
            };
            match result {
                Ok(Passed::Unwanted) => return Ok(()),
                // An answer that breaks after its last byte is whole.
                Err(_) if sent >= expected.size => return end(feeder).await,
                Ok(Passed::All) => return end(feeder).await,
                Err(error) if error.is_permanent() || sent == 0 || resumes == RESUMES => return Err(error),
                Err(error) => {
                    resumes += 1;
                    tracing::debug!(%error, %url, sent, "layer interrupted, resuming");
                    tokio::time::sleep(send::backoff(resumes)).await;
                }
            }
        }
    }

    fn url(&self, repository: &Repository, kind: &str, asked: &str) -> Result<Url, Error> {
        let host = if repository.host == "docker.io" { "registry-1.docker.io" } else { &repository.host };
        let scheme = if route::speaks_plain_http(host, &self.config.insecure) { "http" } else { "https" };
        let text = format!("{scheme}://{host}/v2/{}/{kind}/{asked}", repository.path);
        Url::parse(&text).map_err(|error| Error::Protocol { url: text, reason: error.to_string() })
    }

    /// Gets a resource of a registry, with what authorisation it asks for.
    async fn get(&self, repository: &Repository, url: &Url, accept: Option<&str>, from: Option<u64>) -> Result<Body, Error> {
        let mut request = send::Request { url, named: url, accept, from, authorization: self.granted(repository) };
        let mut reply = self.send(&request).await?;
        if reply.is_unauthorized() && reply.is_from(url) {
            let challenges = challenge::parse(reply.response.headers());
            request.authorization = Some(self.authorize(repository, url, &challenges).await?);
            reply = self.send(&request).await?;
        }
        let body = Body::new(reply, self.config.timeouts.stall);
        body.into_success().await
    }
}

enum Passed {
    All,
    /// The reader has seen enough.
    Unwanted,
}

/// Nobody reads any more when the layer was refused; the reader says why.
async fn end(feeder: Feeder) -> Result<(), Error> {
    let _ = feeder.end().await;
    Ok(())
}

/// Passes an answer on, without what was passed on before.
async fn pass(body: &mut Body, feeder: &Feeder, sent: &mut u64, size: u64) -> Result<Passed, Error> {
    let mut skip = body.overlap(*sent)?;
    while let Some(mut chunk) = body.chunk().await? {
        let known = usize::try_from(skip).unwrap_or(usize::MAX).min(chunk.len());
        bytes::Buf::advance(&mut chunk, known);
        skip -= known as u64;
        *sent += chunk.len() as u64;
        if let Err(Closed) = feeder.send(chunk).await {
            return Ok(Passed::Unwanted);
        }
        if *sent > size {
            // The reader refuses at the first byte too many; more is not worth fetching.
            break;
        }
    }
    Ok(Passed::All)
}

fn content_length(response: &Response<Incoming>) -> Option<u64> {
    response.headers().get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
