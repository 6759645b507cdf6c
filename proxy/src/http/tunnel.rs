//! A connection that changed its protocol, such as to WebSocket: bytes both ways until one side ends.

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tracing::debug;

use super::crowd::Busy;

/// Bytes buffered in each direction.
const BUFFER: usize = 8 << 10;

/// Joins both sides once they have changed; `busy` keeps the client's connection from being taken for an idle one.
pub(super) async fn join(client: OnUpgrade, backend: OnUpgrade, busy: Busy) {
    let (client, backend) = match tokio::try_join!(client, backend) {
        Ok(sides) => sides,
        Err(error) => return debug!(%error, "a change of protocol failed"),
    };
    let (mut client, mut backend) = (TokioIo::new(client), TokioIo::new(backend));
    if let Err(error) = tokio::io::copy_bidirectional_with_sizes(&mut client, &mut backend, BUFFER, BUFFER).await {
        debug!(%error, "a tunnel broke");
    }
    drop(busy);
}
