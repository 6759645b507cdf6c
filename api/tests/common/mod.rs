//! A daemon's API on a socket of its own, over a store in memory and hooks that tests can look into.

#![allow(dead_code, reason = "each test binary uses some of it")]

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use api::client::{Events, PutOptions};
use api::server::hooks::{Admission, Error, Images, LogStream, Logs, Readiness, Upload};
use api::wire::{Event, LoadedImage, ManifestType, ObjectEvent, StoredImage, Version};
use api::{ApiState, Client, Limits};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, stream};
use spec::manifest::Manifest;
use spec::plan::{OUTSIDE_WRITERS, Writer};
use spec::problem::Problem;
use spec::{Half, Key, Kind, Name, Write};
use store::{Op, Store, Transaction, Writers};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub(crate) const COLLECT: Writer = Writer::Controller("collect");
pub(crate) const IMAGE: Writer = Writer::Controller("image");

/// What `hello/web/0` wrote.
const LINES: [&str; 3] = ["one\n", "two\n", "three\n"];

/// No test waits longer than this for anything.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Daemon {
    pub(crate) client: Client,
    pub(crate) store: Store,
    pub(crate) hooks: Arc<Hooks>,
    pub(crate) socket: PathBuf,
    shutdown: Option<oneshot::Sender<()>>,
    server: Option<JoinHandle<std::io::Result<()>>>,
    _directory: tempfile::TempDir,
}

impl Daemon {
    pub(crate) async fn start() -> Daemon {
        Daemon::start_with(Limits::default()).await
    }

    pub(crate) async fn start_with(limits: Limits) -> Daemon {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("run/api.sock");
        let listener = api::bind(&socket).await.unwrap();
        let writers = OUTSIDE_WRITERS.iter().copied().chain([(Kind::Image, Half::Spec, IMAGE)]);
        let (store, hooks) = (Store::in_memory(Writers::new(writers).unwrap()), Arc::new(Hooks::default()));
        let state = ApiState {
            store: store.clone(),
            admission: hooks.clone(),
            logs: hooks.clone(),
            images: hooks.clone(),
            readiness: hooks.clone(),
            version: Version { version: "0.0.0-test".to_owned(), schema: 1 },
            limits,
        };
        let (shutdown, ended) = oneshot::channel();
        let server = tokio::spawn(api::serve(listener, state, ended.map(|_| ())));
        let client = Client::new(socket.clone());
        Daemon { client, store, hooks, socket, shutdown: Some(shutdown), server: Some(server), _directory: directory }
    }

    /// Ends the server and waits for that.
    pub(crate) async fn stop(&mut self) {
        drop(self.shutdown.take());
        within(self.server.take().unwrap()).await.unwrap().unwrap();
    }

    pub(crate) async fn put(&self, manifest: &str) -> Result<api::wire::Applied, api::client::Error> {
        self.client.put_manifest(manifest, ManifestType::Yaml, PutOptions::default()).await
    }

    /// Sends bytes as they are and returns all that comes back until the server closes.
    pub(crate) async fn raw(&self, request: impl AsRef<[u8]>) -> String {
        let mut stream = UnixStream::connect(&self.socket).await.unwrap();
        stream.write_all(request.as_ref()).await.unwrap();
        read_to_end(&mut stream).await
    }

    /// Removes what is marked, as the controllers would.
    pub(crate) async fn collect(&self, key: &Key) {
        let remove = Op::new(Write::Remove { key: key.clone() });
        self.store.commit(Transaction::new(COLLECT, [remove])).await.unwrap();
    }
}

pub(crate) async fn read_to_end(stream: &mut UnixStream) -> String {
    let mut answer = Vec::new();
    // The end of an answer to a request that was not read to its end is a reset.
    while !matches!(within(stream.read_buf(&mut answer)).await, Ok(0) | Err(_)) {}
    String::from_utf8_lossy(&answer).into_owned()
}

pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("it takes too long")
}

