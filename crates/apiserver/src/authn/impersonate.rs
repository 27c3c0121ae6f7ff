//! `Impersonate-User` and its fellows: acting as somebody else (`endpoints/filters/impersonation.go`).

use api::status::ApiError;
use http::HeaderMap;

use super::User;
use crate::request::info::percent_decode;

const PREFIX: &str = "impersonate-extra-";

/// The user to act as, when the request asks for one.
pub fn user(headers: &HeaderMap) -> Result<Option<User>, ApiError> {
    let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
    let name = text("impersonate-user");
    let uid = text("impersonate-uid");
    let all = |name: &str| {
        headers.get_all(name).iter().filter_map(|v| v.to_str().ok()).map(str::to_owned).collect::<Vec<_>>()
    };
    let groups = all("impersonate-group");
    let mut extra: Vec<(String, Vec<String>)> = Vec::new();
    for key in headers.keys().filter(|k| k.as_str().starts_with(PREFIX)) {
        let values = all(key.as_str());
        extra.push((percent_decode(&key.as_str()[PREFIX.len()..], false), values));
    }
    if name.is_empty() {
        if groups.is_empty() && extra.is_empty() && uid.is_empty() {
            return Ok(None);
        }
        let list: Vec<String> = groups.iter().map(|g| format!("{g:?}")).collect();
        let groups = if groups.is_empty() {
            "[]string(nil)".into()
        } else {
            format!("[]string{{{}}}", list.join(", "))
        };
        return Err(ApiError::bad_request(format!(
            "requested &user.DefaultInfo{{Name:\"\", UID:{uid:?}, Groups:{groups}, Extra:map[string][]string(nil)}} \
             without impersonating a user name"
        )));
    }
    let mut user = User { name, uid, groups, extra };
    if let Some((namespace, _)) =
        user.name.strip_prefix("system:serviceaccount:").and_then(|n| n.split_once(':'))
        && user.groups.is_empty()
    {
        user.groups = vec!["system:serviceaccounts".into(), format!("system:serviceaccounts:{namespace}")];
    }
    if user.name == "system:anonymous" {
        if !user.groups.iter().any(|g| g == "system:unauthenticated") {
            user.groups.push("system:unauthenticated".into());
        }
        return Ok(Some(user));
    }
    Ok(Some(user.authenticated()))
}
