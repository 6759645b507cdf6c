//! How the daemon is.

use axum::Json;
use axum::extract::State;

use super::Shared;
use super::answer::Refusal;
use crate::wire::{Health, Reason, Version};

pub(super) async fn healthz() -> Json<Health> {
    Json(Health { status: "alive".to_owned() })
}

pub(super) async fn readyz(State(api): State<Shared>) -> Result<Json<Health>, Refusal> {
    let not_ready = |why: String| Refusal::new(Reason::NotReady, why);
    api.state.store.writable().map_err(|error| not_ready(error.to_string()))?;
    api.state.readiness.ready().map_err(not_ready)?;
    Ok(Json(Health { status: "ready".to_owned() }))
}

pub(super) async fn version(State(api): State<Shared>) -> Json<Version> {
    Json(api.state.version.clone())
}
