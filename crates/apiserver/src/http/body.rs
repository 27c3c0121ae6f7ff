//! The one response body type: whole, in pieces, or a stream that ends when the watch ends.

use std::any::Any;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use component_base::panics::{self, Panicked};
use futures::Stream;
use http_body::{Body as HttpBody, Frame, SizeHint};
use parking_lot::Mutex;
use tokio::time::Instant;

/// A request body before it is read: any client's, in memory or from the network.
pub type Incoming = http_body_util::combinators::UnsyncBoxBody<Bytes, ReadError>;

/// A request body broke off.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ReadError(String);

/// What a client's body may fail with.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Any body as a request body.
pub fn incoming<B>(body: B) -> Incoming
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    use http_body_util::BodyExt;
    body.map_err(|e| ReadError(e.into().to_string())).boxed_unsync()
}

/// A response body.
pub enum Body {
    /// All of it is there.
    Full(Bytes),
    /// Pieces that are made when they are sent, and how many bytes are left: a list of the cache's own bytes.
    Pieces(Box<dyn Iterator<Item = Bytes> + Send>, u64),
    /// Bytes as they come.
    Stream(Pin<Box<dyn Stream<Item = Bytes> + Send>>),
    /// A body with something that lasts until it is sent.
    Held(Held),
}

/// Bodies that are held go out in pieces of this size: a connection takes the next one when it has room, so that the
/// last one is taken only when nearly all is sent.
const PIECE_BYTES: usize = 64 * 1024;

/// A body, and what ends with it.
pub struct Held {
    load: Arc<Mutex<Option<Load>>>,
    timer: Option<tokio::task::AbortHandle>,
}

struct Load {
    body: Body,
    /// What is left of the body's last frame.
    rest: Bytes,
    _until_sent: Box<dyn Any + Send>,
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(timer) = &self.timer {
            timer.abort();
        }
    }
}

impl Held {
    fn poll_frame(&self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let mut load = self.load.lock();
        let Some(Load { body, rest, .. }) = load.as_mut() else {
            return Poll::Ready(Some(Err(io::ErrorKind::TimedOut.into())));
        };
        if rest.is_empty() {
            let data = match Pin::new(body).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => frame.into_data().unwrap_or_default(),
                other => return other,
            };
            *rest = data;
        }
        let piece = rest.split_to(PIECE_BYTES.min(rest.len()));
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }
}

impl Body {
    /// A body without bytes.
    pub const fn empty() -> Body {
        Body::Full(Bytes::new())
    }

    /// A body of pieces that are made one after the other; `length` is that of all together.
    pub fn pieces(pieces: impl Iterator<Item = Bytes> + Send + 'static, length: u64) -> Body {
        Body::Pieces(Box::new(pieces), length)
    }

    /// The same body; `until_sent` is dropped when it is sent, or at the deadline: a client that does not read cannot
    /// keep it.
    pub fn held(self, deadline: Option<Instant>, until_sent: impl Any + Send) -> Body {
        let load = Load { body: self, rest: Bytes::new(), _until_sent: Box::new(until_sent) };
        let load = Arc::new(Mutex::new(Some(load)));
        let timer = deadline.map(|deadline| {
            let late = Arc::downgrade(&load);
            let timer = panics::spawn(async move {
                tokio::time::sleep_until(deadline).await;
                if let Some(load) = late.upgrade() {
                    load.lock().take();
                }
            });
            timer.abort_handle()
        });
        Body::Held(Held { load, timer })
    }

    /// How many bytes it has, where that is known.
    pub fn len(&self) -> Option<u64> {
        self.size_hint().exact()
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == Some(0)
    }

    /// A body that comes as a stream.
    pub fn stream(stream: impl Stream<Item = Bytes> + Send + 'static) -> Body {
        Body::Stream(Box::pin(stream))
    }
}

fn broken_off(panicked: Panicked) -> Poll<Option<io::Result<Frame<Bytes>>>> {
    Poll::Ready(Some(Err(io::Error::other(panicked))))
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match &mut *self {
            Body::Full(bytes) if bytes.is_empty() => Poll::Ready(None),
            Body::Full(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            // What makes these is the request's, though the request was answered: a panic breaks the answer off.
            Body::Pieces(pieces, left) => match panics::caught(|| pieces.next()) {
                Ok(Some(piece)) => {
                    *left = left.saturating_sub(piece.len() as u64);
                    Poll::Ready(Some(Ok(Frame::data(piece))))
                }
                Ok(None) => Poll::Ready(None),
                Err(panicked) => broken_off(panicked),
            },
            Body::Stream(stream) => match panics::caught(|| stream.as_mut().poll_next(cx)) {
                Ok(polled) => polled.map(|o| o.map(|b| Ok(Frame::data(b)))),
                Err(panicked) => broken_off(panicked),
            },
            Body::Held(held) => held.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Body::Full(bytes) => bytes.is_empty(),
            Body::Pieces(_, left) => *left == 0,
            Body::Stream(_) => false,
            Body::Held(held) => {
                held.load.lock().as_ref().is_some_and(|l| l.rest.is_empty() && l.body.is_end_stream())
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Body::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Body::Pieces(_, left) => SizeHint::with_exact(*left),
            Body::Stream(_) => SizeHint::default(),
            Body::Held(held) => held.load.lock().as_ref().map_or_else(SizeHint::default, |l| {
                let rest = l.rest.len() as u64;
                l.body.len().map_or_else(SizeHint::default, |n| SizeHint::with_exact(n + rest))
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    struct Flag(Arc<Mutex<bool>>);

    impl Drop for Flag {
        fn drop(&mut self) {
            *self.0.lock() = true;
        }
    }

    #[tokio::test]
    async fn what_a_body_holds_ends_when_all_is_sent() {
        let gone = Arc::new(Mutex::new(false));
        let whole = Bytes::from(vec![7; 3 * PIECE_BYTES + 1]);
        let mut body = Body::Full(whole.clone()).held(None, Flag(gone.clone()));
        assert_eq!(body.len(), Some(whole.len() as u64));
        let mut sent = Vec::new();
        while let Some(frame) = body.frame().await {
            assert!(!*gone.lock());
            sent.extend_from_slice(&frame.unwrap().into_data().unwrap());
        }
        assert!(body.is_end_stream());
        drop(body);
        assert!(*gone.lock() && sent == whole);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_nobody_reads_is_given_up_at_its_deadline() {
        let gone = Arc::new(Mutex::new(false));
        let deadline = Instant::now() + std::time::Duration::from_secs(60);
        let mut body = Body::Full(Bytes::from_static(b"x")).held(Some(deadline), Flag(gone.clone()));
        tokio::time::sleep_until(deadline).await;
        tokio::task::yield_now().await;
        tokio::time::advance(std::time::Duration::from_secs(1)).await;
        assert!(*gone.lock(), "the memory is free though the client holds the connection");
        assert!(body.frame().await.unwrap().is_err(), "and the client does not take it for the end");
    }
}
