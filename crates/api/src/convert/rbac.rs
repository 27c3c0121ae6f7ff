//! Role bindings of `v1alpha1`: subjects carry an `apiVersion` where today's carry a group.

use super::{Steps, items, text};
use crate::kinds::split_api_version;
use crate::{Object, Value};

const GROUP: &str = "rbac.authorization.k8s.io";
const ALPHA: &str = "rbac.authorization.k8s.io/v1alpha1";

/// `rbac.authorization.k8s.io/v1alpha1`.
pub(super) const SUBJECTS: Steps = Steps {
    to_hub: |o| {
        items(o, "subjects").for_each(subject_to_hub);
        Ok(())
    },
    from_hub: |o| {
        items(o, "subjects").for_each(subject_from_hub);
        Ok(())
    },
};

fn subject_to_hub(subject: &mut Object) {
    let api_version = match subject.remove("apiVersion") {
        Some(Value::String(text)) => text,
        _ => String::new(),
    };
    let group = match text(subject, "kind") {
        "ServiceAccount" => "",
        "User" | "Group" => GROUP,
        _ if api_version.matches('/').count() > 1 => "",
        _ => split_api_version(&api_version).0,
    };
    // The user `*` once meant everybody who has a name.
    if text(subject, "kind") == "User" && text(subject, "name") == "*" {
        subject.insert("kind".to_owned(), "Group".into());
        subject.insert("name".to_owned(), "system:authenticated".into());
    }
    if !group.is_empty() {
        subject.insert("apiGroup".to_owned(), group.into());
    }
}

fn subject_from_hub(subject: &mut Object) {
    let group = match subject.remove("apiGroup") {
        Some(Value::String(text)) => text,
        _ => String::new(),
    };
    let api_version = match (text(subject, "kind"), group.as_str()) {
        ("ServiceAccount", "") => "v1".to_owned(),
        ("User" | "Group", GROUP) => ALPHA.to_owned(),
        (_, "") => return,
        // A group without a version.
        (_, group) => format!("{group}/"),
    };
    subject.insert("apiVersion".to_owned(), api_version.into());
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn both_ways(subject: Value) -> (Value, Value) {
        let mut subject = subject.as_object().cloned().unwrap_or_default();
        subject_to_hub(&mut subject);
        let hub = Value::Object(subject.clone());
        subject_from_hub(&mut subject);
        (hub, subject.into())
    }

    #[test]
    fn unknown_kinds_keep_the_group_of_their_version() {
        let kept = both_ways(json!({"kind": "X", "apiVersion": "b/v1"}));
        assert_eq!(kept, (json!({"kind": "X", "apiGroup": "b"}), json!({"kind": "X", "apiVersion": "b/"})));
        // What is no group version has no group, as upstream reads it.
        let lost = both_ways(json!({"kind": "X", "apiVersion": "b//"}));
        assert_eq!(lost, (json!({"kind": "X"}), json!({"kind": "X"})));
    }
}
