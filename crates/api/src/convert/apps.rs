//! Workloads: what moved between fields and annotations.

use serde_json::json;

use super::{Steps, annotations, child, take_annotation};
use crate::field::go_quote;
use crate::{Object, Value};

const ROLLBACK: &str = "deprecated.deployment.rollback.to";
const TEMPLATE_GENERATION: &str = "deprecated.daemonset.template.generation";

/// Takes the annotation away that stands for a field of daemon sets.
pub fn hide_template_generation(metadata: &mut Value) {
    let Some(metadata) = metadata.as_object_mut() else { return };
    let Some(Value::Object(annotations)) = metadata.get_mut("annotations") else { return };
    if annotations.remove(TEMPLATE_GENERATION).is_some() && annotations.is_empty() {
        metadata.remove("annotations");
    }
}

fn same(_: &mut Object) -> Result<(), String> {
    Ok(())
}

/// The functions of a version of `apps` or `extensions`.
pub(super) fn steps(group: &str, version: &str, kind: &str) -> Option<Steps> {
    match (group, version, kind) {
        ("extensions", _, "Deployment") | ("apps", "v1beta1", "Deployment") => {
            Some(Steps { to_hub: old_deployment_to_hub, from_hub: old_deployment_from_hub })
        }
        ("apps", _, "Deployment") => Some(Steps { to_hub: check_rollback, from_hub: same }),
        ("extensions", _, "DaemonSet") => {
            Some(Steps { to_hub: old_daemon_set_to_hub, from_hub: old_daemon_set_from_hub })
        }
        ("apps", "v1beta1", "StatefulSet") => Some(Steps { to_hub: same, from_hub: counted_from_zero }),
        ("apps", _, "DaemonSet") => Some(Steps { to_hub: check_template_generation, from_hub: same }),
        _ => None,
    }
}

/// The observed generation is a pointer in `v1beta1`, which upstream always sets.
fn counted_from_zero(o: &mut Object) -> Result<(), String> {
    if let Some(status) = child(o, "status") {
        status.entry("observedGeneration").or_insert_with(|| 0.into());
    }
    Ok(())
}

fn parse_int(text: &str) -> Result<i64, String> {
    text.parse().map_err(|e: std::num::ParseIntError| {
        let why = match e.kind() {
            std::num::IntErrorKind::PosOverflow | std::num::IntErrorKind::NegOverflow => "value out of range",
            _ => "invalid syntax",
        };
        format!("strconv.ParseInt: parsing {}: {why}", go_quote(text))
    })
}

/// New versions keep `rollbackTo` in an annotation, which must be a number.
fn check_rollback(o: &mut Object) -> Result<(), String> {
    let value = o.get("metadata").and_then(|m| m.get("annotations")?.get(ROLLBACK)?.as_str());
    match value.map(str::to_owned) {
        None => Ok(()),
        Some(text) if text.is_empty() => {
            take_annotation(o, ROLLBACK);
            Ok(())
        }
        Some(text) => match parse_int(&text) {
            Ok(_) => Ok(()),
            Err(why) => Err(format!("failed to parse annotation[{ROLLBACK}]={text} as int64: {why}")),
        },
    }
}

fn old_deployment_to_hub(o: &mut Object) -> Result<(), String> {
    take_annotation(o, ROLLBACK);
    let rollback = child(o, "spec").and_then(|spec| spec.remove("rollbackTo")).filter(|v| !v.is_null());
    if let (Some(rollback), Some(map)) = (rollback, annotations_if(o, true)) {
        let revision = rollback.get("revision").and_then(Value::as_i64).unwrap_or_default();
        map.insert(ROLLBACK.to_owned(), revision.to_string().into());
    }
    Ok(())
}

fn annotations_if(o: &mut Object, wanted: bool) -> Option<&mut Object> {
    if wanted { annotations(o) } else { None }
}

fn old_deployment_from_hub(o: &mut Object) -> Result<(), String> {
    if let Some(revision) = take_annotation(o, ROLLBACK).and_then(|text| text.parse::<i64>().ok())
        && let Some(spec) = child(o, "spec")
    {
        spec.insert("rollbackTo".to_owned(), json!({"revision": revision}));
    }
    Ok(())
}

/// New versions keep `templateGeneration` in an annotation, which is always there.
fn check_template_generation(o: &mut Object) -> Result<(), String> {
    let value = o.get("metadata").and_then(|m| m.get("annotations")?.get(TEMPLATE_GENERATION)?.as_str());
    let number = match value {
        Some(text) => parse_int(text)?,
        None => 0,
    };
    if let Some(map) = annotations(o) {
        map.insert(TEMPLATE_GENERATION.to_owned(), number.to_string().into());
    }
    Ok(())
}

fn old_daemon_set_to_hub(o: &mut Object) -> Result<(), String> {
    let number =
        child(o, "spec").and_then(|spec| spec.remove("templateGeneration")?.as_i64()).unwrap_or_default();
    if let Some(map) = annotations(o) {
        map.insert(TEMPLATE_GENERATION.to_owned(), number.to_string().into());
    }
    Ok(())
}

fn old_daemon_set_from_hub(o: &mut Object) -> Result<(), String> {
    let number = take_annotation(o, TEMPLATE_GENERATION).and_then(|text| text.parse::<i64>().ok());
    if let (Some(number), Some(spec)) = (number, child(o, "spec")) {
        spec.insert("templateGeneration".to_owned(), number.into());
    }
    Ok(())
}
