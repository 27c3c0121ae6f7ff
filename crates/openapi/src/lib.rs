//! skiff: openapi.
