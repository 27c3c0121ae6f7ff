//! kube-controller-manager: the loops that make the cluster's state what its objects say.
//!
//! Every controller is one module with two halves: pure functions from what is to what should be done, and a thin loop
//! (informer → work queue → `sync(key)`) that does it. All are level-triggered: a sync looks at the state, not at what
//! changed, so a lost event or a restart costs nothing but time.
//!
//! - [`run`], [`run_with`], [`Options`]: the daemon;
//! - [`views`], [`metadata`]: the fields that are read; [`api`]: how things are written; [`informers`]: the shared caches;
//! - [`owners`], [`expectations`], [`labels`], [`pods`]: what controllers have in common;
//! - then one module per controller.

pub mod api;
pub mod context;
pub mod cronjob;
pub mod daemonset;
pub mod deployment;
pub mod discovery;
pub mod disruption;
pub mod endpoints;
pub mod expectations;
pub mod freshness;
pub mod garbage;
pub mod history;
pub mod informers;
pub mod job;
pub mod labels;
pub mod metadata;
pub mod namespace;
pub mod node;
mod options;
pub mod owners;
pub mod pods;
pub mod protection;
pub mod quota;
pub mod replicaset;
mod run;
pub mod serviceaccount;
pub mod statefulset;
pub mod views;
pub mod wiring;

pub use options::Options;
pub use run::{Error, run, run_with};
