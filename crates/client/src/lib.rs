//! How skiff's daemons talk to an API server, on `kube` and `k8s-openapi`.
//!
//! - [`connect`] and [`in_process`] make a [`kube::Client`];
//! - [`informer`] keeps a cache of one resource up to date and tells what changed;
//! - [`queue`] and [`controller`] turn changes into `reconcile(key)` calls with retries;
//! - [`events`] records events; [`leader`] elects one active instance;
//! - [`clock`] is the wall clock that follows tokio's, so that tests can pause time.
//!
//! The counterpart of upstream's client-go.

pub mod clock;
mod connect;
pub mod controller;
pub mod error;
pub mod events;
mod http;
pub mod informer;
pub mod leader;
pub mod queue;
pub mod store;

pub use connect::{ConnectError, ConnectOptions, connect, in_process, in_process_as, spare_system_roots};
pub use error::{ErrorExt, GoError};
pub use store::{ObjectKey, Store};
