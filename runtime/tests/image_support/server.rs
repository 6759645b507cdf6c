//! A registry that answers as a test says, on loopback.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::{Image, digest};

/// A request that came in.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// Path and query.
    pub(crate) target: String,
    headers: Vec<(String, String)>,
    pub(crate) at: std::time::Instant,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn is_blob(&self) -> bool {
        self.target.contains("/blobs/")
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    /// What of the body is sent before the connection ends.
    cut: Option<usize>,
    /// Whether a connection that was cut stays open in silence.
    is_silent: bool,
    has_length: bool,
    /// Time between single bytes.
    pace: Option<Duration>,
}

impl Answer {
    pub(crate) fn ok(body: impl Into<Vec<u8>>) -> Answer {
        Answer { status: 200, headers: Vec::new(), body: body.into(), cut: None, is_silent: false, has_length: true, pace: None }
    }

    pub(crate) fn status(status: u16) -> Answer {
        Answer { status, ..Answer::ok("") }
    }

    pub(crate) fn partial(body: &[u8]) -> Answer {
        Answer { status: 206, ..Answer::ok(body) }
    }

    pub(crate) fn redirect(target: impl Into<String>) -> Answer {
        Answer::status(307).header("location", target)
    }

    pub(crate) fn header(mut self, name: &str, value: impl Into<String>) -> Answer {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Without announcing its length: the end of the connection is the end of the body.
    pub(crate) fn of_unknown_length(self) -> Answer {
        Answer { has_length: false, ..self }
    }

    /// A byte at a time.
    pub(crate) fn trickling(self, pace: Duration) -> Answer {
        Answer { pace: Some(pace), ..self }
    }

    pub(crate) fn cut(self, at: usize) -> Answer {
        Answer { cut: Some(at), ..self }
    }

    pub(crate) fn silent_after(self, at: usize) -> Answer {
        Answer { cut: Some(at), is_silent: true, ..self }
    }

    fn head(&self) -> String {
        let mut head = format!("HTTP/1.1 {} X\r\nconnection: close\r\n", self.status);
        if self.has_length {
            head += &format!("content-length: {}\r\n", self.body.len());
        }
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        head + "\r\n"
    }
}

impl Image {
    /// Answers what a registry with this image answers, whatever the repository and tag.
    pub(crate) fn answer(&self, target: &str) -> Answer {
        if target.contains("/manifests/") {
            return Answer::ok(self.manifest.clone());
        }
        let blobs = self.layers.iter().chain([&self.config]);
        let found = blobs.into_iter().find(|blob| target.ends_with(&digest(blob)));
        found.map_or(Answer::status(404), |blob| Answer::ok(blob.clone()))
    }
}

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: JoinHandle<()>,
}

impl Server {
    /// Serves what `answer` returns for a request; it is told how many came before.
    pub(crate) async fn start(answer: impl Fn(&Seen, usize) -> Answer + Send + Sync + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let (answer, log) = (Arc::new(answer), Arc::clone(&seen));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (answer, log) = (Arc::clone(&answer), Arc::clone(&log));
                tokio::spawn(async move { one(stream, &*answer, &log).await });
            }
        });
        Server { address, seen, task }
    }

    /// Serves an image, and nothing unusual.
    pub(crate) async fn of(image: &Image) -> Server {
        let image = image.clone();
        Server::start(move |seen, _| image.answer(&seen.target)).await
    }

    /// A repository of this registry.
    pub(crate) fn repository(&self) -> String {
        format!("{}/app", self.address)
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn one(stream: TcpStream, answer: &(impl Fn(&Seen, usize) -> Answer + ?Sized), log: &Mutex<Vec<Seen>>) -> Option<()> {
    let mut stream = BufReader::new(stream);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok()?;
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let target = lines.first()?.split(' ').nth(1)?.to_owned();
    let headers =
        lines[1..].iter().filter_map(|line| line.split_once(": ")).map(|(key, value)| (key.to_lowercase(), value.to_owned()));
    let seen = Seen { target, headers: headers.collect(), at: std::time::Instant::now() };
    let before = {
        let mut log = log.lock().unwrap();
        log.push(seen.clone());
        log.len() - 1
    };
    let answer = answer(&seen, before);
    stream.write_all(answer.head().as_bytes()).await.ok()?;
    let body = &answer.body[..answer.cut.unwrap_or(answer.body.len())];
    for piece in body.chunks(if answer.pace.is_some() { 1 } else { body.len().max(1) }) {
        tokio::time::sleep(answer.pace.unwrap_or_default()).await;
        stream.write_all(piece).await.ok()?;
        stream.flush().await.ok()?;
    }
    if answer.is_silent {
        std::future::pending::<()>().await;
    }
    Some(())
}
