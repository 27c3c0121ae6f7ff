//! `metadata.managedFields`: managers and their field sets
//! (`apimachinery/pkg/util/managedfields/internal/managedfields.go`).

use std::collections::BTreeMap;

use api::field::go_quote;
use api::{Object, Value};

use super::fieldpath::Set;

/// What makes two entries the same manager.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ManagerId {
    /// `Apply`, or else `Update`.
    pub applies: bool,
    /// The name: `kubectl`, `kube-controller-manager`, …
    pub name: String,
    /// The version of an updater; appliers are one manager across versions, theirs is empty.
    pub version: String,
    /// `status`, `scale`, … or empty.
    pub subresource: String,
}

impl ManagerId {
    /// As conflicts print it: `"kubectl" with subresource "status" using apps/v1`.
    pub fn describe(&self) -> String {
        let mut text = go_quote(&self.name);
        if !self.subresource.is_empty() {
            text = format!("{text} with subresource {}", go_quote(&self.subresource));
        }
        if !self.applies {
            text = format!("{text} using {}", self.version);
        }
        text
    }
}

/// What a manager owns.
#[derive(Clone, Debug, PartialEq)]
pub struct Owned<'a> {
    /// The version in which the paths are written.
    pub version: String,
    /// RFC 3339, when the manager last changed something.
    pub time: Option<String>,
    /// The fields.
    pub set: Set<'a>,
}

/// All managers of an object.
pub type Managers<'a> = BTreeMap<ManagerId, Owned<'a>>;

/// A client that sends an empty list, or one empty entry, wants the managers forgotten.
pub fn is_reset(entries: Option<&Value>) -> bool {
    match entries.and_then(Value::as_array).map(Vec::as_slice) {
        Some([]) => true,
        Some([only]) => only.as_object().is_some_and(Object::is_empty),
        _ => false,
    }
}

/// Reads the entries; `None` when one of them is malformed.
pub fn decode(entries: Option<&Value>) -> Option<Managers<'_>> {
    let mut managers = Managers::new();
    for entry in entries.and_then(Value::as_array).into_iter().flatten() {
        let text = |name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let version = text("apiVersion");
        let applies = match text("operation").as_str() {
            "Apply" => true,
            "Update" => false,
            _ => return None,
        };
        if version.is_empty() || text("fieldsType") != "FieldsV1" {
            return None;
        }
        let set = match entry.get("fieldsV1") {
            Some(Value::Object(fields)) => Set::decode(fields)?,
            _ => Set::default(),
        };
        let id = ManagerId {
            applies,
            name: text("manager"),
            version: if applies { String::new() } else { version.clone() },
            subresource: text("subresource"),
        };
        let time = entry.get("time").and_then(Value::as_str).map(str::to_owned);
        managers.insert(id, Owned { version, time, set });
    }
    Some(managers)
}

/// Writes the entries in upstream's order: appliers first, then by time, name, version and subresource.
pub fn encode(managers: &Managers<'_>) -> Option<Value> {
    let mut list: Vec<(&ManagerId, &Owned<'_>)> = managers.iter().collect();
    list.sort_by(|(a, x), (b, y)| {
        (!a.applies, &x.time, &a.name, &x.version, &a.subresource).cmp(&(
            !b.applies,
            &y.time,
            &b.name,
            &y.version,
            &b.subresource,
        ))
    });
    let entries: Vec<Value> = list.into_iter().map(|(id, owned)| encode_entry(id, owned)).collect();
    if entries.is_empty() { None } else { Some(entries.into()) }
}

fn encode_entry(id: &ManagerId, owned: &Owned<'_>) -> Value {
    let mut entry = Object::new();
    let mut set = |name: &str, value: Value| entry.insert(name.to_owned(), value);
    set("apiVersion", owned.version.as_str().into());
    set("fieldsType", "FieldsV1".into());
    set("fieldsV1", owned.set.encode());
    set("manager", id.name.as_str().into());
    set("operation", if id.applies { "Apply" } else { "Update" }.into());
    if !id.subresource.is_empty() {
        set("subresource", id.subresource.as_str().into());
    }
    if let Some(time) = &owned.time {
        set("time", time.as_str().into());
    }
    Value::Object(entry)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn entries_read_back_in_upstreams_order() {
        let update = json!({"manager": "a", "operation": "Update", "apiVersion": "v1", "time": "2026-01-01T00:00:00Z",
            "fieldsType": "FieldsV1", "fieldsV1": {"f:data": {}}});
        let apply = json!({"manager": "b", "operation": "Apply", "apiVersion": "v1", "time": "2026-01-02T00:00:00Z",
            "fieldsType": "FieldsV1", "fieldsV1": {"f:data": {}}, "subresource": "status"});
        let entries = json!([update, apply]);
        let managers = decode(Some(&entries)).unwrap();
        assert_eq!(encode(&managers), Some(json!([apply, update])));
    }

    #[test]
    fn one_empty_entry_resets() {
        assert!(is_reset(Some(&json!([{}]))) && is_reset(Some(&json!([]))));
        assert!(!is_reset(None) && !is_reset(Some(&json!([{"manager": "x"}]))));
    }
}
