//! Defaults that only pods get, not pod templates (`SetDefaults_Pod`).

use std::collections::BTreeMap;

use super::object::{absent, child, has_entries, items, make, text};
use crate::quantity::Quantity;
use crate::{Object, Value};

type Amounts = BTreeMap<String, Quantity>;

/// `SetDefaults_Pod`
pub(super) fn pod(pod: &mut Object) {
    let Some(spec) = child(pod, "spec") else { return };
    for list in ["containers", "initContainers"] {
        for container in items(spec, list) {
            if let Some(resources) = child(container, "resources") {
                requests_from_limits(resources);
            }
        }
    }
    if spec.get("resources").is_some_and(Value::is_object) {
        pod_level_resources(spec);
    }
    absent(spec, "enableServiceLinks", true);
    if spec.get("hostNetwork").and_then(Value::as_bool).unwrap_or_default() {
        for list in ["containers", "initContainers"] {
            for port in items(spec, list).flat_map(|container| items(container, "ports")) {
                if port.get("hostPort").and_then(Value::as_i64).unwrap_or_default() == 0
                    && let Some(own) = port.get("containerPort").cloned().filter(|p| p.as_i64() != Some(0))
                {
                    port.insert("hostPort".to_owned(), own);
                }
            }
        }
    }
}

fn requests_from_limits(resources: &mut Object) {
    if !has_entries(resources, "limits") {
        return;
    }
    let Some(Value::Object(limits)) = resources.get("limits").cloned() else { return };
    if let Some(requests) = make(resources, "requests") {
        for (name, amount) in limits {
            requests.entry(name).or_insert(amount);
        }
    }
}

fn is_huge(name: &str) -> bool {
    name.starts_with("hugepages-")
}

/// `IsSupportedPodLevelResource`
fn is_supported(name: &str) -> bool {
    name == "cpu" || name == "memory" || is_huge(name)
}

/// `defaultHugePagePodLimits` and `defaultPodRequests`
fn pod_level_resources(spec: &mut Object) {
    let container_limits = aggregate(spec, "limits");
    let container_requests = aggregate(spec, "requests");
    let Some(resources) = child(spec, "resources") else { return };
    if has_entries(resources, "limits") || has_entries(resources, "requests") {
        let requested: Vec<String> =
            child(resources, "requests").map(|r| r.keys().cloned().collect()).unwrap_or_default();
        for (name, amount) in &container_limits {
            if is_huge(name) && !requested.contains(name) {
                add(resources, "limits", name, amount.to_string().into());
            }
        }
    }
    if !has_entries(resources, "limits") {
        return;
    }
    for (name, amount) in &container_requests {
        if is_supported(name) && !is_huge(name) {
            add(resources, "requests", name, amount.to_string().into());
        }
    }
    let Some(Value::Object(limits)) = resources.get("limits").cloned() else { return };
    for (name, amount) in limits.into_iter().filter(|(name, _)| is_supported(name)) {
        add(resources, "requests", &name, amount);
    }
}

fn add(resources: &mut Object, list: &str, name: &str, amount: Value) {
    if let Some(map) = make(resources, list) {
        map.entry(name.to_owned()).or_insert(amount);
    }
}

/// What all containers need together (`AggregateContainerRequests`, `AggregateContainerLimits`): the sum of
/// those that stay, or what one init container needs beside the sidecars started before it.
fn aggregate(spec: &Object, which: &str) -> Amounts {
    let amounts = |container: &Value| -> Amounts {
        let list = container.get("resources").and_then(|r| r.get(which)).and_then(Value::as_object);
        let parsed = list
            .into_iter()
            .flatten()
            .filter_map(|(name, amount)| Some((name.clone(), Quantity::parse(amount.as_str()?).ok()?)));
        parsed.collect()
    };
    let add = |total: &mut Amounts, more: &Amounts| {
        for (name, amount) in more {
            total.entry(name.clone()).or_default().add(amount);
        }
    };
    let list = |key| spec.get(key).and_then(Value::as_array).into_iter().flatten();
    let mut total = Amounts::new();
    for container in list("containers") {
        add(&mut total, &amounts(container));
    }
    let (mut sidecars, mut most) = (Amounts::new(), Amounts::new());
    for container in list("initContainers") {
        let mut own = amounts(container);
        if container.as_object().is_some_and(|c| text(c, "restartPolicy") == "Always") {
            add(&mut total, &own);
            add(&mut sidecars, &own);
            own = sidecars.clone();
        } else {
            add(&mut own, &sidecars);
        }
        larger(&mut most, own);
    }
    larger(&mut total, most);
    total
}

fn larger(total: &mut Amounts, other: Amounts) {
    for (name, amount) in other {
        match total.get(&name) {
            Some(own) if *own >= amount => {}
            _ => {
                total.insert(name, amount);
            }
        }
    }
}