/// What the daemon would supply.
#[derive(Default)]
pub(crate) struct Hooks {
    pub(crate) unready: AtomicBool,
    /// Bytes of the upload that is taken in last.
    pub(crate) uploaded: Mutex<u64>,
}

impl Admission for Hooks {
    fn problems<'a>(&'a self, manifest: &'a Manifest) -> BoxFuture<'a, Vec<Problem>> {
        let problems = match &*manifest.deployment {
            "inadmissible" => vec![Problem::at("deployment", "not on this node")],
            "doubtful" => vec![Problem::at("deployment", "a doubt of this node").warning()],
            _ => Vec::new(),
        };
        std::future::ready(problems).boxed()
    }
}

impl Logs for Hooks {
    fn logs(&self, replica: &Name, tail: Option<usize>, follow: bool) -> BoxFuture<'_, Result<LogStream, Error>> {
        if replica.as_str() != "hello/web/0" {
            return std::future::ready(Err(Error::NotFound(format!("no replica {replica}")))).boxed();
        }
        let skipped = LINES.len().saturating_sub(tail.unwrap_or(LINES.len()));
        let kept = stream::iter(LINES.into_iter().skip(skipped).map(|line| Ok(Bytes::from_static(line.as_bytes()))));
        let output: LogStream = if follow { Box::pin(kept.chain(stream::pending())) } else { Box::pin(kept) };
        std::future::ready(Ok(output)).boxed()
    }
}

impl Images for Hooks {
    fn load(&self, mut archive: Upload) -> BoxFuture<'_, Result<Vec<LoadedImage>, Error>> {
        let load = async move {
            let mut start = [0; 4];
            archive.read_exact(&mut start).await.map_err(|error| Error::Failed(error.to_string()))?;
            if &start == b"evil" {
                return Err(Error::Invalid("it is no OCI archive".to_owned()));
            }
            let rest = tokio::io::copy(&mut archive, &mut tokio::io::sink()).await;
            let bytes = rest.map_err(|error| Error::Failed(error.to_string()))? + start.len() as u64;
            *self.uploaded.lock().unwrap() = bytes;
            Ok(vec![LoadedImage { reference: "hello:dev".to_owned(), digest: "sha256:00".to_owned() }])
        };
        load.boxed()
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<StoredImage>, Error>> {
        let size_bytes = *self.uploaded.lock().unwrap();
        let image = StoredImage { digest: "sha256:00".to_owned(), references: vec!["hello:dev".to_owned()], size_bytes };
        std::future::ready(Ok(vec![image])).boxed()
    }
}

impl Readiness for Hooks {
    fn ready(&self) -> Result<(), String> {
        if self.unready.load(Ordering::Relaxed) { Err("it is still looking around".to_owned()) } else { Ok(()) }
    }
}

/// A manifest of one service for each port.
pub(crate) fn manifest(deployment: &str, ports: &[u16]) -> String {
    let service = |port: &u16| {
        format!(
            "  web{port}:\n    image: {{name: \"nginx:alpine\"}}\n    endpoints:\n      - {{name: http, protocol: http, port: {port}, expose: public}}\n"
        )
    };
    format!("version: v1\ndeployment: {deployment}\nservices:\n{}", ports.iter().map(service).collect::<String>())
}

pub(crate) fn deployment(name: &str) -> Key {
    Key::new(Kind::Deployment, name.parse().unwrap())
}

/// An image's object, which only its controller can write.
pub(crate) fn image(name: &str, digest: &str) -> Op {
    let spec = spec::kind::image::Spec { digest: digest.to_owned(), repository: "docker.io/library/x".to_owned() };
    let key = Key::new(Kind::Image, name.parse().unwrap());
    Op::new(Write::Spec { key, owner: None, spec: spec::Spec::Image(Arc::new(spec)) })
}

pub(crate) async fn next(events: &mut Events) -> Event {
    within(events.next()).await.expect("the watch goes on").unwrap()
}

pub(crate) fn put_of(event: Event) -> ObjectEvent {
    match event {
        Event::Put(event) => event,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}
