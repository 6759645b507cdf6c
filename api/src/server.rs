//! The server: routes, limits, and the socket.

pub mod hooks;

mod answer;
mod encode;
mod filter;
mod guard;
mod health;
mod images;
mod listener;
mod logs;
mod objects;
mod params;
mod put;
mod stream;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::Uri;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{get, post};
use store::Store;
use tokio::sync::{Mutex, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::wire::Version;
use answer::Refusal;
use encode::Encoder;
use hooks::{Admission, Images, Logs, Readiness};

pub use listener::{bind, serve};

/// What the API serves from.
#[derive(Clone)]
pub struct ApiState {
    pub store: Store,
    pub admission: Arc<dyn Admission>,
    pub logs: Arc<dyn Logs>,
    pub images: Arc<dyn Images>,
    pub readiness: Arc<dyn Readiness>,
    pub version: Version,
    pub limits: Limits,
}

/// Bounds on what one daemon serves; the defaults are those of a daemon that many tools talk to at once.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// From the request's head to the answer's; watches, logs and uploads apart.
    pub request: Duration,
    /// Requests at a time, watches, logs and uploads apart.
    pub requests: usize,
    /// Watches, logs and uploads at a time.
    pub streams: usize,
    /// Longest body, uploads apart.
    pub body_bytes: usize,
    /// Silence after which a watch says that it is alive.
    pub bookmark: Duration,
    /// Silence after which an upload is given up.
    pub upload_idle: Duration,
    /// Time for requests to finish when the server ends.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            request: Duration::from_secs(5),
            requests: 512,
            streams: 256,
            body_bytes: 1 << 20,
            bookmark: Duration::from_secs(10),
            upload_idle: Duration::from_secs(30),
            drain: Duration::from_secs(5),
        }
    }
}

/// An [`ApiState`] with what the handlers share among themselves.
struct Api {
    state: ApiState,
    /// Held from checking a manifest to committing it, so that no two can pass that do not fit together.
    applying: Mutex<()>,
    requests: Arc<Semaphore>,
    streams: Arc<Semaphore>,
    encoder: Encoder,
    /// Ends the streams.
    ending: CancellationToken,
}

type Shared = Arc<Api>;

/// Returns the API's routes, with all their limits.
pub fn router(state: ApiState) -> Router {
    routes(state, CancellationToken::new())
}

fn routes(state: ApiState, ending: CancellationToken) -> Router {
    let api = Arc::new(Api {
        applying: Mutex::new(()),
        requests: Arc::new(Semaphore::new(state.limits.requests)),
        streams: Arc::new(Semaphore::new(state.limits.streams)),
        encoder: Encoder::default(),
        ending,
        state,
    });
    let requests = Router::new()
        .route("/objects", get(objects::list).put(put::put))
        .route("/objects/{kind}/{*name}", get(objects::get).delete(objects::delete))
        .route("/images", get(images::list))
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/version", get(health::version))
        .route_layer(from_fn_with_state(api.clone(), guard::bounded_request));
    let streams = Router::new()
        .route("/watch", get(watch::watch))
        .route("/logs/{*replica}", get(logs::logs))
        .route("/images", post(images::load))
        .route_layer(from_fn_with_state(api.clone(), guard::bounded_stream));
    requests
        .merge(streams)
        .method_not_allowed_fallback(wrong_method)
        .fallback(no_such_page)
        // Bodies are bounded where they are read.
        .layer(DefaultBodyLimit::disable())
        .layer(from_fn(guard::same_origin))
        .with_state(api)
}

async fn no_such_page(uri: Uri) -> Refusal {
    match uri.path() {
        "/metrics" => Refusal::not_found("metrics are not served yet; they come with a later version"),
        path => Refusal::not_found(format!("the API has no {path}")),
    }
}

async fn wrong_method() -> Refusal {
    Refusal::new(crate::wire::Reason::WrongMethod, "this path does not take that method")
}
