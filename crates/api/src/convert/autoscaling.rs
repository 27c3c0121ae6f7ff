//! Horizontal pod autoscalers: `v2` is the hub. `v1` keeps what it has no fields for in annotations, `v2beta1` has
//! flat metrics, `v2beta2` looks like `v2`.

use serde_json::{Value, json};

use super::{Steps, annotations, child, items, rename, take_annotation};
use crate::Object;
use crate::decode::{typed, zero};
use crate::json::go_json;
use crate::schema::{self, List, ListType, Type};

const METRICS: &str = "autoscaling.alpha.kubernetes.io/metrics";
const STATUSES: &str = "autoscaling.alpha.kubernetes.io/current-metrics";
const CONDITIONS: &str = "autoscaling.alpha.kubernetes.io/conditions";
const BEHAVIOR: &str = "autoscaling.alpha.kubernetes.io/behavior";
const ROUND_TRIP: [&str; 6] = [
    METRICS,
    STATUSES,
    CONDITIONS,
    BEHAVIOR,
    "autoscaling.alpha.kubernetes.io/scale-down-tolerance",
    "autoscaling.alpha.kubernetes.io/scale-up-tolerance",
];

/// The functions of a version.
pub(super) fn steps(version: &str) -> Option<Steps> {
    Some(match version {
        "v1" => Steps { to_hub: v1_to_hub, from_hub: v1_from_hub },
        "v2beta1" => Steps { to_hub: v2beta1_to_hub, from_hub: v2beta1_from_hub },
        "v2beta2" => Steps {
            to_hub: drop_round_trip,
            from_hub: |o| {
                cpu_last(o);
                Ok(())
            },
        },
        _ => Steps { to_hub: drop_round_trip, from_hub: |_| Ok(()) },
    })
}

/// Servers of the old versions stored autoscalers as `v1`, which has a field for one metric and an annotation for the
/// others: read back, the utilization of the processor came last.
fn cpu_last(o: &mut Object) {
    let Some(Value::Array(metrics)) = child(o, "spec").and_then(|spec| spec.get_mut("metrics")) else {
        return;
    };
    let utilization = |m: &Value| is_cpu(m) && !m["resource"]["target"]["averageUtilization"].is_null();
    let (cpu, mut others): (Vec<Value>, Vec<Value>) =
        std::mem::take(metrics).into_iter().partition(|m| utilization(m));
    others.extend(cpu.into_iter().next());
    *metrics = others;
}

fn drop_round_trip(o: &mut Object) -> Result<(), String> {
    for key in ROUND_TRIP {
        take_annotation(o, key);
    }
    Ok(())
}

fn cpu_utilization() -> Value {
    json!({"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization"}}})
}

// ---- flat metrics (annotations of v1, fields of v2beta1) and those of v2

/// Which flat fields hold a source's values, and how its metric is named.
struct Flat {
    source: &'static str,
    /// (flat, in `target` or `current`)
    spec: &'static [(&'static str, &'static str)],
    status: &'static [(&'static str, &'static str)],
    selector: Option<&'static str>,
}

const FLAT: [Flat; 5] = [
    Flat {
        source: "resource",
        spec: &[("targetAverageUtilization", "averageUtilization"), ("targetAverageValue", "averageValue")],
        status: &[
            ("currentAverageUtilization", "averageUtilization"),
            ("currentAverageValue", "averageValue"),
        ],
        selector: None,
    },
    Flat {
        source: "containerResource",
        spec: &[("targetAverageUtilization", "averageUtilization"), ("targetAverageValue", "averageValue")],
        status: &[
            ("currentAverageUtilization", "averageUtilization"),
            ("currentAverageValue", "averageValue"),
        ],
        selector: None,
    },
    Flat {
        source: "pods",
        spec: &[("targetAverageValue", "averageValue")],
        status: &[("currentAverageValue", "averageValue")],
        selector: Some("selector"),
    },
    Flat {
        source: "object",
        spec: &[("targetValue", "value"), ("averageValue", "averageValue")],
        status: &[("currentValue", "value"), ("averageValue", "averageValue")],
        selector: Some("selector"),
    },
    Flat {
        source: "external",
        spec: &[("targetValue", "value"), ("targetAverageValue", "averageValue")],
        status: &[("currentValue", "value"), ("currentAverageValue", "averageValue")],
        selector: Some("metricSelector"),
    },
];

