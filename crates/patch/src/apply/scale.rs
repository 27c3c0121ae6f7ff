//! Managed fields of what is written through `/scale`: whoever owns the number in the object owns it in the scale, and the
//! other way (`managedfields/scalehandler.go`).

use api::Value;

use super::fieldpath::{Element, Set};
use super::managed::{self, ManagerId, Managers, Owned};

/// The version of the scale in which managers own the number.
pub const VERSION: &str = "autoscaling/v1";

/// Where each version of the object keeps the number; a version without a scale keeps none.
pub type Paths<'a> = [(String, Option<Vec<Element<'a>>>)];

fn one<'a>(path: &[Element<'a>]) -> Set<'a> {
    let mut set = Set::default();
    set.insert(path);
    set
}

fn replicas() -> Set<'static> {
    one(&[Element::field("spec"), Element::field("replicas")])
}

fn owns(set: &Set<'_>, path: &Set<'_>) -> bool {
    !set.intersection(path).is_empty()
}

/// Where a version keeps the number; the outer `None` is a version that is not known.
fn path_of<'a>(paths: &Paths<'a>, version: &str) -> Option<Option<Set<'a>>> {
    let (_, path) = paths.iter().find(|(v, _)| v == version)?;
    Some(path.as_deref().map(one))
}

/// The entries of the scale: of the object's managers, those that own the number.
pub fn to_scale(entries: Option<&Value>, paths: &Paths<'_>) -> Option<Value> {
    let mut managers = Managers::new();
    for (id, owned) in managed::decode(entries)? {
        let Some(Some(path)) = path_of(paths, &owned.version) else { continue };
        if owns(&owned.set, &path) {
            let id = ManagerId { version: if id.applies { String::new() } else { VERSION.to_owned() }, ..id };
            let owned = Owned { version: VERSION.to_owned(), set: replicas(), ..owned };
            managers.insert(id, owned);
        }
    }
    managed::encode(&managers)
}

/// The entries of the object after its scale was written through `version` of the object: who lost the number in the scale
/// loses it here, and who got it there has it here. Upstream gives the latter no time.
pub fn to_object(
    entries: Option<&Value>,
    scale: Option<&Value>,
    version: &str,
    paths: &Paths<'_>,
) -> Option<Value> {
    let mut managers = Managers::new();
    let mut of_scale = managed::decode(scale).unwrap_or_default();
    for (id, mut owned) in managed::decode(entries).unwrap_or_default() {
        let Some(path) = path_of(paths, &owned.version) else { continue };
        if let Some(path) = path.filter(|p| owns(&owned.set, p)) {
            // An updater is another one in the scale, which has another version.
            if of_scale.remove(&id).is_none() {
                owned.set = owned.set.difference(&path);
            }
        }
        if !owned.set.is_empty() {
            managers.insert(id, owned);
        }
    }
    if let Some(Some(path)) = path_of(paths, version) {
        for (id, _) in of_scale.into_iter().filter(|(_, o)| owns(&o.set, &replicas())) {
            managers.insert(id, Owned { version: version.to_owned(), time: None, set: path.clone() });
        }
    }
    managed::encode(&managers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn paths() -> Vec<(String, Option<Vec<Element<'static>>>)> {
        vec![("apps/v1".to_owned(), Some(vec![Element::field("spec"), Element::field("replicas")]))]
    }

    fn entry(manager: &str, version: &str, fields: Value) -> Value {
        json!({"manager": manager, "operation": "Apply", "apiVersion": version, "fieldsType": "FieldsV1",
            "time": "2026-01-01T00:00:00Z", "fieldsV1": fields})
    }

    #[test]
    fn the_number_changes_hands_and_nothing_else() {
        let spec = json!({"f:spec": {"f:replicas": {}, "f:paused": {}}});
        let object = json!([entry("a", "apps/v1", spec), entry("b", "apps/v1", json!({"f:data": {}}))]);
        let scale = to_scale(Some(&object), &paths()).unwrap();
        assert_eq!(scale, json!([entry("a", VERSION, json!({"f:spec": {"f:replicas": {}}}))]));
        assert_eq!(to_object(Some(&object), Some(&scale), "apps/v1", &paths()), Some(object.clone()));
        let taken = json!([{"manager": "c", "operation": "Update", "apiVersion": VERSION, "fieldsType": "FieldsV1",
            "time": "2026-01-02T00:00:00Z", "subresource": "scale", "fieldsV1": {"f:spec": {"f:replicas": {}}}}]);
        let after = to_object(Some(&object), Some(&taken), "apps/v1", &paths()).unwrap();
        assert_eq!(after[0], entry("a", "apps/v1", json!({"f:spec": {"f:paused": {}}})));
        assert_eq!(
            after[2],
            json!({"manager": "c", "operation": "Update", "apiVersion": "apps/v1", "fieldsType": "FieldsV1",
                "subresource": "scale", "fieldsV1": {"f:spec": {"f:replicas": {}}}})
        );
    }
}
