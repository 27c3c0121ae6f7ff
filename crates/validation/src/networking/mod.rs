//! The group networking.k8s.io (and extensions, where ingresses and policies came from).

pub(crate) mod address;
pub(crate) mod ingress;
pub(crate) mod policy;