/// One flat metric to v2's shape; `spec` tells targets from current values.
fn unflatten(metric: &mut Object, spec: bool) {
    for flat in &FLAT {
        let Some(source) = child(metric, flat.source) else { continue };
        if flat.source == "object" {
            rename(source, "target", "describedObject");
        }
        if let Some(selector) = flat.selector {
            let mut name = Object::new();
            name.insert("name".to_owned(), source.remove("metricName").unwrap_or_else(|| "".into()));
            name.extend(source.remove(selector).map(|s| ("selector".to_owned(), s)));
            source.insert("metric".to_owned(), name.into());
        }
        let mut target = Object::new();
        for (from, to) in if spec { flat.spec } else { flat.status } {
            target.extend(source.remove(*from).filter(|v| !v.is_null()).map(|v| ((*to).to_owned(), v)));
        }
        if !spec {
            source.insert("current".to_owned(), target.into());
            continue;
        }
        let ty = match flat.source {
            "pods" => "AverageValue",
            "object" if target.contains_key("averageValue") => "AverageValue",
            "object" => "Value",
            "external" if target.contains_key("value") => "Value",
            _ if target.contains_key("averageUtilization") => "Utilization",
            _ => "AverageValue",
        };
        // The flat type of objects cannot leave the value away.
        let is_zero = target.get("value").and_then(Value::as_str) == Some("0");
        if flat.source == "object" && ty == "AverageValue" && is_zero {
            target.remove("value");
        }
        target.insert("type".to_owned(), ty.into());
        source.insert("target".to_owned(), target.into());
    }
}

/// One metric of v2 to the flat shape.
fn flatten(metric: &mut Object, spec: bool) {
    for flat in &FLAT {
        let Some(source) = child(metric, flat.source) else { continue };
        let values = match source.remove(if spec { "target" } else { "current" }) {
            Some(Value::Object(values)) => values,
            _ => Object::new(),
        };
        if flat.source == "object" {
            rename(source, "describedObject", "target");
        }
        for (to, from) in if spec { flat.spec } else { flat.status } {
            source.extend(values.get(*from).filter(|v| !v.is_null()).map(|v| ((*to).to_owned(), v.clone())));
        }
        if let (Some(selector), Some(Value::Object(mut name))) = (flat.selector, source.remove("metric")) {
            source.insert("metricName".to_owned(), name.remove("name").unwrap_or_default());
            source.extend(name.remove("selector").map(|s| (selector.to_owned(), s)));
        }
    }
}

fn v2beta1_to_hub(o: &mut Object) -> Result<(), String> {
    if let Some(spec) = child(o, "spec") {
        items(spec, "metrics").for_each(|m| unflatten(m, true));
    }
    if let Some(status) = child(o, "status") {
        items(status, "currentMetrics").for_each(|m| unflatten(m, false));
    }
    behavior_from_annotation(o);
    drop_round_trip(o)
}

fn v2beta1_from_hub(o: &mut Object) -> Result<(), String> {
    drop_round_trip(o)?;
    cpu_last(o);
    if let Some(spec) = child(o, "spec") {
        items(spec, "metrics").for_each(|m| flatten(m, true));
    }
    if let Some(status) = child(o, "status") {
        items(status, "currentMetrics").for_each(|m| flatten(m, false));
    }
    behavior_to_annotation(o, &RULE[..3]);
    Ok(())
}

// ---- behavior in an annotation: upstream writes its internal type, whose fields have Go's names

const RULES: [&str; 2] = ["ScaleUp", "ScaleDown"];
const RULE: [&str; 4] = ["StabilizationWindowSeconds", "SelectPolicy", "Policies", "Tolerance"];
const POLICY: [&str; 3] = ["Type", "Value", "PeriodSeconds"];

fn json_name(go: &str) -> String {
    let mut name = go.to_owned();
    name[..1].make_ascii_lowercase();
    name
}

