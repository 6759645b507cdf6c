//! `GET /images` and `POST /images`.

use std::io;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use tokio_stream::StreamExt;
use tokio_util::io::StreamReader;

use super::Shared;
use super::answer::Refusal;
use super::hooks::Upload;
use crate::wire::{Images, LoadedImages};

pub(super) async fn list(State(api): State<Shared>) -> Result<Json<Images>, Refusal> {
    Ok(Json(Images { images: api.state.images.list().await? }))
}

pub(super) async fn load(State(api): State<Shared>, body: Body) -> Result<Json<LoadedImages>, Refusal> {
    let load = api.state.images.load(upload(body, api.state.limits.upload_idle));
    tokio::select! {
        images = load => Ok(Json(LoadedImages { images: images? })),
        () = api.ending.cancelled() => Err(store::Error::Closed.into()),
    }
}

/// Returns the body as a reader, which fails when nothing arrives for `idle`.
fn upload(body: Body, idle: Duration) -> Upload {
    let chunks = body.into_data_stream().timeout(idle).map(|chunk| match chunk {
        Ok(chunk) => chunk.map_err(io::Error::other),
        Err(_) => Err(io::Error::from(io::ErrorKind::TimedOut)),
    });
    Box::pin(StreamReader::new(Box::pin(chunks)))
}
