//! LimitRanger: defaults and bounds from the namespace's LimitRanges (`plugin/pkg/admission/limitranger`).

use std::collections::HashSet;

use api::Value;
use api::quantity::Quantity;

use crate::resources::{self, ResourceList};
use crate::{items, object_mut, text};

const ANNOTATION: &str = "kubernetes.io/limit-ranger";
/// Beyond this, upstream compares whole units instead of thousandths (`resource.MaxMilliValue`).
const MILLI_MAX: i64 = i64::MAX / 1000;

/// Fills in the requests and limits that containers lack, and notes so in an annotation.
pub fn default_pod(pod: &mut Value, range: &Value) {
    let mut defaults: [(&str, ResourceList); 2] =
        [("limits", ResourceList::new()), ("requests", ResourceList::new())];
    for limit in items(range, &["spec", "limits"]).iter().filter(|l| text(l, &["type"]) == "Container") {
        defaults[0].1.extend(resources::list(limit.get("default")));
        defaults[1].1.extend(resources::list(limit.get("defaultRequest")));
    }
    let mut notes = Vec::new();
    for (field, what) in [("containers", "container"), ("initContainers", "init container")] {
        let Some(Value::Array(containers)) = object_mut(pod, &["spec"]).and_then(|s| s.get_mut(field)) else {
            continue;
        };
        for container in containers {
            let name = text(container, &["name"]).to_owned();
            let mut set: Vec<(&str, Vec<String>)> = Vec::new();
            for (which, defaults) in &defaults {
                if defaults.is_empty() {
                    continue;
                }
                let Some(list) = object_mut(container, &["resources", which]) else { continue };
                let missing: Vec<String> =
                    defaults.keys().filter(|k| !list.contains_key(*k)).cloned().collect();
                for key in &missing {
                    if let Some(quantity) = defaults.get(key) {
                        list.insert(key.clone(), quantity.to_string().into());
                    }
                }
                set.push((which, missing));
            }
            // Requests are noted before limits.
            for (which, names) in set.iter().rev().filter(|(_, names)| !names.is_empty()) {
                let word = which.trim_end_matches('s');
                notes.push(format!("{} {word} for {what} {name}", names.join(", ")));
            }
        }
    }
    if !notes.is_empty()
        && let Some(annotations) = object_mut(pod, &["metadata", "annotations"])
    {
        annotations.insert(ANNOTATION.into(), format!("LimitRanger plugin set: {}", notes.join("; ")).into());
    }
}

/// What of a pod is out of the range's bounds; in upstream's words, empty when all is well.
pub fn check_pod(pod: &Value, range: &Value) -> Vec<String> {
    let mut errors = Vec::new();
    for limit in items(range, &["spec", "limits"]) {
        let kind = text(limit, &["type"]);
        match kind {
            "Container" => {
                for field in ["containers", "initContainers"] {
                    for container in items(pod, &["spec", field]) {
                        let of =
                            |which| resources::list(container.get("resources").and_then(|r| r.get(which)));
                        check(limit, kind, &of("requests"), &of("limits"), &mut errors);
                    }
                }
            }
            "Pod" => {
                let (requests, limits) =
                    (resources::pod_total(pod, "requests"), resources::pod_total(pod, "limits"));
                check(limit, kind, &requests, &limits, &mut errors);
            }
            _ => {}
        }
    }
    errors
}

/// The same for a claim: only what it requests counts.
pub fn check_claim(claim: &Value, range: &Value) -> Vec<String> {
    let mut errors = Vec::new();
    let requests = resources::list(crate::at(claim, &["spec", "resources", "requests"]));
    for limit in items(range, &["spec", "limits"]) {
        let kind = text(limit, &["type"]);
        if kind != "PersistentVolumeClaim" {
            continue;
        }
        for (name, bound) in resources::list(limit.get("min")) {
            errors.extend(minimum(kind, &name, &bound, &requests, &ResourceList::new()));
        }
        for (name, bound) in resources::list(limit.get("max")) {
            match requests.get(&name) {
                None => errors
                    .push(format!("maximum {name} usage per {kind} is {bound}.  No request is specified")),
                Some(request) if more(request, &bound) => {
                    errors.push(format!(
                        "maximum {name} usage per {kind} is {bound}, but request is {request}"
                    ));
                }
                Some(_) => {}
            }
        }
    }
    errors
}

/// Several refusals in one, as upstream aggregates errors.
pub fn aggregate(errors: &[String]) -> Option<String> {
    match errors {
        [] => None,
        [one] => Some(one.clone()),
        many => {
            let mut seen = HashSet::new();
            let texts: Vec<&str> = many.iter().map(String::as_str).filter(|e| seen.insert(*e)).collect();
            Some(if texts.len() == 1 { texts.concat() } else { format!("[{}]", texts.join(", ")) })
        }
    }
}

