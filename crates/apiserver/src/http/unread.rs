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
//!                                                       (`stall`)
//! ```

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt;
use parking_lot::Mutex;
use tokio::time::timeout;

/// How much of a body is read for the sake of its connection.
const REST_MAX_BYTES: usize = 256 * 1024;
/// How long a client may take to send that.
const REST_TIMEOUT: Duration = Duration::from_secs(10);

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

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use futures::stream;
    use http_body_util::{Full, StreamBody};

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
}
