//! The one response body type: whole, in pieces, or a stream that ends when the watch ends.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::Stream;
use http_body::{Body as HttpBody, Frame, SizeHint};

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

    /// A body that comes as a stream.
    pub fn stream(stream: impl Stream<Item = Bytes> + Send + 'static) -> Body {
        Body::Stream(Box::pin(stream))
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut *self {
            Body::Full(bytes) if bytes.is_empty() => Poll::Ready(None),
            Body::Full(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Body::Pieces(pieces, left) => match pieces.next() {
                Some(piece) => {
                    *left = left.saturating_sub(piece.len() as u64);
                    Poll::Ready(Some(Ok(Frame::data(piece))))
                }
                None => Poll::Ready(None),
            },
            Body::Stream(stream) => stream.as_mut().poll_next(cx).map(|o| o.map(|b| Ok(Frame::data(b)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Body::Full(bytes) => bytes.is_empty(),
            Body::Pieces(_, left) => *left == 0,
            Body::Stream(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Body::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Body::Pieces(_, left) => SizeHint::with_exact(*left),
            Body::Stream(_) => SizeHint::default(),
        }
    }
}
