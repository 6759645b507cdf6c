//! As much of HTTP/1.1 (RFC 9112) as two small services need: requests without a body, and answers with a length.

use std::io::{self, BufRead, Read, Write};

/// Longest head, of a request or an answer, that is read.
const HEAD_MAX: u64 = 16 << 10;
/// Longest body of an answer that is read.
const BODY_MAX: u64 = 64 << 10;

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Path and query, as they were sent.
    pub(crate) target: String,
    /// Whether the connection can carry another request after this one.
    pub(crate) keep_alive: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) body: String,
}

/// Why a request could not be read.
#[derive(Debug)]
pub(crate) enum Error {
    /// The connection broke or fell silent: nobody waits for an answer.
    Gone(io::Error),
    /// The request is answered with this, and the connection closed.
    Refused(Response),
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Error {
        Error::Gone(error)
    }
}

impl Request {
    pub(crate) fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }
}

/// Reads the next request of a connection; `None` when the other side has closed it in between.
pub(crate) fn read_request(reader: &mut impl BufRead) -> Result<Option<Request>, Error> {
    let mut head = reader.take(HEAD_MAX);
    let Some(line) = read_line(&mut head)? else { return Ok(None) };
    let (method, target, version) = request_line(&line).ok_or_else(|| refusal(400, "this is no request line of HTTP/1.1"))?;
    let headers = read_headers(&mut head)?;
    if version == "HTTP/1.1" && headers.iter().filter(|(name, _)| name == "host").count() != 1 {
        return Err(refusal(400, "a request names one host"));
    }
    // Nothing here takes a body. One that comes all the same is never read, so the connection ends with the answer.
    let has_body = headers.iter().any(|(name, value)| name == "transfer-encoding" || (name == "content-length" && value != "0"));
    let keep_alive = match version {
        "HTTP/1.1" => !has_token(&headers, "connection", "close"),
        _ => has_token(&headers, "connection", "keep-alive"),
    };
    let (method, target) = (method.to_owned(), target.to_owned());
    Ok(Some(Request { method, target, keep_alive: keep_alive && !has_body }))
}

fn request_line(line: &str) -> Option<(&str, &str, &str)> {
    let mut words = line.split(' ');
    let (method, target, version) = (words.next()?, words.next()?, words.next()?);
    let good = words.next().is_none()
        && !method.is_empty()
        && method.bytes().all(|byte| byte.is_ascii_uppercase())
        && target.starts_with('/')
        && target.bytes().all(|byte| byte.is_ascii_graphic())
        && matches!(version, "HTTP/1.0" | "HTTP/1.1");
    good.then_some((method, target, version))
}

/// Returns names, in lower case, and values up to the empty line.
fn read_headers(head: &mut io::Take<&mut impl BufRead>) -> Result<Vec<(String, String)>, Error> {
    let mut headers = Vec::new();
    loop {
        let line = read_line(head)?.ok_or_else(|| refusal(400, "the request ends in its headers"))?;
        if line.is_empty() {
            return Ok(headers);
        }
        let (name, value) = line.split_once(':').ok_or_else(|| refusal(400, "a header is a name, a colon and a value"))?;
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(refusal(400, "this is no name of a header"));
        }
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
}

/// Reads a line that ends with CR LF; `None` at the end of the connection.
fn read_line(head: &mut io::Take<&mut impl BufRead>) -> Result<Option<String>, Error> {
    let mut line = Vec::new();
    head.read_until(b'\n', &mut line)?;
    match line.strip_suffix(b"\r\n") {
        Some(text) => match String::from_utf8(text.to_vec()) {
            Ok(text) => Ok(Some(text)),
            Err(_) => Err(refusal(400, "the head is not UTF-8")),
        },
        None if line.is_empty() && head.limit() > 0 => Ok(None),
        None if head.limit() == 0 => Err(refusal(431, "the head is too long")),
        None => Err(refusal(400, "a line ends with CR LF")),
    }
}

fn has_token(headers: &[(String, String)], name: &str, token: &str) -> bool {
    let values = headers.iter().filter(|(header, _)| header == name);
    values.flat_map(|(_, value)| value.split(',')).any(|word| word.trim().eq_ignore_ascii_case(token))
}

fn refusal(status: u16, reason: &str) -> Error {
    Error::Refused(Response::text(status, format!("{reason}\n")))
}

impl Response {
    pub(crate) fn text(status: u16, body: impl Into<String>) -> Response {
        Response { status, body: body.into() }
    }

    /// Writes the answer to `request`.
    pub(crate) fn write(&self, writer: &mut impl Write, request: &Request) -> io::Result<()> {
        self.send(writer, request.keep_alive, request.method != "HEAD")
    }

    /// Writes the answer to what was no request; the connection ends with it.
    pub(crate) fn write_last(&self, writer: &mut impl Write) -> io::Result<()> {
        self.send(writer, false, true)
    }

