//! The data plane as a black box: the real process, real sockets on loopback, real backends. Runs as root.

mod dns;
mod flood;
mod http;
mod kit;
mod lifecycle;
mod strict;
mod websocket;
