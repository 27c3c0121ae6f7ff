//! skiff: patch.
