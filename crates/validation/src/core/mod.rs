//! The core group.

pub(crate) mod claim;
pub(crate) mod config;
pub(crate) mod endpoints;
pub(crate) mod event;
mod iscsi;
pub(crate) mod namespace;
pub(crate) mod node;
pub(crate) mod pod;
pub(crate) mod projected;
pub(crate) mod quota;
pub(crate) mod replication_controller;
pub(crate) mod secret_tls;
pub(crate) mod service;
mod storageos;
pub(crate) mod volume;
