//! Length-prefixed JSON frames over a Unix stream, with open sockets beside them.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, recv, recvmsg,
    sendmsg,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::Interest;
use tokio::net::UnixStream;

/// Longest frame, in bytes: tables of some 100,000 entries fit, and a broken peer cannot take all memory.
const FRAME_MAX: usize = 64 << 20;

/// Most sockets beside one frame: the kernel takes up to 253.
pub(crate) const SOCKETS_MAX: usize = 128;

/// One end of the control connection.
pub(crate) struct Channel {
    stream: UnixStream,
    /// Sockets that came with the frame being read.
    sockets: Vec<OwnedFd>,
}

impl Channel {
    pub(crate) fn new(stream: UnixStream) -> Channel {
        Channel { stream, sockets: Vec::new() }
    }

    /// Sends one frame, and at most [`SOCKETS_MAX`] sockets beside it.
    pub(crate) async fn send(&self, message: &impl Serialize, sockets: &[BorrowedFd<'_>]) -> io::Result<()> {
        let mut frame = vec![0; 4];
        serde_json::to_writer(&mut frame, message)?;
        let length = u32::try_from(frame.len() - 4).ok().filter(|&length| length as usize <= FRAME_MAX);
        let length = length.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the frame is too long"))?;
        frame[..4].copy_from_slice(&length.to_le_bytes());

        let mut sent = 0;
        while sent < frame.len() {
            let beside = if sent == 0 { sockets } else { &[] };
            sent += self.stream.async_io(Interest::WRITABLE, || send_some(&self.stream, &frame[sent..], beside)).await?;
        }
        Ok(())
    }

    /// Receives one frame; `None` when the other side has closed between frames.
    pub(crate) async fn receive<T: DeserializeOwned>(&mut self) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
        let mut length = [0; 4];
        if !self.fill(&mut length).await? {
            return Ok(None);
        }
        let length = u32::from_le_bytes(length) as usize;
        if length > FRAME_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a frame longer than the limit"));
        }
        let mut body = vec![0; length];
        if !self.fill(&mut body).await? && length > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(Some((serde_json::from_slice(&body)?, std::mem::take(&mut self.sockets))))
    }

    /// Waits until the other side has closed or broken the connection; what it says unasked breaks it too.
    pub(crate) async fn closed(&self) {
        // Peeking clears a readiness that an earlier read left behind. An error means the same: of no more use.
        let peek = || Ok(recv(self.stream.as_fd(), &mut [0; 1], RecvFlags::PEEK)?);
        let _ = self.stream.async_io(Interest::READABLE, peek).await;
    }

    /// Fills `buffer`; false if the other side closed before its first byte.
    async fn fill(&mut self, buffer: &mut [u8]) -> io::Result<bool> {
        let mut filled = 0;
        while filled < buffer.len() {
            let sockets = &mut self.sockets;
            let stream = &self.stream;
            let count = stream.async_io(Interest::READABLE, || receive_some(stream, &mut buffer[filled..], sockets)).await?;
            match count {
                0 if filled == 0 => return Ok(false),
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => filled += count,
            }
        }
        Ok(true)
    }
}

fn send_some(stream: &UnixStream, bytes: &[u8], sockets: &[BorrowedFd<'_>]) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS_MAX))];
    let mut beside = SendAncillaryBuffer::new(&mut space);
    if !sockets.is_empty() && !beside.push(SendAncillaryMessage::ScmRights(sockets)) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "too many sockets beside one frame"));
    }
    Ok(sendmsg(stream.as_fd(), &[IoSlice::new(bytes)], &mut beside, SendFlags::NOSIGNAL)?)
}

fn receive_some(stream: &UnixStream, buffer: &mut [u8], sockets: &mut Vec<OwnedFd>) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS_MAX))];
    let mut beside = RecvAncillaryBuffer::new(&mut space);
    let received = recvmsg(stream.as_fd(), &mut [IoSliceMut::new(buffer)], &mut beside, RecvFlags::CMSG_CLOEXEC)?;
    for message in beside.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = message {
            sockets.extend(received);
        }
    }
    // A peer that sends sockets without end must not fill our table of open files.
    if sockets.len() > SOCKETS_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "more sockets than one frame may bring"));
    }
    Ok(received.bytes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[tokio::test]
    async fn a_long_frame_arrives_whole_with_its_sockets() {
        let (left, right) = UnixStream::pair().unwrap();
        let (left, mut right) = (Channel::new(left), Channel::new(right));
        let listeners: Vec<_> = (0..SOCKETS_MAX).map(|_| UnixListener::bind_addr(&unnamed()).unwrap()).collect();
        let sockets: Vec<_> = listeners.iter().map(AsFd::as_fd).collect();
        let long = "x".repeat(1 << 20);
        let (sent, received) = tokio::join!(left.send(&long, &sockets), right.receive::<String>());
        sent.unwrap();
        let (text, arrived) = received.unwrap().unwrap();
        assert_eq!((text.len(), arrived.len()), (long.len(), SOCKETS_MAX));

        drop(left);
        assert!(right.receive::<String>().await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_frame_of_absurd_length_is_refused_before_memory_is_taken() {
        let (left, right) = UnixStream::pair().unwrap();
        left.try_write(&u32::MAX.to_le_bytes()).unwrap();
        let error = Channel::new(right).receive::<String>().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }

    fn unnamed() -> std::os::unix::net::SocketAddr {
        use std::os::linux::net::SocketAddrExt;
        static NEXT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let name = format!("stead-channel-test-{}-{number}", std::process::id());
        std::os::unix::net::SocketAddr::from_abstract_name(name).unwrap()
    }
}
