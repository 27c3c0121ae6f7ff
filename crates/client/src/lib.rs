//! skiff: client.
