//! skiff: kubectl.
