//! Data sources of claims (`pkg/api/persistentvolumeclaim/util.go`).

use api::{Object, Value};

use crate::registry::obj;

/// When the phase of a volume changed last (`persistentvolumeStatusStrategy.PrepareForUpdate`).
pub(super) fn note_phase(volume: &mut Value, old: &Value) {
    const TIME: &str = "status.lastPhaseTransitionTime";
    let (told, before) = (obj::at(volume, TIME), obj::at(old, TIME));
    let same = obj::text_at(volume, "status.phase") == obj::text_at(old, "status.phase");
    let time = match (same, told) {
        (true, None) => before.cloned(),
        (false, told) if told.is_none() || told == before => Some(obj::now().into()),
        _ => return,
    };
    if let Some(time) = time {
        obj::child_mut(volume, "status").insert("lastPhaseTransitionTime".into(), time);
    }
}

fn field<'a>(spec: &'a Value, name: &str) -> Option<&'a Value> {
    spec.get(name).filter(|v| !v.is_null())
}

/// Whether the data source stands in another namespace.
fn elsewhere(reference: &Value) -> bool {
    !obj::text_at(reference, "namespace").is_empty()
}

/// `DropDisabledFields`: data sources in other namespaces are an alpha feature.
fn drop_disabled(spec: &mut Value, old: Option<&Value>) {
    let used = old.is_some_and(|old| field(old, "dataSourceRef").is_some());
    if !used && field(spec, "dataSourceRef").is_some_and(elsewhere) {
        obj::remove_field(spec, "dataSourceRef");
    }
}

/// `EnforceDataSourceBackwardsCompatibility`: what is neither a claim nor a snapshot may stand in `dataSourceRef`
/// only; as `dataSource` alone it is dropped.
fn drop_unknown_source(spec: &mut Value, old: Option<&Value>) {
    let has = |spec: &Value| ["dataSource", "dataSourceRef"].iter().any(|f| field(spec, f).is_some());
    if old.is_some_and(has) || field(spec, "dataSourceRef").is_some() {
        return;
    }
    let known = field(spec, "dataSource").is_some_and(|source| {
        matches!(
            (obj::text_at(source, "kind"), obj::text_at(source, "apiGroup")),
            ("PersistentVolumeClaim", "") | ("VolumeSnapshot", "snapshot.storage.k8s.io")
        )
    });
    if !known {
        obj::remove_field(spec, "dataSource");
    }
}

/// `NormalizeDataSources`: each of the two fields is filled from the other.
fn normalize(spec: &mut Value) {
    let source = field(spec, "dataSource").cloned();
    let reference = field(spec, "dataSourceRef").cloned();
    match (source, reference, spec) {
        (Some(source), None, Value::Object(spec)) => {
            spec.insert("dataSourceRef".into(), source);
        }
        (None, Some(mut reference), Value::Object(spec)) if !elsewhere(&reference) => {
            obj::remove_field(&mut reference, "namespace");
            spec.insert("dataSource".into(), reference);
        }
        _ => {}
    }
}

/// The fields of a claim that is created, or that takes the place of `old`.
pub(super) fn data_sources(claim: &mut Value, old: Option<&Value>) {
    let old = old.and_then(|old| obj::at(old, "spec"));
    let Some(spec) = claim.as_object_mut().map(|c| c.entry("spec").or_insert_with(|| Object::new().into()))
    else {
        return;
    };
    drop_disabled(spec, old);
    drop_unknown_source(spec, old);
    normalize(spec);
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn made(spec: Value, old: Option<Value>) -> Value {
        let mut claim = json!({"spec": spec});
        data_sources(&mut claim, old.map(|spec| json!({"spec": spec})).as_ref());
        claim["spec"].take()
    }

    /// Sources in other namespaces and of unknown kinds were kept.
    #[test]
    fn new_claims_lose_sources_that_nobody_fills() {
        let elsewhere = json!({"dataSourceRef": {"kind": "X", "name": "x", "namespace": "y"}});
        assert_eq!(made(elsewhere.clone(), None), json!({}));
        assert_eq!(made(elsewhere.clone(), Some(elsewhere.clone())), elsewhere);
        let unknown = json!({"dataSource": {"kind": "X", "name": "x"}});
        assert_eq!(made(unknown.clone(), None), json!({}));
        let claim = json!({"kind": "PersistentVolumeClaim", "name": "x"});
        let both = json!({"dataSource": claim, "dataSourceRef": claim});
        assert_eq!(made(json!({"dataSource": claim}), None), both);
        assert_eq!(made(json!({"dataSourceRef": claim}), None), both);
    }
}
