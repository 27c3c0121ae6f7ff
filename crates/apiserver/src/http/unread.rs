//! What a handler left unread of a request's body: its answer came early, since nothing is at the path, or the client may
//! not.
//!
//! A connection of HTTP/1.1 can only go on behind the body's end. hyper closes it there and then, while the client still
//! sends this body or already the next request: the kernel resets a connection that is closed with bytes unread, and the
//! answer can be lost with it. So here, as in Go's server (`net/http/server.go`, `maxPostHandlerReadBytes` and
//! `rstAvoidanceDelay`):
//!
//! ```text
//! answer is made ──► rest of the body is short ──────► read it, answer, next request
//!                └─► long, or the client waits for ──► answer with `Connection: close`, close for writing,
//!                    `100 Continue`                    take and drop what still comes, for a moment
//! ```

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep, timeout};

/// How much of a body is read for the sake of its connection.
const REST_MAX_BYTES: usize = 256 * 1024;
/// How long a client may take to send that.
const REST_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection that is closed for writing is still read.
const LINGER: Duration = Duration::from_millis(500);

/// A request's body, and where its rest goes when the handler drops it.
pub struct Watched<B> {
    /// `None` when it was read to its end.
    body: Option<B>,
    rest: Arc<Mutex<Option<Rest<B>>>>,
    asked: bool,
}

struct Rest<B> {
    body: B,
    /// Whether the handler asked for some of it, at which a client that waits for `100 Continue` gets that.
    asked: bool,
}

/// The rest of a body, once its handler is done.
pub struct Unread<B>(Arc<Mutex<Option<Rest<B>>>>);

/// A body, and what tells what was left of it.
pub fn watched<B>(body: B) -> (Watched<B>, Unread<B>) {
    let rest = Arc::default();
    (Watched { body: Some(body), rest: Arc::clone(&rest), asked: false }, Unread(rest))
}

impl<B: HttpBody<Data = Bytes> + Unpin> Unread<B> {
    /// Reads the rest. False where the connection cannot go on: there is too much of it, it does not come, or its client
    /// waits to be told to send it (`Expect: 100-continue`).
    pub async fn read(self, client_waits: bool) -> bool {
        let Some(Rest { mut body, asked }) = self.0.lock().take() else { return true };
        let known = body.size_hint().lower();
        if client_waits && !asked || known > REST_MAX_BYTES as u64 {
            return false;
        }
        let end = async {
            let mut read = 0;
            while let Some(frame) = body.frame().await {
                let Ok(frame) = frame else { return false };
                read += frame.data_ref().map_or(0, Bytes::len);
                if read > REST_MAX_BYTES {
                    return false;
                }
            }
            true
        };
        timeout(REST_TIMEOUT, end).await.unwrap_or(false)
    }
}

impl<B: HttpBody<Data = Bytes> + Unpin> HttpBody for Watched<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        self.asked = true;
        let Some(body) = self.body.as_mut() else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(body).poll_frame(cx));
        if !matches!(frame, Some(Ok(_))) {
            self.body = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(B::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), B::size_hint)
    }
}

impl<B> Drop for Watched<B> {
    fn drop(&mut self) {
        *self.rest.lock() = self.body.take().map(|body| Rest { body, asked: self.asked });
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

/// A stream that, where bytes are left over, is read for a moment after it was shut down.
pub struct Lingering<S> {
    io: S,
    leftover: Leftover,
    /// Runs once the stream is shut down.
    until: Option<Pin<Box<Sleep>>>,
}

impl<S> Lingering<S> {
    /// Around a stream.
    pub fn new(io: S, leftover: Leftover) -> Lingering<S> {
        Lingering { io, leftover, until: None }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Lingering<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Lingering<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.until.is_none() {
            ready!(Pin::new(&mut self.io).poll_shutdown(cx))?;
            if !self.leftover.0.load(Ordering::Relaxed) {
                return Poll::Ready(Ok(()));
            }
        }
        let Lingering { io, until, .. } = &mut *self;
        let until = until.get_or_insert_with(|| Box::pin(sleep(LINGER)));
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
    use futures::stream;
    use http_body_util::{Full, StreamBody};
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    fn pieces(n: usize, bytes: usize) -> impl HttpBody<Data = Bytes, Error = io::Error> + Unpin {
        StreamBody::new(stream::iter((0..n).map(move |_| Ok(Frame::data(Bytes::from(vec![0; bytes]))))))
    }

    #[tokio::test]
    async fn short_rests_are_read() {
        let (body, unread) = watched(pieces(3, 1000));
        drop(body);
        assert!(unread.read(false).await);

        let (mut body, unread) = watched(pieces(3, 1000));
        body.frame().await.unwrap().unwrap();
        drop(body);
        assert!(unread.read(true).await, "it was told to go on");

        let (body, unread) = watched(Full::new(Bytes::from_static(b"x")));
        assert_eq!(body.collect().await.unwrap().to_bytes(), "x");
        assert!(unread.0.lock().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn long_and_late_rests_are_not() {
        let (body, unread) = watched(pieces(2, REST_MAX_BYTES));
        drop(body);
        assert!(!unread.read(false).await);

        let (body, unread) = watched(pieces(1, 1));
        drop(body);
        assert!(!unread.read(true).await, "nobody told the client to send it");

        let (body, unread) = watched(StreamBody::new(stream::pending::<Result<Frame<Bytes>, io::Error>>()));
        drop(body);
        assert!(!unread.read(false).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_lingers_where_bytes_are_left_over() {
        for left in [false, true] {
            let (ours, mut theirs) = duplex(16);
            let leftover = Leftover::default();
            if left {
                leftover.expect();
            }
            let mut stream = Lingering::new(ours, leftover);
            let closing = tokio::spawn(async move {
                stream.shutdown().await.unwrap();
                stream
            });
            assert_eq!(theirs.read(&mut [0; 1]).await.unwrap(), 0, "it is closed for writing");
            // More than there is room for: only who reads lets it through.
            let sent = timeout(LINGER / 2, theirs.write_all(&[0; 64])).await;
            assert_eq!(sent.is_ok(), left);
            let _stream = timeout(LINGER * 2, closing).await.expect("not for ever").unwrap();
        }
    }
}
