//! How a connection ends whose client does not read, so that it holds nothing that it asked for, and one whose client does
//! not stop to write, so that it still gets its answer (`rstAvoidanceDelay` in Go's `net/http/server.go`).

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// Whether a connection may stand still: a log that somebody reads slowly, a session in which nothing happens.
#[derive(Clone, Debug, Default)]
pub struct Patience(Arc<AtomicBool>);

impl Patience {
    /// Says whether it may from now on.
    pub fn set(&self, patient: bool) {
        self.0.store(patient, Ordering::Relaxed);
    }
}

/// Whether a connection still gets bytes that nobody wants when it is closed.
#[derive(Clone, Debug, Default)]
pub struct Leftover(Arc<AtomicBool>);

impl Leftover {
    /// Says that it does.
    pub fn expect(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// How long a connection that is closed for writing is still read, where bytes are left over.
const LINGER: Duration = Duration::from_millis(500);

/// A stream whose writes fail when the other side takes nothing for a while, and which, where bytes are left over, is read
/// for a moment after it was shut down.
pub struct Stalling<S> {
    io: S,
    limit: Duration,
    patience: Patience,
    leftover: Leftover,
    /// Runs while a write waits.
    timer: Option<Pin<Box<Sleep>>>,
    /// Runs once the stream is shut down.
    lingering: Option<Pin<Box<Sleep>>>,
}

impl<S> Stalling<S> {
    /// Around a stream.
    pub fn new(io: S, limit: Duration, patience: Patience, leftover: Leftover) -> Stalling<S> {
        Stalling { io, limit, patience, leftover, timer: None, lingering: None }
    }

    fn watch<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() || self.patience.0.load(Ordering::Relaxed) {
            self.timer = None;
            return written;
        }
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(self.limit)));
        match timer.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Stalling<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Stalling<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(cx, buf);
        self.watch(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(cx, bufs);
        self.watch(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.io).poll_flush(cx);
        self.watch(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.lingering.is_none() {
            let shut = Pin::new(&mut self.io).poll_shutdown(cx);
            ready!(self.watch(cx, shut))?;
            if !self.leftover.0.load(Ordering::Relaxed) {
                return Poll::Ready(Ok(()));
            }
        }
        let Stalling { io, lingering, .. } = &mut *self;
        let until = lingering.get_or_insert_with(|| Box::pin(sleep(LINGER)));
        let mut dropped = [0; 8 * 1024];
        while until.as_mut().poll(cx).is_pending() {
            let mut buf = ReadBuf::new(&mut dropped);
            let read = ready!(Pin::new(&mut *io).poll_read(cx, &mut buf));
            if read.is_err() || buf.filled().is_empty() {
                break;
            }
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    const LIMIT: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn a_client_that_does_not_read_is_cut_off() {
        let (ours, mut theirs) = tokio::io::duplex(16);
        let mut stream = Stalling::new(ours, LIMIT, Patience::default(), Leftover::default());
        // As long as it reads a little now and then, it may go on.
        let reading = tokio::spawn(async move {
            for _ in 0..4 {
                tokio::time::sleep(LIMIT / 2).await;
                theirs.read_exact(&mut [0; 16]).await.unwrap();
            }
            theirs
        });
        stream.write_all(&[0; 64]).await.unwrap();
        let _theirs = reading.await.unwrap();
        let error = stream.write_all(&[0; 64]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test(start_paused = true)]
    async fn a_log_may_be_read_as_slowly_as_one_likes() {
        let (ours, _theirs) = tokio::io::duplex(16);
        let patience = Patience::default();
        patience.set(true);
        let mut stream = Stalling::new(ours, LIMIT, patience, Leftover::default());
        let written = tokio::time::timeout(LIMIT * 10, stream.write_all(&[0; 64])).await;
        assert!(written.is_err(), "it waits: {written:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_lingers_where_bytes_are_left_over() {
        for left in [false, true] {
            let (ours, mut theirs) = tokio::io::duplex(16);
            let leftover = Leftover::default();
            if left {
                leftover.expect();
            }
            let mut stream = Stalling::new(ours, LIMIT, Patience::default(), leftover);
            let closing = tokio::spawn(async move {
                stream.shutdown().await.unwrap();
                stream
            });
            assert_eq!(theirs.read(&mut [0; 1]).await.unwrap(), 0, "it is closed for writing");
            // More than there is room for: only who reads lets it through.
            let sent = tokio::time::timeout(LINGER / 2, theirs.write_all(&[0; 64])).await;
            assert_eq!(sent.is_ok(), left);
            let _stream = tokio::time::timeout(LINGER * 2, closing).await.expect("not for ever").unwrap();
        }
    }
}
