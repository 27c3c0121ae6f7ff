//! Lists of quantities (`v1.ResourceList`), and what a pod asks for in all (`k8s.io/component-helpers/resource`).

use std::collections::BTreeMap;

use api::Value;
use api::quantity::Quantity;

use crate::{items, text};

/// Quantities by resource name.
pub type ResourceList = BTreeMap<String, Quantity>;

/// Reads a resource list; what is no quantity was refused by validation before, and is left out.
pub fn list(value: Option<&Value>) -> ResourceList {
    let fields = value.and_then(Value::as_object).into_iter().flatten();
    fields.filter_map(|(name, q)| Some((name.clone(), quantity(q)?))).collect()
}

fn quantity(value: &Value) -> Option<Quantity> {
    match value {
        Value::String(text) => Quantity::parse(text).ok(),
        Value::Number(number) => Quantity::parse(&number.to_string()).ok(),
        _ => None,
    }
}

/// Adds quantity by quantity.
pub fn add(list: &mut ResourceList, more: &ResourceList) {
    for (name, quantity) in more {
        match list.get_mut(name) {
            Some(sum) => sum.add(quantity),
            None => {
                list.insert(name.clone(), quantity.clone());
            }
        }
    }
}

fn max(list: &mut ResourceList, other: &ResourceList) {
    for (name, quantity) in other {
        if list.get(name).is_none_or(|q| quantity > q) {
            list.insert(name.clone(), quantity.clone());
        }
    }
}

/// `a - b`, where a missing side counts as nothing; negative results become zero.
pub fn subtract(a: &ResourceList, b: &ResourceList) -> ResourceList {
    let mut result = a.clone();
    for (name, quantity) in b {
        let left = result.entry(name.clone()).or_insert_with(|| Quantity::from_int(0, quantity.format()));
        left.sub(quantity);
        if left.sign() < 0 {
            *left = Quantity::from_int(0, quantity.format());
        }
    }
    result
}

/// Requests or limits (`which`) of a whole pod: containers and sidecars together, or the greediest init container.
pub fn pod_total(pod: &Value, which: &str) -> ResourceList {
    let of = |container: &Value| list(container.get("resources").and_then(|r| r.get(which)));
    let mut total = ResourceList::new();
    for container in items(pod, &["spec", "containers"]) {
        add(&mut total, &of(container));
    }
    let (mut sidecars, mut init) = (ResourceList::new(), ResourceList::new());
    for container in items(pod, &["spec", "initContainers"]) {
        let own = of(container);
        if text(container, &["restartPolicy"]) == "Always" {
            add(&mut total, &own);
            add(&mut sidecars, &own);
            max(&mut init, &sidecars);
        } else {
            let mut with_sidecars = own;
            add(&mut with_sidecars, &sidecars);
            max(&mut init, &with_sidecars);
        }
    }
    max(&mut total, &init);
    // Resources of the pod itself win over those of its containers.
    for (name, quantity) in list(crate::at(pod, &["spec", "resources", which])) {
        if name == "cpu" || name == "memory" || name.starts_with("hugepages-") {
            total.insert(name, quantity);
        }
    }
    total
}

/// `a=1,b=2`, as refusals print it.
pub fn print(list: &ResourceList) -> String {
    let parts: Vec<String> = list.iter().map(|(name, quantity)| format!("{name}={quantity}")).collect();
    parts.join(",")
}

/// The list as it stands in an object.
pub fn to_value(list: &ResourceList) -> Value {
    list.iter().map(|(name, quantity)| (name.clone(), Value::from(quantity.to_string()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_pod_asks_for_its_containers_or_its_greediest_init_container() {
        let requests = |cpu: &str| json!({"requests": {"cpu": cpu}});
        let pod = json!({"spec": {
            "containers": [{"resources": requests("100m")}, {"resources": requests("200m")}],
            "initContainers": [{"restartPolicy": "Always", "resources": requests("50m")}, {"resources": requests("1")}],
        }});
        assert_eq!(print(&pod_total(&pod, "requests")), "cpu=1050m");
    }
}
