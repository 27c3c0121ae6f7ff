//! skiff: controllers.
