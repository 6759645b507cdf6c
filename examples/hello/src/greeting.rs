//! What each face answers, and the request by which `web` asks a greeter.

use std::io::{BufReader, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::dns;
use crate::http::{self, Request, Response};

/// What a greeter puts before its name.
const PREFIX: &str = "Greetings from ";
/// Bound on each of: looking the greeter up, connecting to it, waiting for its answer. A person waits in front of the page.
const PATIENCE: Duration = Duration::from_secs(2);

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Face {
    Greeter,
    Web(Url),
}

impl Face {
    /// Answers one request; `me` is the name of this replica.
    pub(crate) fn answer(&self, request: &Request, me: &str) -> Response {
        match request.path() {
            "/healthz" => Response::text(200, "ok\n"),
            "/" => self.greet(me),
            path => Response::text(404, format!("there is no {path} here\n")),
        }
    }

    fn greet(&self, me: &str) -> Response {
        match self {
            Face::Greeter => Response::text(200, format!("{PREFIX}{me}\n")),
            Face::Web(greeter) => match ask(greeter) {
                Ok(name) => Response::text(200, format!("Hello from {me}, greeted by {name}\n")),
                Err(error) => Response::text(502, format!("{me} found no greeter: {error}\n")),
            },
        }
    }
}

/// The parts of an `http://` URL.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Url {
    host: String,
    port: u16,
    path: String,
}

impl Url {
    pub(crate) fn parse(text: &str) -> Result<Url, String> {
        let bad = || format!("`{text}` is no URL such as http://greeter.global:8080/");
        let rest = text.strip_prefix("http://").ok_or_else(bad)?;
        let (authority, path) = rest.find('/').map_or((rest, "/"), |slash| rest.split_at(slash));
        let (host, port) = match authority.split_once(':') {
            Some((host, port)) => (host, port.parse().map_err(|_| bad())?),
            None => (authority, 80),
        };
        if host.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(bad());
        }
        Ok(Url { host: host.to_owned(), port, path: path.to_owned() })
    }
}

/// Returns the name of the greeter that answered.
///
/// A name stands for every replica of a service: each call begins with another one, and goes on to the next when one is gone.
fn ask(url: &Url) -> Result<String, String> {
    static TURN: AtomicUsize = AtomicUsize::new(0);
    let addresses = dns::lookup(&url.host, PATIENCE)?;
    let first = TURN.fetch_add(1, Ordering::Relaxed) % addresses.len();
    let mut answer = Err(String::new());
    for address in addresses.iter().cycle().skip(first).take(addresses.len()) {
        answer = TcpStream::connect_timeout(&(*address, url.port).into(), PATIENCE)
            .and_then(|stream| exchange(&stream, url))
            .map_err(|error| format!("{address}: {error}"));
        if answer.is_ok() {
            break;
        }
    }
    let answer = answer?;
    match answer.body.trim().strip_prefix(PREFIX) {
        Some(name) if answer.status == 200 => Ok(name.to_owned()),
        _ => Err(format!("it answers {} {:?}", answer.status, answer.body)),
    }
}

fn exchange(mut stream: &TcpStream, url: &Url) -> std::io::Result<Response> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let Url { host, port, path } = url;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n").as_bytes())?;
    http::read_response(&mut BufReader::new(stream))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn get(face: &Face, target: &str) -> (u16, String) {
        let request = Request { method: "GET".to_owned(), target: target.to_owned(), keep_alive: true };
        let response = face.answer(&request, "me-0");
        (response.status, response.body)
    }

    #[test]
    fn urls_are_taken_apart() {
        let url = |host: &str, port, path: &str| Url { host: host.to_owned(), port, path: path.to_owned() };
        assert_eq!(Url::parse("http://greeter.global:8080/"), Ok(url("greeter.global", 8080, "/")));
        assert_eq!(Url::parse("http://10.0.0.7"), Ok(url("10.0.0.7", 80, "/")));
        assert_eq!(Url::parse("http://a/b?c"), Ok(url("a", 80, "/b?c")));
        for bad in ["", "greeter", "https://a/", "http://", "http://:80/", "http://a:99999/", "http://a b/", "http://a/\r\nX: y"]
        {
            assert!(Url::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_greeter_says_its_name() {
        assert_eq!(get(&Face::Greeter, "/"), (200, "Greetings from me-0\n".to_owned()));
        assert_eq!(get(&Face::Greeter, "/?x=1"), (200, "Greetings from me-0\n".to_owned()));
        assert_eq!(get(&Face::Greeter, "/healthz"), (200, "ok\n".to_owned()));
        assert_eq!(get(&Face::Greeter, "/nowhere").0, 404);
    }

    #[test]
    fn the_web_face_names_itself_and_its_greeter() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let url = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
        let greeter = std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let request = http::read_request(&mut BufReader::new(&stream)).unwrap().unwrap();
            let answer = Face::Greeter.answer(&request, "greeter-1");
            answer.write(&mut &stream, &request).unwrap();
        });
        assert_eq!(get(&Face::Web(url), "/"), (200, "Hello from me-0, greeted by greeter-1\n".to_owned()));
        greeter.join().unwrap();
    }

    #[test]
    fn without_a_greeter_the_web_face_says_so_and_stays_healthy() {
        let unused = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
        let face = Face::Web(Url::parse(&format!("http://{unused}/")).unwrap());
        let (status, body) = get(&face, "/");
        assert_eq!(status, 502);
        assert!(body.contains("found no greeter: 127.0.0.1:"), "{body}");
        assert_eq!(get(&face, "/healthz").0, 200);
    }
}
