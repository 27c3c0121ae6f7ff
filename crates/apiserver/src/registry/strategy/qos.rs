//! The quality-of-service class of a pod (`pkg/apis/core/helper/qos`).

use api::Value;

use crate::registry::obj;

/// Guaranteed, Burstable or BestEffort.
pub fn class(pod: &Value) -> &'static str {
    let mut any = false;
    let mut guaranteed = true;
    for list in ["containers", "initContainers"] {
        let containers = obj::at(pod, "spec").and_then(|s| s.get(list)).and_then(Value::as_array);
        for container in containers.into_iter().flatten() {
            let amount = |of: &str, name: &str| {
                obj::at(container, "resources")
                    .and_then(|r| r.get(of))
                    .and_then(|r| r.get(name))
                    .filter(|v| !zero(v))
            };
            for name in ["cpu", "memory"] {
                let (request, limit) = (amount("requests", name), amount("limits", name));
                any |= request.is_some() || limit.is_some();
                guaranteed &= limit.is_some() && request.is_none_or(|r| Some(r) == limit);
            }
        }
    }
    match (any, guaranteed) {
        (false, _) => "BestEffort",
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
    }
}

fn zero(quantity: &Value) -> bool {
    match quantity {
        Value::String(s) => {
            s.trim_start_matches(['0', '.']).chars().next().is_none_or(|c| !c.is_ascii_digit())
        }
        Value::Number(n) => n.as_f64() == Some(0.0),
        _ => true,
    }
}
