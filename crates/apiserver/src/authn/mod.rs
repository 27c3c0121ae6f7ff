//! Who asks: static tokens, service account tokens, client certificates, impersonation, nobody.

mod der;
pub mod impersonate;
mod jwks;
pub mod keys;
pub mod tokens;
pub mod x509;

use api::status::ApiError;
use http::{HeaderMap, header};

use crate::Server;
use crate::http::listen::Peer;

/// A user as authentication found it (`user.DefaultInfo`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct User {
    /// The name.
    pub name: String,
    /// The uid; empty when unknown.
    pub uid: String,
    /// The groups.
    pub groups: Vec<String>,
    /// Further attributes.
    pub extra: Vec<(String, Vec<String>)>,
}

/// Members may do everything.
pub const MASTERS: &str = "system:masters";
const AUTHENTICATED: &str = "system:authenticated";
const UNAUTHENTICATED: &str = "system:unauthenticated";

impl User {
    /// A user by name and groups.
    pub fn new(name: &str, groups: &[&str]) -> User {
        User {
            name: name.to_owned(),
            groups: groups.iter().map(|g| (*g).to_owned()).collect(),
            ..User::default()
        }
    }

    /// Whoever comes through the port that asks for nothing.
    pub fn unsecured() -> User {
        User::new("system:unsecured", &[MASTERS, AUTHENTICATED])
    }

    /// Nobody.
    pub fn anonymous() -> User {
        User::new("system:anonymous", &[UNAUTHENTICATED])
    }

    fn authenticated(mut self) -> User {
        if !self.groups.iter().any(|g| g == AUTHENTICATED) {
            self.groups.push(AUTHENTICATED.to_owned());
        }
        self
    }
}

/// 401, as upstream writes it.
pub fn unauthorized() -> ApiError {
    ApiError::new(401, "Unauthorized", "Unauthorized")
}

/// Finds the user of a request.
pub async fn authenticate(
    server: &Server,
    peer: Option<&Peer>,
    headers: &HeaderMap,
) -> Result<User, ApiError> {
    let token = headers
        .get(header::AUTHORIZATION)
        .and_then(|v| v.to_str().ok())
        .and_then(|v| v.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim())
        .filter(|t| !t.is_empty());
    if let Some(token) = token {
        if let Some(user) = server.tokens().find(token) {
            return Ok(user.authenticated());
        }
        if let Some(user) = server.keys().authenticate(server, token, &[]).await {
            return Ok(user.user.authenticated());
        }
        if !peer.is_none_or(|p| p.insecure) {
            return Err(unauthorized());
        }
    }
    // Requests in memory come from this very process.
    let Some(peer) = peer.filter(|p| !p.insecure) else { return Ok(User::unsecured()) };
    if let Some(certificate) = &peer.certificate {
        return x509::user(certificate).map(User::authenticated).ok_or_else(unauthorized);
    }
    if server.options().anonymous_auth { Ok(User::anonymous()) } else { Err(unauthorized()) }
}
