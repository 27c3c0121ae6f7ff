//! skiff: kubelet.
