//! What the tests share: an address of their own, backends, a data plane that ends with the test, and a plain client.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use proxy::{Config, DataPlane};
use spec::kind::endpoint;
use spec::plan::Tables;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// Longest wait for anything: only a broken build reaches it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) const PORT: u16 = 8080;

/// One test's own part of loopback, its control directory, and the data plane that lives there.
pub(crate) struct Rig {
    pub(crate) host: Ipv4Addr,
    plane: Option<DataPlane>,
    pub(crate) directory: tempfile::TempDir,
}

impl Rig {
    pub(crate) async fn start() -> Rig {
        Rig::start_with(|_| {}).await
    }

    pub(crate) async fn start_with(adjust: impl FnOnce(&mut Config)) -> Rig {
        let (host, directory) = (own_address(), tempfile::tempdir().unwrap());
        let mut config = config(host, directory.path().join("run"));
        adjust(&mut config);
        let plane = DataPlane::open(config).await.unwrap();
        Rig { host, plane: Some(plane), directory }
    }

    pub(crate) fn plane(&self) -> &DataPlane {
        self.plane.as_ref().unwrap()
    }

    /// Opens the data plane again, as a daemon does that was started again.
    pub(crate) async fn reopen(&mut self) {
        self.plane = None;
        self.plane = Some(DataPlane::open(config(self.host, self.directory.path().join("run"))).await.unwrap());
    }

    pub(crate) fn address(&self, port: u16) -> SocketAddr {
        (self.host, port).into()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.plane().status().borrow().pid.unwrap()
    }

    pub(crate) async fn client(&self) -> Client {
        Client::connect(self.address(PORT)).await
    }

    pub(crate) async fn end(self) {
        self.plane().shut_down().await.unwrap();
    }
}

impl Drop for Rig {
    /// A test that failed leaves no process behind.
    fn drop(&mut self) {
        let pid = self.plane.as_ref().and_then(|plane| plane.status().borrow().pid);
        if let Some(pid) = pid.and_then(|pid| rustix::process::Pid::from_raw(pid.cast_signed())) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
    }
}

pub(crate) fn config(host: Ipv4Addr, control: PathBuf) -> Config {
    let mut config = Config::new(control, helper(), vec!["data-plane".into()]);
    config.bind = Some(host.into());
    config.dns = SocketAddrV4::new(host, 5353);
    config
}

pub(crate) fn helper() -> PathBuf {
    env!("CARGO_BIN_EXE_proxy-test-helper").into()
}

/// Returns an address of 127.128.0.0/9 that no other test uses: ports need not be searched for.
pub(crate) fn own_address() -> Ipv4Addr {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    assert!(number < 0x7f, "more addresses than the tests of one process have");
    Ipv4Addr::from_bits(0x7f80_0000 | (std::process::id() & 0xffff) << 7 | number)
}

pub(crate) fn tables(routes: &[(&str, u16, &str, &[SocketAddrV4])]) -> Tables {
    let route = |&(name, port, path, backends): &(&str, u16, &str, &[SocketAddrV4])| {
        let spec = endpoint::Spec { protocol: endpoint::Protocol::Http, port, path: path.into(), backends: backends.to_vec() };
        (name.parse().unwrap(), Arc::new(spec))
    };
    Tables { routes: routes.iter().map(route).collect(), ..Tables::default() }
}

/// The table of most tests: everything on one port goes to these.
pub(crate) fn web(backends: &[SocketAddrV4]) -> Tables {
    tables(&[("shop/web/http", PORT, "/", backends)])
}

/// An HTTP server whose answers say what it was asked.
pub(crate) struct Backend {
    pub(crate) address: SocketAddrV4,
    task: tokio::task::JoinHandle<()>,
}

impl Backend {
    /// Answers with `<name> <method> <target> <bytes of the body>` and then the request's header fields.
    pub(crate) async fn echo(name: &'static str) -> Backend {
        Backend::start(move |request| async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
            let mut text = format!("{name} {} {} {}\n", head.method, head.uri, body.len());
            for (name, value) in &head.headers {
                text += &format!("{name}: {}\n", value.to_str().unwrap());
            }
            Response::new(Full::new(Bytes::from(text)))
        })
        .await
    }

    pub(crate) async fn start<F, A>(answer: F) -> Backend
    where
        F: Fn(Request<Incoming>) -> A + Clone + Send + Sync + 'static,
        A: Future<Output = Response<Full<Bytes>>> + Send + 'static,
    {
        Backend::raw(move |stream| {
            let answer = answer.clone();
            async move {
                let service = service_fn(|request| {
                    let answer = answer(request);
                    async move { Ok::<_, Infallible>(answer.await) }
                });
                let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
            }
        })
        .await
    }

    /// Hands each connection to `serve`.
    pub(crate) async fn raw<F, A>(serve: F) -> Backend
    where
        F: Fn(TcpStream) -> A + Send + 'static,
        A: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let SocketAddr::V4(address) = listener.local_addr().unwrap() else { unreachable!("bound to version 4") };
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(stream));
            }
        });
        Backend { address, task }
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A client that sends exactly the bytes it is given.
pub(crate) struct Client {
    pub(crate) stream: BufReader<TcpStream>,
}

