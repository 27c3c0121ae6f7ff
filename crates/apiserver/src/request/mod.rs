//! What a request asks for, before anything is done: path, query, body.

pub mod info;
pub mod query;

pub use info::Info;
pub use query::Query;
pub mod selector;
