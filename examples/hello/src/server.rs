//! Accepts connections, a thread for each, and stops when it is asked to without cutting an answer short.

use std::io::BufReader;
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::http::{self, Error, Request, Response};

/// Most connections at a time: each costs a thread.
const CONNECTIONS_MAX: usize = 256;
/// How long a connection may be silent. Longer than the idle time of common proxies, so that they close first.
const IDLE: Duration = Duration::from_secs(75);
/// How long requests may take to finish after the signal to stop; less than the ten seconds after which containers are killed.
const GRACE: Duration = Duration::from_secs(5);

/// Serves until `stopped` returns, and then until the requests it is at are answered.
pub(crate) fn serve(
    listener: TcpListener,
    answer: impl Fn(&Request) -> Response + Send + Sync + 'static,
    stopped: impl FnOnce(),
) {
    let answer = Arc::new(answer);
    let connections = Arc::new(Count::default());
    let requests = Arc::new(Count::default());
    let busy = Arc::clone(&requests);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let Some(place) = connections.enter(CONNECTIONS_MAX) else {
                // The answer is a courtesy: when it cannot be written, the closed connection says the same.
                let _ = Response::text(503, "too many connections\n").write_last(&mut &stream);
                continue;
            };
            let (answer, busy) = (Arc::clone(&answer), Arc::clone(&busy));
            std::thread::spawn(move || {
                // A connection that breaks is nobody's loss but its client's, who knows.
                let _ = converse(&stream, &*answer, &busy);
                drop(place);
            });
        }
    });
    stopped();
    requests.wait_for_none(GRACE);
}

/// Answers the requests of one connection until either side has had enough.
fn converse(stream: &TcpStream, answer: &impl Fn(&Request) -> Response, busy: &Arc<Count>) -> std::io::Result<()> {
    stream.set_read_timeout(Some(IDLE))?;
    stream.set_write_timeout(Some(IDLE))?;
    let mut reader = BufReader::new(stream);
    let mut writer = stream;
    loop {
        let request = match http::read_request(&mut reader) {
            Ok(Some(request)) => request,
            Ok(None) => return Ok(()),
            Err(Error::Gone(error)) => return Err(error),
            Err(Error::Refused(response)) => return response.write_last(&mut writer),
        };
        let place = busy.enter(usize::MAX);
        let response = match request.method.as_str() {
            "GET" | "HEAD" => answer(&request),
            _ => Response::text(405, "only GET and HEAD are answered\n"),
        };
        response.write(&mut writer, &request)?;
        drop(place);
        if !request.keep_alive {
            return Ok(());
        }
    }
}

/// A number of things that are going on.
#[derive(Default)]
struct Count {
    number: Mutex<usize>,
    changed: Condvar,
}

/// One of the things counted; it ends when this is dropped.
struct Place(Arc<Count>);

impl Count {
    /// Counts one more, unless there are `max`.
    fn enter(self: &Arc<Count>, max: usize) -> Option<Place> {
        let mut number = self.number.lock().unwrap_or_else(PoisonError::into_inner);
        if *number >= max {
            return None;
        }
        *number += 1;
        Some(Place(Arc::clone(self)))
    }

    fn wait_for_none(&self, patience: Duration) {
        let number = self.number.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.changed.wait_timeout_while(number, patience, |number| *number > 0));
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        *self.0.number.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        self.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::SocketAddr;
    use std::sync::mpsc;

    use super::*;

    /// Starts a server; it stops when the sender is dropped or sends.
    fn start(
        answer: impl Fn(&Request) -> Response + Send + Sync + 'static,
    ) -> (SocketAddr, mpsc::Sender<()>, std::thread::JoinHandle<()>) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = mpsc::channel();
        let server = std::thread::spawn(move || serve(listener, answer, move || _ = stopped.recv()));
        (address, stop, server)
    }

    fn connect(address: SocketAddr) -> TcpStream {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream
    }

    #[test]
    fn one_connection_carries_many_requests() {
        let (address, _stop, _server) = start(|request| Response::text(200, request.path()));
        let stream = connect(address);
        let mut reader = BufReader::new(&stream);
        for path in ["/a", "/b", "/c"] {
            write!(&stream, "GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
            assert_eq!(http::read_response(&mut reader).unwrap(), Response::text(200, path));
        }
        write!(&stream, "PUT / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        assert_eq!(http::read_response(&mut reader).unwrap().status, 405);
        assert_eq!(reader.read(&mut [0]).unwrap(), 0);
    }

    #[test]
    fn nonsense_is_answered_and_the_connection_closed() {
        let (address, _stop, _server) = start(|_| Response::text(200, ""));
        let mut stream = connect(address);
        stream.write_all(b"\x16\x03\x01\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        assert!(text.starts_with("HTTP/1.1 400 "), "{text}");
    }

    #[test]
    fn a_request_under_way_is_answered_before_the_server_stops() {
        let (entered, at_work) = mpsc::channel();
        let (go_on, may_go_on) = mpsc::channel::<()>();
        let (entered, may_go_on) = (Mutex::new(entered), Mutex::new(may_go_on));
        let (address, stop, server) = start(move |_| {
            entered.lock().unwrap().send(()).unwrap();
            may_go_on.lock().unwrap().recv().unwrap();
            Response::text(200, "done")
        });
        let stream = connect(address);
        write!(&stream, "GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        at_work.recv().unwrap();
        stop.send(()).unwrap();
        go_on.send(()).unwrap();
        assert_eq!(http::read_response(&mut BufReader::new(&stream)).unwrap(), Response::text(200, "done"));
        server.join().unwrap();
    }

    #[test]
    fn places_are_bounded_and_given_back() {
        let count = Arc::new(Count::default());
        let place = count.enter(1);
        assert!(place.is_some() && count.enter(1).is_none());
        drop(place);
        assert!(count.enter(1).is_some());
    }
}
