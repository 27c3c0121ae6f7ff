//! HTTP without Kubernetes in it: bodies, listeners, certificates, and the `Status` on the wire.

pub mod body;
pub mod cert;
pub mod head;
pub mod listen;
pub mod stall;
pub mod status;
pub mod unread;

pub use body::{Body, BoxError, Incoming};

/// A request as the server handles it.
pub type Request = http::Request<Incoming>;
/// An answer.
pub type Response = http::Response<Body>;
