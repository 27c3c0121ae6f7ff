//! What every daemon needs around its own work: logs, flags, version, signals, health, one binary with several names.
//!
//! The counterpart of upstream's `staging/src/k8s.io/component-base`. Nothing here knows the API.

pub mod flags;
pub mod healthz;
pub mod logs;
pub mod multicall;
pub mod panics;
pub mod rand;
pub mod signals;
pub mod tls;
pub mod version;
