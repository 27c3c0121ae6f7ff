//! skiff: validation.
