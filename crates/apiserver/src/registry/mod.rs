//! Objects and how they are kept: the table of resources, the store, and what each kind does on a write.

pub mod codec;
mod equal;
pub mod fields;
pub mod flow_control;
pub mod kinds;
pub mod obj;
pub mod resource;
pub(crate) mod runtime_config;
pub mod storage;
pub mod strategy;
pub mod system;
pub mod validate;
pub mod warnings;
