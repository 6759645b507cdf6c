//! An answer's body, with deadlines and bounds.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::CONTENT_RANGE;
use hyper::{Response, StatusCode};
use tokio::time::{Instant, timeout};
use url::Url;

use super::content_length;
use super::route::bare;
use super::send::Reply;
use crate::image::Error;

pub(super) struct Body {
    response: Response<Incoming>,
    url: Url,
    stall: Duration,
    /// What is left to wait until something worth counting must have come.
    patience: Duration,
    /// Bytes since `patience` was renewed.
    progress: u64,
}

/// Bytes that renew a stream's patience: a trickle does not.
const PROGRESS: u64 = 8 << 10;
/// Most of an error's body that is read.
const REASON_MAX: u64 = 16 << 10;
/// Most characters of a registry's own words that are shown.
const REASON_SHOWN: usize = 300;

impl Body {
    pub(super) fn new(reply: Reply, stall: Duration) -> Body {
        Body { response: reply.response, url: reply.url, stall, patience: stall, progress: 0 }
    }

    /// Returns the digest that a registry says it sends.
    pub(super) fn announced_digest(&self) -> Option<&str> {
        self.response.headers().get("docker-content-digest")?.to_str().ok()
    }

    /// Turns a status that is not success into an error, with what the registry says about it.
    pub(super) async fn into_success(mut self) -> Result<Body, Error> {
        let status = self.response.status();
        if status.is_success() {
            return Ok(self);
        }
        let said = self.collect(REASON_MAX).await.unwrap_or_default();
        let (url, detail) = (bare(&self.url), detail(&said));
        Err(match status {
            StatusCode::NOT_FOUND => Error::NotFound { url, detail },
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Error::Denied { url, detail },
            status => Error::Status { url, status: status.as_u16(), detail },
        })
    }

    /// Returns how much of this body is known already, when `wanted` is the first byte that is not.
    pub(super) fn overlap(&self, wanted: u64) -> Result<u64, Error> {
        if self.response.status() != StatusCode::PARTIAL_CONTENT {
            return Ok(wanted);
        }
        let range = self.response.headers().get(CONTENT_RANGE).and_then(|range| range.to_str().ok());
        let start = range.and_then(|range| range.strip_prefix("bytes ")?.split('-').next()?.parse::<u64>().ok());
        match start {
            Some(start) if start <= wanted => Ok(wanted - start),
            _ => Err(self.wrong("a part that was not asked for")),
        }
    }

    /// Returns the next piece; none at the end.
    pub(super) async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            let asked = Instant::now();
            let frame = timeout(self.patience, self.response.body_mut().frame()).await;
            let frame = frame.map_err(|_| Error::Timeout { url: bare(&self.url), after: self.stall })?;
            self.patience = self.patience.saturating_sub(asked.elapsed());
            match frame.transpose().map_err(|error| Error::Network { url: bare(&self.url), source: error.into() })? {
                None => return Ok(None),
                Some(frame) => {
                    if let Ok(data) = frame.into_data() {
                        self.count(data.len());
                        return Ok(Some(data));
                    }
                }
            }
        }
    }

    /// Returns the whole body, unless it is larger than `max`.
    pub(super) async fn collect(&mut self, max: u64) -> Result<Vec<u8>, Error> {
        if content_length(&self.response).is_some_and(|length| length > max) {
            return Err(self.too_large(max));
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = self.chunk().await? {
            if (bytes.len() + chunk.len()) as u64 > max {
                return Err(self.too_large(max));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }

    fn count(&mut self, bytes: usize) {
        self.progress += bytes as u64;
        if self.progress >= PROGRESS {
            self.progress = 0;
            self.patience = self.stall;
        }
    }

    fn too_large(&self, max: u64) -> Error {
        self.wrong(&format!("an answer of more than {max} bytes"))
    }

    fn wrong(&self, reason: &str) -> Error {
        Error::Protocol { url: bare(&self.url), reason: reason.to_owned() }
    }
}

/// Finds the message in an error of a registry (distribution-spec, "Error Codes").
fn detail(said: &[u8]) -> String {
    let json: serde_json::Value = serde_json::from_slice(said).unwrap_or_default();
    let error = &json["errors"][0];
    let message = error["message"].as_str().filter(|message| !message.is_empty()).or_else(|| error["code"].as_str());
    message.map_or(String::new(), |message| {
        let shown: String = message.chars().take(REASON_SHOWN).collect();
        format!(" ({})", shown.escape_debug())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registrys_words_are_shown_escaped_and_short() {
        assert_eq!(detail(br#"{"errors":[{"code":"DENIED","message":"no\u001b[2Jaccess"}]}"#), r" (no\u{1b}[2Jaccess)");
        assert_eq!(detail(br#"{"errors":[{"code":"DENIED","message":""}]}"#), " (DENIED)");
        assert_eq!(detail(b"<html>"), "");
        let long = format!(r#"{{"errors":[{{"message":"{}"}}]}}"#, "x".repeat(1000));
        assert_eq!(detail(long.as_bytes()).len(), REASON_SHOWN + 3);
    }
}
