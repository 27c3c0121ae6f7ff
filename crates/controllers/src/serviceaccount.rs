//! Service accounts: `default` in every namespace, token secrets, the root certificate for pods
//! (upstream's `pkg/controller/serviceaccount` and `pkg/controller/certificates/rootcacertpublisher`).

pub mod accounts;
pub mod jwt;
pub mod root_ca;
pub mod tokens;
