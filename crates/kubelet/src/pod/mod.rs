//! Pods: what should be, what is, what to do, and what to say about it. Everything here is pure but
//! [`worker`] and what it calls.

pub mod backoff;
pub mod conditions;
pub mod create;
pub mod dns;
pub mod env;
pub mod expand;
pub mod observed;
pub mod phase;
pub mod plan;
pub mod resources;
pub mod security;
pub mod spec;
pub mod status;
