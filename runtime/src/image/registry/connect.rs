//! Connections, with names resolved here so that the address is known before it is connected to.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use hickory_resolver::TokioResolver;
use hyper::Uri;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::address::is_public;
use super::route::Reach;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A name that a registry gave leads to addresses that are not public.
#[derive(Debug)]
pub(super) struct NotPublic;

impl fmt::Display for NotPublic {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(super::route::NOT_PUBLIC)
    }
}

impl std::error::Error for NotPublic {}

/// Addresses of one name that are tried.
const ADDRESSES_MAX: usize = 6;
/// Head start of each address before the next one (RFC 8305, section 8).
const HEAD_START: Duration = Duration::from_millis(250);

/// Connects to the host of `uri` within `limit`.
pub(super) async fn connect(uri: Uri, reach: Reach, limit: Duration) -> Result<TokioIo<TcpStream>, BoxError> {
    let connected = timeout(limit, async {
        let addresses = permitted(addresses(&uri).await?, reach)?;
        race(addresses).await
    });
    match connected.await {
        Ok(stream) => Ok(TokioIo::new(stream?)),
        Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, format!("no connection within {limit:?}")).into()),
    }
}

async fn addresses(uri: &Uri) -> Result<Vec<SocketAddr>, BoxError> {
    let host = uri.host().ok_or("no host")?;
    let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 });
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let found: Vec<IpAddr> = match bare.parse() {
        Ok(address) => vec![address],
        // Needs no name server, and has to work without one.
        Err(_) if host == "localhost" => vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
        Err(_) => lookup(host).await?,
    };
    Ok(found.into_iter().map(|address| SocketAddr::new(address, port)).collect())
}

/// Asks the host's name servers, as they are configured now: connections are rare, and the configuration changes.
async fn lookup(host: &str) -> Result<Vec<IpAddr>, BoxError> {
    let resolver = TokioResolver::builder_tokio()?.build()?;
    match resolver.lookup_ip(host).await {
        Ok(found) => Ok(found.iter().collect()),
        Err(error) => Err(format!("the name {host} cannot be looked up: {error}").into()),
    }
}

fn permitted(addresses: Vec<SocketAddr>, reach: Reach) -> Result<Vec<SocketAddr>, BoxError> {
    let is_permitted = |address: &SocketAddr| reach == Reach::Any || is_public(address.ip());
    let had_some = !addresses.is_empty();
    let permitted: Vec<SocketAddr> = addresses.into_iter().filter(is_permitted).take(ADDRESSES_MAX).collect();
    match permitted.is_empty() {
        false => Ok(permitted),
        true if had_some => Err(NotPublic.into()),
        true => Err("its name has no address".into()),
    }
}

/// Takes the first address that answers; a broken IPv6 then costs a moment, not a timeout.
async fn race(addresses: Vec<SocketAddr>) -> Result<TcpStream, BoxError> {
    let mut attempts: FuturesUnordered<_> = (0..)
        .zip(addresses)
        .map(|(turn, address)| async move {
            sleep(HEAD_START * turn).await;
            TcpStream::connect(address).await
        })
        .collect();
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    while let Some(attempt) = attempts.next().await {
        match attempt {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last.into())
}

/// Finds out whether a request failed because its address is not public.
pub(super) fn is_not_public(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| error.source()).any(<dyn std::error::Error>::is::<NotPublic>)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_name_that_leads_to_this_host_is_refused_where_the_user_did_not_name_it() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri: Uri = format!("http://rebound.localhost:{}/", listener.local_addr().unwrap().port()).parse().unwrap();
        let error = connect(uri.clone(), Reach::Public, Duration::from_secs(5)).await.unwrap_err();
        assert!(is_not_public(&*error), "{error}");
        connect(uri, Reach::Any, Duration::from_secs(5)).await.unwrap();
    }
}
