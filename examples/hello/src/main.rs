//! The example service: one program with two faces, chosen by its first argument.
//!
//! ```text
//!  hello greeter      answers `Greetings from <its host name>`
//!  hello web [URL]    asks a greeter, and answers `Hello from <its host name>, greeted by <the greeter's>`
//! ```
//!
//! Both listen on port 8080, answer `GET /healthz`, and finish the requests they are at when they are asked to stop.
//! Nothing but the standard library is used, so that the program is one static file and its image nothing else.

mod dns;
mod greeting;
mod http;
mod server;
mod stop;

use std::net::{Ipv4Addr, TcpListener};
use std::process::ExitCode;

use greeting::{Face, Url};

const PORT: u16 = 8080;
/// Where `web` finds a greeter unless it is told another place: `<service>.global` is a name every service of a deployment sees.
const GREETER: &str = "http://greeter.global:8080/";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hello: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let face = face(std::env::args().skip(1))?;
    let stop = stop::Signal::install().map_err(|error| format!("cannot listen to signals: {error}"))?;
    let listener =
        TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT)).map_err(|error| format!("cannot bind port {PORT}: {error}"))?;
    println!("hello: {} listens on port {PORT}", host_name());
    server::serve(listener, move |request| face.answer(request, &host_name()), || stop.wait());
    println!("hello: stopped");
    Ok(())
}

fn face(mut args: impl Iterator<Item = String>) -> Result<Face, String> {
    let face = match args.next().as_deref() {
        Some("greeter") => Face::Greeter,
        Some("web") => Face::Web(Url::parse(&args.next().unwrap_or_else(|| GREETER.to_owned()))?),
        _ => return Err("say which face to show: `hello greeter` or `hello web [URL of a greeter]`".to_owned()),
    };
    match args.next() {
        Some(extra) => Err(format!("`{extra}` is one argument too many")),
        None => Ok(face),
    }
}

/// Returns the name of the machine; in a container that is the name of the replica.
fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    if name.trim().is_empty() { "nameless".to_owned() } else { name.trim().to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn face_of(args: &[&str]) -> Result<Face, String> {
        face(args.iter().map(ToString::to_string))
    }

    #[test]
    fn the_first_argument_chooses_the_face() {
        assert_eq!(face_of(&["greeter"]), Ok(Face::Greeter));
        assert_eq!(face_of(&["web"]), Ok(Face::Web(Url::parse(GREETER).unwrap())));
        assert_eq!(face_of(&["web", "http://10.0.0.1/"]), Ok(Face::Web(Url::parse("http://10.0.0.1/").unwrap())));
    }

    #[test]
    fn other_arguments_are_refused() {
        assert!(face_of(&[]).unwrap_err().contains("hello greeter"));
        assert!(face_of(&["janitor"]).unwrap_err().contains("hello greeter"));
        assert!(face_of(&["greeter", "twice"]).unwrap_err().contains("`twice`"));
        assert!(face_of(&["web", "ftp://x"]).unwrap_err().contains("ftp://x"));
    }
}
