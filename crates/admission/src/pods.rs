//! Plug-ins that fill in pods: DefaultTolerationSeconds, Priority, RuntimeClass.

use api::Value;
use serde_json::json;

use crate::{Refusal, at, items, object_mut, text};

/// How long pods stay on a node that is not ready or unreachable, unless they say otherwise.
const DEFAULT_TOLERATION_S: i64 = 300;

/// DefaultTolerationSeconds: pods tolerate `not-ready` and `unreachable` for five minutes.
pub fn default_tolerations(pod: &mut Value) {
    for key in ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"] {
        let tolerated = items(pod, &["spec", "tolerations"]).iter().any(|t| {
            let (own, effect) = (text(t, &["key"]), text(t, &["effect"]));
            (own == key || own.is_empty()) && (effect == "NoExecute" || effect.is_empty())
        });
        if !tolerated && let Some(spec) = object_mut(pod, &["spec"]) {
            let toleration = json!({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": DEFAULT_TOLERATION_S});
            match spec.get_mut("tolerations") {
                Some(Value::Array(list)) => list.push(toleration),
                _ => {
                    spec.insert("tolerations".into(), json!([toleration]));
                }
            }
        }
    }
}

/// Priority, on create: resolves the class into a number. `classes` are all
/// PriorityClasses that matter: the one that is named, or else those that may be the default.
///
/// # Errors
/// An unknown class, or a number that the pod brings along and that differs.
pub fn priority(pod: &mut Value, classes: &[Value]) -> Result<(), Refusal> {
    let named = text(pod, &["spec", "priorityClassName"]).to_owned();
    let class = if named.is_empty() {
        default_class(classes)
    } else {
        let found = classes.iter().find(|c| text(c, &["metadata", "name"]) == named);
        Some(found.ok_or_else(|| format!("no PriorityClass with name {named} was found"))?)
    };
    let name = class.map_or(named.as_str(), |c| text(c, &["metadata", "name"])).to_owned();
    let priority = class.and_then(|c| c.get("value")).and_then(Value::as_i64).unwrap_or(0);
    let policy = match class {
        Some(class) => at(class, &["preemptionPolicy"]).and_then(Value::as_str).map(str::to_owned),
        None => Some("PreemptLowerPriority".to_owned()),
    };
    if let Some(own) = at(pod, &["spec", "priority"]).and_then(Value::as_i64)
        && own != priority
    {
        return Err(format!(
            "the integer value of priority ({own}) must not be provided in pod spec; priority admission controller computed {priority} from the given PriorityClass name"
        ));
    }
    let own = text(pod, &["spec", "preemptionPolicy"]);
    if let Some(policy) = &policy
        && !own.is_empty()
        && own != policy
    {
        return Err(format!(
            "the string value of PreemptionPolicy ({own}) must not be provided in pod spec; priority admission controller computed {policy} from the given PriorityClass name"
        ));
    }
    if let Some(spec) = object_mut(pod, &["spec"]) {
        if !name.is_empty() {
            spec.insert("priorityClassName".into(), name.into());
        }
        spec.insert("priority".into(), priority.into());
        if let Some(policy) = policy {
            spec.insert("preemptionPolicy".into(), policy.into());
        }
    }
    Ok(())
}

/// Priority, on update: what the client left out stays.
pub fn keep_priority(pod: &mut Value, old: &Value) {
    for field in ["priority", "preemptionPolicy"] {
        if at(pod, &["spec", field]).is_none()
            && let Some(kept) = at(old, &["spec", field])
            && let Some(spec) = object_mut(pod, &["spec"])
        {
            spec.insert(field.into(), kept.clone());
        }
    }
}

/// The class of pods that name none: of several, the lowest.
fn default_class(classes: &[Value]) -> Option<&Value> {
    let value = |c: &Value| c.get("value").and_then(Value::as_i64).unwrap_or(0);
    classes.iter().filter(|c| c.get("globalDefault") == Some(&Value::Bool(true))).min_by_key(|c| value(c))
}

/// Priority, for PriorityClasses themselves: there is one default.
///
/// # Errors
/// A second default.
pub fn priority_class(class: &Value, classes: &[Value], create: bool) -> Result<(), Refusal> {
    if class.get("globalDefault") != Some(&Value::Bool(true)) {
        return Ok(());
    }
    match default_class(classes).map(|c| text(c, &["metadata", "name"])) {
        Some(other) if create || other != text(class, &["metadata", "name"]) => {
            Err(format!("PriorityClass {other} is already marked as default. Only one default can exist"))
        }
        _ => Ok(()),
    }
}

/// RuntimeClass: a pod takes overhead and scheduling from its class. `class` is what `find` gives for the pod's class
/// name.
///
/// # Errors
/// An unknown class, or an overhead or node selector that contradicts it.
pub fn runtime_class(pod: &mut Value, class: Option<&Value>) -> Result<(), Refusal> {
    let name = text(pod, &["spec", "runtimeClassName"]);
    if !name.is_empty() && class.is_none() {
        return Err(format!("pod rejected: RuntimeClass {} not found", api::field::go_quote(name)));
    }
    let overhead = fixed_overhead(class).cloned();
    let own = at(pod, &["spec", "overhead"]).filter(|o| o.as_object().is_some_and(|o| !o.is_empty()));
    match (&overhead, own) {
        (Some(overhead), Some(own)) if differ(Some(overhead), Some(own)) => return Err(OTHER_OVERHEAD.into()),
        _ => {}
    }
    if let (Some(overhead), Some(spec)) = (overhead, object_mut(pod, &["spec"])) {
        spec.insert("overhead".into(), overhead);
    }
    let Some(scheduling) = class.and_then(|c| at(c, &["scheduling"])) else { return Ok(()) };
    if let Some(Value::Object(wanted)) = at(scheduling, &["nodeSelector"])
        && let Some(selector) = object_mut(pod, &["spec", "nodeSelector"])
    {
        for (key, value) in wanted {
            if let Some(own) = selector.get(key).filter(|own| *own != value) {
                let (value, own) = (value.as_str().unwrap_or_default(), own.as_str().unwrap_or_default());
                return Err(format!(
                    "conflict: runtimeClass.scheduling.nodeSelector[{key}] = {value}; pod.spec.nodeSelector[{key}] = {own}"
                ));
            }
            selector.insert(key.clone(), value.clone());
        }
    }
    let more = items(scheduling, &["tolerations"]);
    if !more.is_empty()
        && let Some(spec) = object_mut(pod, &["spec"])
    {
        let list = spec.entry("tolerations").or_insert_with(|| json!([]));
        if let Value::Array(list) = list {
            for toleration in more {
                if !list.contains(toleration) {
                    list.push(toleration.clone());
                }
            }
        }
    }
    Ok(())
}

const OTHER_OVERHEAD: &str = "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead";

fn fixed_overhead(class: Option<&Value>) -> Option<&Value> {
    class.and_then(|class| at(class, &["overhead", "podFixed"]))
}

fn differ(a: Option<&Value>, b: Option<&Value>) -> bool {
    crate::resources::list(a) != crate::resources::list(b)
}

/// RuntimeClass, after validation: the pod's overhead is that of its class.
///
/// # Errors
/// Another overhead, or one without a class that has some.
pub fn runtime_class_overhead(pod: &Value, class: Option<&Value>) -> Result<(), Refusal> {
    let own = at(pod, &["spec", "overhead"]);
    match fixed_overhead(class) {
        Some(overhead) if differ(Some(overhead), own) => Err(OTHER_OVERHEAD.into()),
        None if own.is_some() => {
            Err("pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead".into())
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(name: &str, value: i64, default: bool) -> Value {
        json!({"metadata": {"name": name}, "value": value, "globalDefault": default, "preemptionPolicy": "Never"})
    }

    #[test]
    fn tolerations_are_added_unless_the_pod_has_its_own() {
        let mut pod =
            json!({"spec": {"tolerations": [{"key": "node.kubernetes.io/not-ready", "operator": "Exists"}]}});
        default_tolerations(&mut pod);
        let list = pod["spec"]["tolerations"].as_array().unwrap();
        assert_eq!(list.len(), 2);
        assert_eq!(list[1]["key"], "node.kubernetes.io/unreachable");
    }

    #[test]
    fn a_class_becomes_a_number() {
        let mut pod = json!({"spec": {"priorityClassName": "high"}});
        priority(&mut pod, &[class("high", 1000, false)]).unwrap();
        assert_eq!(
            (&pod["spec"]["priority"], &pod["spec"]["preemptionPolicy"]),
            (&json!(1000), &json!("Never"))
        );
        let mut plain = json!({"spec": {}});
        priority(&mut plain, &[class("a", 7, true), class("b", 3, true)]).unwrap();
        assert_eq!(
            (&plain["spec"]["priority"], &plain["spec"]["priorityClassName"]),
            (&json!(3), &json!("b"))
        );
        assert_eq!(
            priority(&mut json!({"spec": {"priorityClassName": "x"}}), &[]).unwrap_err(),
            "no PriorityClass with name x was found"
        );
        assert!(
            priority(&mut json!({"spec": {"priority": 5}}), &[])
                .unwrap_err()
                .starts_with("the integer value of priority (5)")
        );
    }

    #[test]
    fn overhead_comes_from_the_runtime_class_only() {
        let mut pod = json!({"spec": {"overhead": {"cpu": "1"}}});
        // What is wrong with the overhead itself is told first.
        runtime_class(&mut pod, None).unwrap();
        assert!(
            runtime_class_overhead(&pod, None).unwrap_err().contains("without corresponding RuntimeClass")
        );
        let class =
            json!({"overhead": {"podFixed": {"cpu": "250m"}}, "scheduling": {"nodeSelector": {"a": "b"}}});
        let mut pod = json!({"spec": {"runtimeClassName": "kata"}});
        runtime_class(&mut pod, Some(&class)).unwrap();
        assert_eq!(
            (&pod["spec"]["overhead"]["cpu"], &pod["spec"]["nodeSelector"]["a"]),
            (&json!("250m"), &json!("b"))
        );
    }
}
