//! The group admissionregistration.k8s.io. Expressions (CEL) are not compiled here: what is checked is
//! everything around them.

pub(crate) mod policies;
mod rules;
pub(crate) mod webhooks;
