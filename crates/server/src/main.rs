//! skiff: server.
fn main() {}
