//! skiff: store.
