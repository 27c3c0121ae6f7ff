//! Names in operation ids and tags (`apiserver/pkg/endpoints/openapi`).

/// `rbac.authorization.k8s.io` → `RbacAuthorization`, the core group → `Core`.
pub(crate) fn group_title(group: &str) -> String {
    if group.is_empty() {
        return "Core".to_owned();
    }
    let group = group.strip_suffix(".k8s.io").unwrap_or(group);
    group.split(|c: char| !c.is_ascii_alphanumeric()).map(capital).collect()
}

/// `rbac.authorization.k8s.io` → `rbacAuthorization`.
pub(crate) fn group_tag(group: &str) -> String {
    let title = group_title(group);
    let mut chars = title.chars();
    chars.next().map(|c| c.to_lowercase().chain(chars).collect()).unwrap_or_default()
}

/// `pods` → `Pods`.
pub(crate) fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|c| c.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_become_words() {
        assert_eq!(group_title("rbac.authorization.k8s.io"), "RbacAuthorization");
        assert_eq!((group_title(""), group_tag("")), ("Core".into(), "core".into()));
        assert_eq!(group_tag("my-group.example.com"), "myGroupExampleCom");
    }
}
