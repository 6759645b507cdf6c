//! Throw-away threads for work that blocks or changes its namespace.

use std::fs::File;
use std::sync::Arc;

use tokio::sync::{Semaphore, oneshot};

use crate::{Error, netns};

/// Threads at work at once. The kernel does one change of links at a time anyway; more would only wait.
const THREADS: usize = 8;

/// Runs functions in the network namespace it was made in.
#[derive(Clone)]
pub(crate) struct Worker {
    home: Arc<File>,
    permits: Arc<Semaphore>,
}

impl Worker {
    /// Keeps to the network namespace of the calling thread.
    pub(crate) fn new() -> Result<Worker, Error> {
        let home = netns::own().map_err(Error::io("open the network namespace"))?;
        Ok(Worker { home: Arc::new(home), permits: Arc::new(Semaphore::new(THREADS)) })
    }

    /// Runs `f` on a thread of its own and waits for it; a caller that goes away does not end it.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        f: impl FnOnce(&File) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(|_| Error::Panicked)?;
        let home = Arc::clone(&self.home);
        let (sender, receiver) = oneshot::channel();
        let body = move || {
            let _permit = permit;
            let result = netns::enter_file(&home).map_err(Error::io("enter the network namespace")).and_then(|()| f(&home));
            let _ = sender.send(result);
        };
        std::thread::Builder::new().name("netctl".into()).spawn(body).map_err(Error::io("start a thread"))?;
        receiver.await.map_err(|_| Error::Panicked)?
    }
}
