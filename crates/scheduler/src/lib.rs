//! skiff: scheduler.
