//! `GET /logs/{replica…}`: what a replica writes.

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::Uri;
use axum::response::Response;
use serde::Deserialize;

use super::answer::Refusal;
use super::guard::StreamPermit;
use super::{Shared, params, stream};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Params {
    tail: Option<usize>,
    #[serde(default)]
    follow: bool,
}

pub(super) async fn logs(
    State(api): State<Shared>,
    Extension(permit): Extension<StreamPermit>,
    Path(replica): Path<String>,
    uri: Uri,
) -> Result<Response, Refusal> {
    let Params { tail, follow } = params::query(&uri)?;
    let output = api.state.logs.logs(&params::name(&replica)?, tail, follow).await?;
    Ok(stream::answer(&api, permit, "application/octet-stream", output))
}
