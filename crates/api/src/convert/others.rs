//! Small differences: disruption budgets, access reviews, runtime classes.

use serde_json::json;

use super::{Steps, child, rename};
use crate::{Object, Value};

const EMPTY_SELECTOR: &str = "pdb.kubernetes.io/deprecated-v1beta1-empty-selector-match";

/// An empty selector selects nothing in `v1beta1` and everything in `v1`; a label that no pod has says the other.
pub(super) fn disruption_budget(version: &str) -> Option<Steps> {
    Some(match version {
        "v1beta1" => Steps {
            to_hub: |o| {
                swap(o, json!({}), expression("Exists"), expression("DoesNotExist"), json!({}));
                Ok(())
            },
            from_hub: |o| {
                swap(o, expression("Exists"), json!({}), json!({}), expression("DoesNotExist"));
                Ok(())
            },
        },
        _ => Steps {
            to_hub: |o| {
                if let Some(selector) = selector(o)
                    && *selector != expression("Exists")
                {
                    strip(selector);
                }
                Ok(())
            },
            from_hub: |_| Ok(()),
        },
    })
}

fn expression(operator: &str) -> Value {
    json!({"matchExpressions": [{"key": EMPTY_SELECTOR, "operator": operator}]})
}

fn selector(o: &mut Object) -> Option<&mut Value> {
    child(o, "spec")?.get_mut("selector").filter(|s| s.is_object())
}

/// Replaces the first selector by the second, the third by the fourth; others lose the special label.
fn swap(o: &mut Object, none: Value, none_there: Value, all: Value, all_there: Value) {
    let Some(selector) = selector(o) else { return };
    if *selector == none {
        *selector = none_there;
    } else if *selector == all {
        *selector = all_there;
    } else {
        strip(selector);
    }
}

fn strip(selector: &mut Value) {
    let Some(selector) = selector.as_object_mut() else { return };
    if let Some(Value::Array(list)) = selector.get_mut("matchExpressions") {
        list.retain(|e| e.get("key").and_then(Value::as_str) != Some(EMPTY_SELECTOR));
        if list.is_empty() {
            selector.remove("matchExpressions");
        }
    }
    if let Some(Value::Object(labels)) = selector.get_mut("matchLabels") {
        labels.remove(EMPTY_SELECTOR);
        if labels.is_empty() {
            selector.remove("matchLabels");
        }
    }
}

/// `v1beta1` access reviews call the groups `group`.
pub(super) const ACCESS_REVIEW: Steps = Steps {
    to_hub: |o| {
        if let Some(spec) = child(o, "spec") {
            rename(spec, "group", "groups");
        }
        Ok(())
    },
    from_hub: |o| {
        if let Some(spec) = child(o, "spec") {
            rename(spec, "groups", "group");
        }
        Ok(())
    },
};

/// Field of `v1alpha1`'s `spec` → field of the runtime class itself.
const RUNTIME_FIELDS: [(&str, &str); 3] =
    [("runtimeHandler", "handler"), ("overhead", "overhead"), ("scheduling", "scheduling")];

/// `v1alpha1` runtime classes have a `spec`.
pub(super) const RUNTIME_CLASS: Steps = Steps {
    to_hub: |o| {
        if let Some(Value::Object(mut spec)) = o.remove("spec") {
            for (old, new) in RUNTIME_FIELDS {
                o.extend(spec.remove(old).filter(|v| !v.is_null()).map(|v| (new.to_owned(), v)));
            }
        }
        Ok(())
    },
    from_hub: |o| {
        let mut spec = Object::new();
        for (old, new) in RUNTIME_FIELDS {
            spec.extend(o.remove(new).map(|v| (old.to_owned(), v)));
        }
        o.insert("spec".to_owned(), spec.into());
        Ok(())
    },
};