#[derive(Debug, Default)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    pub(crate) fn first_line(&self) -> &str {
        self.body.lines().next().unwrap_or_default()
    }
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Client {
        Client { stream: BufReader::new(TcpStream::connect(address).await.unwrap()) }
    }

    pub(crate) async fn send(&mut self, bytes: &str) {
        self.stream.write_all(bytes.as_bytes()).await.unwrap();
    }

    pub(crate) async fn get(&mut self, path: &str) -> Reply {
        self.send(&format!("GET {path} HTTP/1.1\r\nHost: shop.example\r\n\r\n")).await;
        self.reply().await
    }

    pub(crate) async fn reply(&mut self) -> Reply {
        self.try_reply().await.expect("an answer")
    }

    /// Reads one answer; `None` if the connection ended first.
    pub(crate) async fn try_reply(&mut self) -> Option<Reply> {
        tokio::time::timeout(PATIENCE, self.read_reply()).await.expect("an answer in time")
    }

    async fn read_reply(&mut self) -> Option<Reply> {
        let mut reply = Reply { status: self.line().await?.split(' ').nth(1)?.parse().ok()?, ..Reply::default() };
        loop {
            let line = self.line().await?;
            let Some((name, value)) = line.split_once(": ") else { break };
            reply.headers.insert(name.to_owned(), value.to_owned());
        }
        if reply.status == 101 || reply.status == 204 {
            return Some(reply);
        }
        let mut body = Vec::new();
        if reply.header("transfer-encoding") == "chunked" {
            loop {
                let size = usize::from_str_radix(&self.line().await?, 16).ok()?;
                let mut chunk = vec![0; size + 2];
                self.stream.read_exact(&mut chunk).await.ok()?;
                body.extend_from_slice(&chunk[..size]);
                if size == 0 {
                    break;
                }
            }
        } else {
            body.resize(reply.header("content-length").parse().ok()?, 0);
            self.stream.read_exact(&mut body).await.ok()?;
        }
        reply.body = String::from_utf8(body).ok()?;
        Some(reply)
    }

    pub(crate) async fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let length = tokio::time::timeout(PATIENCE, self.stream.read_line(&mut line)).await.expect("a line in time").ok()?;
        (length > 0).then(|| line.trim_end().to_owned())
    }

    /// Waits until the other side has closed, and returns what it said before.
    pub(crate) async fn rest(&mut self) -> String {
        let mut rest = Vec::new();
        // A reset is a close too.
        let _ = tokio::time::timeout(PATIENCE, self.stream.read_to_end(&mut rest)).await.expect("a close in time");
        String::from_utf8_lossy(&rest).into_owned()
    }
}

/// Waits until `condition` holds.
pub(crate) async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !condition().await {
        assert!(tokio::time::Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Clients that ask all the time on connections of their own, and on new ones now and then.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Load {
    pub(crate) fn start(address: SocketAddr, clients: usize, requests_per_connection: usize) -> Load {
        let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let client = |_| {
            let (stop, answered) = (stop.clone(), answered.clone());
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let mut client = Client::connect(address).await;
                    for number in 0..requests_per_connection {
                        let reply = client.get("/load").await;
                        assert_eq!(reply.status, 200, "request {number} of a connection: {}", reply.body);
                        answered.fetch_add(1, Ordering::Relaxed);
                    }
                }
            })
        };
        Load { tasks: (0..clients).map(client).collect(), stop, answered }
    }

    /// Waits until that many more requests were answered.
    pub(crate) async fn more(&self, requests: u64) {
        let goal = self.answered.load(Ordering::Relaxed) + requests;
        eventually("the load is served", async || self.answered.load(Ordering::Relaxed) >= goal).await;
    }

    /// Stops, and returns how many requests were answered; panics if one was not.
    pub(crate) async fn stop(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await.unwrap();
        }
        self.answered.load(Ordering::Relaxed)
    }
}
