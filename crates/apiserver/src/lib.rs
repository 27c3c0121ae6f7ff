//! kube-apiserver: every kind through one generic engine.
//!
//! ```text
//!  listener ─► Server ─► who (authn) ─► may they (authz) ─► handlers/<verb>
//!                                                             │ decode, default, convert   registry/codec
//!                                                             │ admit                      admission/
//!                                                             │ prepare, validate          registry/
//!                                                             ▼
//!                                                           store ─► cache ─► get, list, watch
//! ```
//! A reader starts with [`Server::handle`] and the file of a verb in `handlers`. [`run`] is the daemon; a [`Server`] alone
//! is a tower service, for use in the same process.

pub mod admission;
pub mod allocator;
pub mod authn;
pub mod authz;
pub mod bootstrap;
pub mod component_status;
pub mod crd;
pub mod discovery;
pub mod encoding;
pub mod handlers;
pub mod health;
pub mod http;
mod in_process;
pub mod metrics;
pub mod negotiate;
pub mod openapi;
pub mod options;
pub mod registry;
pub mod relay;
pub mod request;
mod run;
mod server;

pub use in_process::InProcess;
/// The allocator of every program that holds an API server: glibc's keeps what a burst of requests took.
pub use mimalloc::MiMalloc as Allocator;
pub use options::Options;
pub use run::{Error, Prepared, prepare, run, run_on, start};
pub use server::Server;