    fn send(&self, writer: &mut impl Write, keep_alive: bool, with_body: bool) -> io::Result<()> {
        let Response { status, body } = self;
        let reason = reason(*status);
        let connection = if keep_alive { "keep-alive" } else { "close" };
        let allow = if *status == 405 { "Allow: GET, HEAD\r\n" } else { "" };
        let mut message = format!(
            "HTTP/1.1 {status} {reason}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\n{allow}Connection: {connection}\r\n\r\n",
            body.len(),
        );
        if with_body {
            message.push_str(body);
        }
        // One write: a head and a body apart would wait for each other's acknowledgement.
        writer.write_all(message.as_bytes())
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        404 => "Not Found",
        405 => "Method Not Allowed",
        431 => "Request Header Fields Too Large",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        _ => "",
    }
}

/// Reads an answer: its body has the length it names, or goes on to the end of the connection.
pub(crate) fn read_response(reader: &mut impl BufRead) -> io::Result<Response> {
    let bad = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let mut head = reader.take(HEAD_MAX);
    let plain = |error| match error {
        Error::Gone(error) => error,
        Error::Refused(response) => bad(response.body.trim()),
    };
    let line = read_line(&mut head).map_err(plain)?.ok_or_else(|| bad("it closed the connection"))?;
    let status = line.strip_prefix("HTTP/1.1 ").or(line.strip_prefix("HTTP/1.0 ")).and_then(|rest| rest.get(..3));
    let status = status.and_then(|digits| digits.parse().ok()).ok_or_else(|| bad("this is no answer of HTTP/1.1"))?;
    let headers = read_headers(&mut head).map_err(plain)?;
    let length = headers.iter().find(|(name, _)| name == "content-length").map(|(_, value)| value.parse::<u64>());
    let length = length.transpose().map_err(|_| bad("its length is no number"))?;
    let mut body = String::new();
    reader.take(length.unwrap_or(BODY_MAX).min(BODY_MAX)).read_to_string(&mut body)?;
    if length.is_some_and(|length| length != body.len() as u64) {
        return Err(bad("its body is cut short or too long"));
    }
    Ok(Response { status, body })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Option<Request>, Error> {
        read_request(&mut text.as_bytes())
    }

    fn status(text: &str) -> u16 {
        match read(text) {
            Err(Error::Refused(response)) => response.status,
            other => panic!("{text:?} is {other:?}"),
        }
    }

    fn keeps_alive(text: &str) -> bool {
        read(text).unwrap().unwrap().keep_alive
    }

    #[test]
    fn requests_follow_each_other_on_one_connection() {
        let text = "GET /a?b HTTP/1.1\r\nHost: x\r\n\r\nHEAD / HTTP/1.1\r\nhost:x\r\nConnection: x, Close\r\n\r\n";
        let mut reader = text.as_bytes();
        let first = read_request(&mut reader).unwrap().unwrap();
        assert_eq!(first, Request { method: "GET".into(), target: "/a?b".into(), keep_alive: true });
        assert_eq!(first.path(), "/a");
        let second = read_request(&mut reader).unwrap().unwrap();
        assert_eq!(second, Request { method: "HEAD".into(), target: "/".into(), keep_alive: false });
        assert_eq!(read_request(&mut reader).unwrap(), None);
    }

    #[test]
    fn a_connection_stays_open_only_when_both_sides_know_where_the_request_ends() {
        assert!(keeps_alive("GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"));
        assert!(!keeps_alive("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"));
        assert!(!keeps_alive("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"));
        assert!(!keeps_alive("GET / HTTP/1.0\r\n\r\n"));
        assert!(keeps_alive("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"));
    }

    #[test]
    fn what_is_no_request_is_refused() {
        for text in [
            "GET /\r\n\r\n",
            "GET / HTTP/2.0\r\n\r\n",
            "get / HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET  / HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET x HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET / HTTP/1.1\n\n",
            "GET / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\n",
            "GET / HT",
        ] {
            assert_eq!(status(text), 400, "{text:?}");
        }
        assert_eq!(status(&format!("GET /{} HTTP/1.1\r\n", "x".repeat(20_000))), 431);
        assert_eq!(status(&format!("GET / HTTP/1.1\r\n{}", "A: b\r\n".repeat(5_000))), 431);
    }

    #[test]
    fn an_answer_says_its_length_and_whether_another_may_follow() {
        let request = |method: &str, keep_alive| Request { method: method.into(), target: "/".into(), keep_alive };
        let written = |status, request: &Request| {
            let mut bytes = Vec::new();
            Response::text(status, "hi\n").write(&mut bytes, request).unwrap();
            String::from_utf8(bytes).unwrap()
        };
        assert_eq!(
            written(200, &request("GET", true)),
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 3\r\nConnection: keep-alive\r\n\r\nhi\n"
        );
        assert!(written(200, &request("HEAD", false)).ends_with("Content-Length: 3\r\nConnection: close\r\n\r\n"));
        assert!(written(405, &request("PUT", false)).contains("\r\nAllow: GET, HEAD\r\n"));
    }

    #[test]
    fn answers_are_read_by_their_length() {
        let read = |text: &str| read_response(&mut text.as_bytes()).map(|response| (response.status, response.body));
        assert_eq!(read("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi, and more").unwrap(), (200, "hi".into()));
        assert_eq!(read("HTTP/1.1 503 Service Unavailable\r\n\r\nall of it").unwrap(), (503, "all of it".into()));
        for bad in
            ["", "HTTP/1.1 2", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhi", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"]
        {
            assert!(read(bad).is_err(), "{bad:?}");
        }
    }
}