/// An object with Go's names and order; missing fields are null.
fn with_go_names(o: &Value, names: &[&str], field: impl Fn(&str, &Value) -> String) -> String {
    if o.is_null() {
        return "null".to_owned();
    }
    let parts = names.iter().map(|go| {
        let value = o.get(json_name(go)).unwrap_or(&Value::Null);
        format!("\"{go}\":{}", field(go, value))
    });
    format!("{{{}}}", parts.collect::<Vec<_>>().join(","))
}

/// `fields` are those of a rule that are written in any case: servers of v2beta1 had no tolerance.
fn behavior_to_annotation(o: &mut Object, fields: &[&str]) {
    let Some(behavior) = child(o, "spec").and_then(|spec| spec.remove("behavior")).filter(|b| !b.is_null())
    else {
        return;
    };
    let text = with_go_names(&behavior, &RULES, |_, rules| {
        let fields = if rules["tolerance"].is_null() { fields } else { &RULE };
        with_go_names(rules, fields, |name, value| match (name, value) {
            ("Policies", Value::Array(list)) => {
                let list = list.iter().map(|p| with_go_names(p, &POLICY, |_, v| v.to_string()));
                format!("[{}]", list.collect::<Vec<_>>().join(","))
            }
            _ => value.to_string(),
        })
    });
    if let Some(map) = annotations(o) {
        map.insert(BEHAVIOR.to_owned(), text.into());
    }
}

/// Go reads field names in any case.
fn get<'a>(o: &'a Value, go: &str) -> &'a Value {
    let found = o.as_object().and_then(|o| o.iter().find(|(name, _)| name.eq_ignore_ascii_case(go)));
    found.map_or(&Value::Null, |(_, value)| value)
}

fn with_json_names(o: &Value, names: &[&str], field: impl Fn(&str, &Value) -> Value) -> Object {
    let set = names.iter().map(|go| (*go, get(o, go))).filter(|(_, v)| !v.is_null());
    set.map(|(go, v)| (json_name(go), field(go, v))).collect()
}

fn behavior_from_annotation(o: &mut Object) {
    let text = o.get("metadata").and_then(|m| m.get("annotations")?.get(BEHAVIOR)?.as_str());
    let Some(parsed) = text.and_then(|t| serde_json::from_str::<Value>(t).ok()) else { return };
    let behavior = with_json_names(&parsed, &RULES, |_, rules| {
        let rules = with_json_names(rules, &RULE, |name, value| match (name, value) {
            ("Policies", Value::Array(list)) => {
                list.iter().map(|p| Value::Object(with_json_names(p, &POLICY, |_, v| v.clone()))).collect()
            }
            _ => value.clone(),
        });
        Value::Object(rules)
    });
    // Only well-formed data becomes fields.
    let ty = schema::builtin().by_name("io.k8s.api.autoscaling.v2.HorizontalPodAutoscalerBehavior");
    let behavior = Value::Object(behavior);
    let sound = ty.is_some_and(|ty| {
        typed(schema::builtin(), &Type::Struct(ty), behavior.to_string().as_bytes(), false).is_ok()
    });
    if sound
        && behavior.as_object().is_some_and(|b| !b.is_empty())
        && let Some(spec) = child(o, "spec")
    {
        spec.insert("behavior".to_owned(), behavior);
    }
}

// ---- v1

fn list_of(name: &str) -> Option<Type> {
    let id = schema::builtin().by_name(&format!("io.k8s.api.autoscaling.v1.{name}"))?;
    let kind = ListType::Atomic;
    Some(Type::List(Box::new(List { item: Type::Struct(id), kind, declared: false, go_type: None })))
}

/// A list kept as JSON in an annotation.
fn read_annotation(o: &Object, key: &str, ty: &str) -> Option<Vec<Value>> {
    let text = o.get("metadata")?.get("annotations")?.get(key)?.as_str()?;
    match typed(schema::builtin(), &list_of(ty)?, text.as_bytes(), false).ok()?.value {
        Value::Array(list) => Some(list),
        _ => Some(Vec::new()),
    }
}

