//! One request on one connection.

use std::io;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Limited};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http1;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::{Client, Error};
use crate::wire::ProblemDocument;

pub(super) type Body = UnsyncBoxBody<Bytes, BoxError>;
pub(super) type BoxError = Box<dyn std::error::Error + Send + Sync>;
pub(super) type Chunks = Pin<Box<dyn Stream<Item = Result<Frame<Bytes>, BoxError>> + Send>>;

/// The socket is on this machine: a daemon that does not take a connection in this time is stuck.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Time for the head of an answer: the daemon gives up on a request after 5 s, and says so.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// Time for the body of an answer that is not a stream.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// Longest answer that is not a stream: a list of some hundred thousand objects.
const BODY_BYTES: usize = 512 << 20;

impl Client {
    /// Sends a request and returns its answer, if it is one of success.
    pub(super) async fn send(&self, request: Result<Request<Body>, hyper::http::Error>) -> Result<Response<Incoming>, Error> {
        timeout(HEAD_TIMEOUT, self.send_slowly(request))
            .await
            .unwrap_or(Err(Error::Timeout { what: "answer", after: HEAD_TIMEOUT }))
    }

    /// Sends a request whose body takes its time.
    pub(super) async fn send_slowly(
        &self,
        request: Result<Request<Body>, hyper::http::Error>,
    ) -> Result<Response<Incoming>, Error> {
        let request = request.map_err(Error::broken)?;
        let stream = self.connect().await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(Error::broken)?;
        // Ends with the answer's body, or when that is dropped.
        tokio::spawn(connection);
        let response = sender
            .send_request(request)
            .await
            .map_err(|error| if error.is_user() { Error::sending(error) } else { Error::broken(error) })?;
        if response.status().is_success() { Ok(response) } else { Err(refusal(response).await) }
    }

    async fn connect(&self) -> Result<UnixStream, Error> {
        let socket = || self.socket.clone();
        match timeout(CONNECT_TIMEOUT, UnixStream::connect(&self.socket)).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(source)) => Err(match source.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => Error::NoNode { socket: socket(), source },
                io::ErrorKind::PermissionDenied => Error::Denied { socket: socket(), source },
                _ => Error::broken(source),
            }),
            Err(_) => Err(Error::Timeout { what: "connection", after: CONNECT_TIMEOUT }),
        }
    }
}

pub(super) async fn read_json<T: DeserializeOwned>(response: Response<Incoming>) -> Result<T, Error> {
    serde_json::from_slice(&read(response).await?).map_err(Error::broken)
}

async fn read(response: Response<Incoming>) -> Result<Bytes, Error> {
    let body = Limited::new(response.into_body(), BODY_BYTES).collect();
    match timeout(BODY_TIMEOUT, body).await {
        Ok(body) => Ok(body.map_err(Error::broken)?.to_bytes()),
        Err(_) => Err(Error::Timeout { what: "rest of the answer", after: BODY_TIMEOUT }),
    }
}

async fn refusal(response: Response<Incoming>) -> Error {
    let status = response.status();
    let body = match read(response).await {
        Ok(body) => body,
        Err(error) => return error,
    };
    match serde_json::from_slice::<ProblemDocument>(&body) {
        Ok(problem) => Error::Refused(Box::new(problem)),
        Err(_) => Error::broken(io::Error::other(format!("it answered {status} without saying why"))),
    }
}
