//! skiff: node.
fn main() {}
