//! skiff: apiserver.