fn check(
    limit: &Value,
    kind: &str,
    requests: &ResourceList,
    limits: &ResourceList,
    errors: &mut Vec<String>,
) {
    for (name, bound) in resources::list(limit.get("min")) {
        errors.extend(minimum(kind, &name, &bound, requests, limits));
    }
    for (name, bound) in resources::list(limit.get("max")) {
        errors.extend(maximum(kind, &name, &bound, requests, limits));
    }
    for (name, bound) in resources::list(limit.get("maxLimitRequestRatio")) {
        errors.extend(ratio(kind, &name, &bound, requests, limits));
    }
}

/// `a > b` in thousandths, or in whole units where thousandths would overflow.
fn more(a: &Quantity, b: &Quantity) -> bool {
    if a.value() <= MILLI_MAX && b.value() <= MILLI_MAX {
        a.milli_value() > b.milli_value()
    } else {
        a.value() > b.value()
    }
}

fn minimum(
    kind: &str,
    name: &str,
    bound: &Quantity,
    requests: &ResourceList,
    limits: &ResourceList,
) -> Option<String> {
    let head = format!("minimum {name} usage per {kind} is {bound}");
    let Some(request) = requests.get(name) else { return Some(format!("{head}.  No request is specified")) };
    if more(bound, request) {
        return Some(format!("{head}, but request is {request}"));
    }
    limits.get(name).filter(|l| more(bound, l)).map(|l| format!("{head}, but limit is {l}"))
}

fn maximum(
    kind: &str,
    name: &str,
    bound: &Quantity,
    requests: &ResourceList,
    limits: &ResourceList,
) -> Option<String> {
    let head = format!("maximum {name} usage per {kind} is {bound}");
    let Some(limit) = limits.get(name) else { return Some(format!("{head}.  No limit is specified")) };
    if more(limit, bound) {
        return Some(format!("{head}, but limit is {limit}"));
    }
    requests.get(name).filter(|r| more(r, bound)).map(|r| format!("{head}, but request is {r}"))
}

fn ratio(
    kind: &str,
    name: &str,
    bound: &Quantity,
    requests: &ResourceList,
    limits: &ResourceList,
) -> Option<String> {
    let head = format!("{name} max limit to request ratio per {kind} is {bound}");
    let Some(request) = requests.get(name).filter(|r| !r.is_zero()) else {
        return Some(format!("{head}, but no request is specified or request is 0"));
    };
    let Some(limit) = limits.get(name).filter(|l| !l.is_zero()) else {
        return Some(format!("{head}, but no limit is specified or limit is 0"));
    };
    let whole = request.value() > MILLI_MAX || limit.value() > MILLI_MAX || bound.value() > MILLI_MAX;
    let (limit, request) = if whole {
        (limit.value() as f64, request.value() as f64)
    } else {
        (limit.milli_value() as f64, request.milli_value() as f64)
    };
    let observed = limit / request;
    let allowed =
        if bound.value() <= MILLI_MAX { bound.milli_value() as f64 / 1000.0 } else { bound.value() as f64 };
    (observed > allowed).then(|| format!("{head}, but provided ratio is {observed:.6}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn missing_resources_are_filled_in_and_noted() {
        let range = json!({"spec": {"limits": [{"type": "Container", "default": {"cpu": "1", "memory": "1Gi"}, "defaultRequest": {"cpu": "100m"}}]}});
        let mut pod = json!({"metadata": {}, "spec": {"containers": [{"name": "c", "resources": {"limits": {"cpu": "2"}}}]}});
        default_pod(&mut pod, &range);
        assert_eq!(
            pod["spec"]["containers"][0]["resources"],
            json!({"limits": {"cpu": "2", "memory": "1Gi"}, "requests": {"cpu": "100m"}})
        );
        assert_eq!(
            pod["metadata"]["annotations"][ANNOTATION],
            "LimitRanger plugin set: cpu request for container c; memory limit for container c"
        );
    }

    #[test]
    fn bounds_are_refused_in_upstreams_words() {
        let range = json!({"spec": {"limits": [{"type": "Container", "max": {"cpu": "1"}, "min": {"memory": "64Mi"}, "maxLimitRequestRatio": {"cpu": "2"}}]}});
        let pod = json!({"spec": {"containers": [{"name": "c", "resources": {"limits": {"cpu": "2"}, "requests": {"cpu": "500m", "memory": "32Mi"}}}]}});
        assert_eq!(
            check_pod(&pod, &range),
            [
                "minimum memory usage per Container is 64Mi, but request is 32Mi",
                "maximum cpu usage per Container is 1, but limit is 2",
                "cpu max limit to request ratio per Container is 2, but provided ratio is 4.000000",
            ]
        );
    }
}
