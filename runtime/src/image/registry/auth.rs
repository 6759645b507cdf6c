//! Tokens and passwords for a repository (distribution-spec, "Token Authentication").

use std::fmt;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::header::HeaderValue;
use serde::Deserialize;
use url::Url;

use super::body::Body;
use super::challenge::Challenge;
use super::route::bare;
use super::{Registry, send};
use crate::image::Error;
use crate::image::reference::Repository;

/// What gets requests for a repository accepted, until it expires.
pub(super) struct Grant {
    header: HeaderValue,
    until: Option<Instant>,
}

#[derive(Deserialize)]
struct Token {
    /// Either name is in use.
    token: Option<String>,
    access_token: Option<String>,
    /// In seconds.
    expires_in: Option<u64>,
}

/// Largest answer with a token: room for one as large as a header may be.
const TOKEN_MAX: u64 = 1 << 20;
/// How long a token lasts that does not say so: what the specification says.
const TOKEN_LIFE_S: u64 = 60;
/// A token is no longer used this long before its end.
const TOKEN_MARGIN: Duration = Duration::from_secs(5);
/// Repositories whose grants are kept.
const GRANTS_MAX: usize = 1000;

impl Registry {
    /// Returns what was granted for a repository and is still good.
    pub(super) fn granted(&self, repository: &Repository) -> Option<HeaderValue> {
        let grants = self.grants.lock().unwrap_or_else(PoisonError::into_inner);
        let grant = grants.get(repository)?;
        grant.until.is_none_or(|until| Instant::now() < until).then(|| grant.header.clone())
    }

    /// Answers a registry's challenge.
    pub(super) async fn authorize(
        &self,
        repository: &Repository,
        url: &Url,
        challenges: &[Challenge],
    ) -> Result<HeaderValue, Error> {
        let credentials = self.config.credentials.get(&repository.host);
        let asked = |scheme: &str| challenges.iter().find(|challenge| challenge.scheme == scheme);
        let grant = match (asked("bearer"), asked("basic"), credentials) {
            (Some(challenge), ..) => self.token(repository, url, challenge).await?,
            (None, Some(_), Some(credentials)) => Grant { header: basic(credentials), until: None },
            (None, Some(_), None) => {
                return Err(denied(url, format!("{} wants a password, and none is configured", repository.host)));
            }
            (None, None, _) => return Err(denied(url, "the registry names no way to get access that is known here")),
        };
        let header = grant.header.clone();
        let mut grants = self.grants.lock().unwrap_or_else(PoisonError::into_inner);
        if grants.len() >= GRANTS_MAX {
            grants.clear();
        }
        grants.insert(repository.clone(), grant);
        Ok(header)
    }

    /// Gets a token from where the registry says; with the registry's credentials, if there are any.
    async fn token(&self, repository: &Repository, url: &Url, challenge: &Challenge) -> Result<Grant, Error> {
        let realm =
            challenge.parameters.get("realm").ok_or_else(|| denied(url, "the registry does not say where to get a token"))?;
        let mut realm = Url::parse(realm).map_err(|error| denied(url, format!("{realm:?} gives no tokens: {error}")))?;
        // Never the scope that the registry asks for: to pull is all that is wanted.
        let scope = format!("repository:{}:pull", repository.path);
        let service = challenge.parameters.get("service").map(|service| ("service", service.as_str()));
        realm.query_pairs_mut().extend_pairs(service).append_pair("scope", &scope);

        self.check_route(url, &realm, url)?;
        let authorization = self.config.credentials.get(&repository.host).map(basic);
        let request = send::Request { url: &realm, named: url, accept: None, from: None, authorization };
        let body = Body::new(self.send(&request).await?, self.config.timeouts.stall);
        let bytes = body.into_success().await?.collect(TOKEN_MAX).await?;
        let token: Token = serde_json::from_slice(&bytes).map_err(|error| denied(&realm, format!("no token: {error}")))?;
        let text = token.token.or(token.access_token).ok_or_else(|| denied(&realm, "no token in its answer"))?;
        let mut header = HeaderValue::try_from(format!("Bearer {text}")).map_err(|_| denied(&realm, "a malformed token"))?;
        header.set_sensitive(true);
        let life = Duration::from_secs(token.expires_in.unwrap_or(TOKEN_LIFE_S).max(TOKEN_LIFE_S));
        Ok(Grant { header, until: Instant::now().checked_add(life.saturating_sub(TOKEN_MARGIN)) })
    }
}

fn basic((user, password): &(String, String)) -> HeaderValue {
    let encoded = STANDARD.encode(format!("{user}:{password}"));
    let mut header = HeaderValue::try_from(format!("Basic {encoded}")).expect("base64 is valid in a header");
    header.set_sensitive(true);
    header
}

fn denied(url: &Url, detail: impl fmt::Display) -> Error {
    Error::Denied { url: bare(url), detail: format!(": {detail}") }
}
