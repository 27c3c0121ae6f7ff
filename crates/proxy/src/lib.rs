//! skiff: proxy.
