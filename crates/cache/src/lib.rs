//! skiff: cache.
