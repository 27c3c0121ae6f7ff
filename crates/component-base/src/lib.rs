//! skiff: component-base.
