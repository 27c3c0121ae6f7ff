//! skiff: flannel.