fn write_annotation(o: &mut Object, key: &str, ty: &str, list: Vec<Value>) {
    let Some(ty) = list_of(ty) else { return };
    let mut list = Value::Array(list);
    zero::normalise(schema::builtin(), &ty, &mut list);
    let text = go_json(schema::builtin(), &ty, &list);
    if let Some(map) = annotations(o) {
        map.insert(key.to_owned(), text.into());
    }
}

fn unflatten_all(list: Vec<Value>, spec: bool) -> Vec<Value> {
    let each = list.into_iter().map(|mut metric| {
        if let Some(metric) = metric.as_object_mut() {
            unflatten(metric, spec);
        }
        metric
    });
    each.collect()
}

fn v1_to_hub(o: &mut Object) -> Result<(), String> {
    let utilization = child(o, "spec").and_then(|s| s.remove("targetCPUUtilizationPercentage"));
    let mut metrics = unflatten_all(read_annotation(o, METRICS, "MetricSpec").unwrap_or_default(), true);
    if let Some(utilization) = utilization.filter(|u| !u.is_null()) {
        let mut metric = cpu_utilization();
        metric["resource"]["target"]["averageUtilization"] = utilization;
        metrics.push(metric);
    }
    if metrics.is_empty() {
        let mut metric = cpu_utilization();
        metric["resource"]["target"]["averageUtilization"] = 80.into();
        metrics.push(metric);
    }
    behavior_from_annotation(o);
    let statuses = read_annotation(o, STATUSES, "MetricStatus").map(|list| unflatten_all(list, false));
    let conditions = read_annotation(o, CONDITIONS, "HorizontalPodAutoscalerCondition");
    if let Some(spec) = child(o, "spec") {
        spec.insert("metrics".to_owned(), metrics.into());
    }
    if let Some(status) = child(o, "status") {
        let current = status.remove("currentCPUUtilizationPercentage").filter(|c| !c.is_null());
        let current = current.map(|current| {
            json!([{"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": current}}}])
        });
        if let Some(list) = statuses.map(Value::Array).or(current) {
            status.insert("currentMetrics".to_owned(), list);
        }
        if let Some(conditions) = conditions {
            status.insert("conditions".to_owned(), conditions.into());
        }
    }
    drop_round_trip(o)
}

fn is_cpu(metric: &Value) -> bool {
    metric["type"] == "Resource" && metric["resource"]["name"] == "cpu"
}

fn v1_from_hub(o: &mut Object) -> Result<(), String> {
    drop_round_trip(o)?;
    let take = |o: &mut Object, part: &str, key: &str| match child(o, part).and_then(|p| p.remove(key)) {
        Some(Value::Array(list)) => list,
        _ => Vec::new(),
    };
    let metrics = take(o, "spec", "metrics");
    let statuses = take(o, "status", "currentMetrics");
    let conditions = take(o, "status", "conditions");

    let utilization = |m: &Value, part: &str| {
        let value = m["resource"][part]["averageUtilization"].clone();
        (is_cpu(m) && !value.is_null()).then_some(value)
    };
    let target = metrics.iter().find_map(|m| utilization(m, "target"));
    let current = statuses.iter().rev().find_map(|m| utilization(m, "current"));
    if let (Some(target), Some(spec)) = (target, child(o, "spec")) {
        spec.insert("targetCPUUtilizationPercentage".to_owned(), target);
    }
    if let (Some(current), Some(status)) = (current, child(o, "status")) {
        status.insert("currentCPUUtilizationPercentage".to_owned(), current);
    }
    let flat = |list: Vec<Value>, spec: bool| -> Vec<Value> {
        let each = list.into_iter().map(|mut metric| {
            if let Some(metric) = metric.as_object_mut() {
                flatten(metric, spec);
            }
            metric
        });
        each.collect()
    };
    let others: Vec<Value> = metrics.into_iter().filter(|m| utilization(m, "target").is_none()).collect();
    if !others.is_empty() {
        write_annotation(o, METRICS, "MetricSpec", flat(others, true));
    }
    if !statuses.is_empty() {
        write_annotation(o, STATUSES, "MetricStatus", flat(statuses, false));
    }
    behavior_to_annotation(o, &RULE);
    if !conditions.is_empty() {
        write_annotation(o, CONDITIONS, "HorizontalPodAutoscalerCondition", conditions);
    }
    Ok(())
}
