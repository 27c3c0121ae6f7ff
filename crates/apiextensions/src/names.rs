//! Which names a definition gets, and what its conditions say (`controller/status`, `controller/establish`).

use std::collections::HashSet;

use api::{Object, Value};
use serde_json::json;

use crate::definition::{condition, is_true};

/// The finalizer that keeps a definition until its objects are gone.
pub const FINALIZER: &str = "customresourcecleanup.apiextensions.k8s.io";

fn names<'a>(crd: &'a Value, path: [&str; 2]) -> Option<&'a Value> {
    crd.get(path[0])?.get(path[1])
}

fn text<'a>(names: Option<&'a Value>, field: &str) -> &'a str {
    names.and_then(|n| n.get(field)).and_then(Value::as_str).unwrap_or_default()
}

fn texts<'a>(names: Option<&'a Value>, field: &str) -> Vec<&'a str> {
    let list = names.and_then(|n| n.get(field)).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str).collect()
}

/// Everything that a resource is called by.
fn resources(names: Option<&Value>) -> impl Iterator<Item = &str> {
    let one = ["plural", "singular"].map(|field| text(names, field));
    one.into_iter().chain(texts(names, "shortNames"))
}

fn in_use(name: &str) -> String {
    format!("{} is already in use", api::field::go_quote(name))
}

/// Sets a condition; its time changes with its status only.
pub fn set_condition(status: &mut Object, new: Value) {
    let conditions = status.entry("conditions").or_insert_with(|| json!([]));
    if !conditions.is_array() {
        *conditions = json!([]);
    }
    let Some(list) = conditions.as_array_mut() else { return };
    let same_type = |c: &&mut Value| c.get("type") == new.get("type");
    match list.iter_mut().find(same_type) {
        Some(old) => {
            let time = old.get("lastTransitionTime").cloned();
            let keeps = old.get("status") == new.get("status");
            *old = new;
            if let (true, Some(time)) = (keeps, time) {
                old["lastTransitionTime"] = time;
            }
        }
        None => list.push(new),
    }
}

fn made(kind: &str, status: &str, reason: &str, message: &str, now: &str) -> Value {
    json!({"type": kind, "status": status, "lastTransitionTime": now, "reason": reason, "message": message})
}

/// The status that a definition gets, given all definitions (itself included or not); `None` when it has it already.
pub fn decide(crd: &Value, all: &[Value], now: &str) -> Option<Value> {
    let group = names(crd, ["spec", "group"]);
    let own = crd.get("metadata").and_then(|m| m.get("name"));
    let others = || {
        all.iter()
            .filter(|c| {
                names(c, ["spec", "group"]) == group && c.get("metadata").and_then(|m| m.get("name")) != own
            })
            .map(|c| names(c, ["status", "acceptedNames"]))
    };
    let resource_taken = |name: &str| others().flat_map(resources).any(|n| n == name);
    let kind_taken = |name: &str| others().any(|n| text(n, "kind") == name || text(n, "listKind") == name);

    let (wanted, accepted) = (names(crd, ["spec", "names"]), names(crd, ["status", "acceptedNames"]));
    let mut new = accepted.and_then(Value::as_object).cloned().unwrap_or_default();
    let mut conflict: Option<(&str, String)> = None;
    for (field, reason) in [("plural", "PluralConflict"), ("singular", "SingularConflict")] {
        let name = text(wanted, field);
        if name != text(accepted, field) && resource_taken(name) {
            conflict = Some((reason, in_use(name)));
        } else {
            set(&mut new, field, name);
        }
    }
    let (short, had) = (texts(wanted, "shortNames"), texts(accepted, "shortNames"));
    if short != had {
        let had: HashSet<&str> = had.into_iter().collect();
        let others: HashSet<&str> = others().flat_map(resources).collect();
        let taken = short.iter().filter(|n| !had.contains(*n) && others.contains(*n));
        let taken: Vec<String> = taken.map(|n| in_use(n)).collect();
        match taken.as_slice() {
            [] => set_list(&mut new, "shortNames", &short),
            [one] => conflict = Some(("ShortNamesConflict", one.clone())),
            many => conflict = Some(("ShortNamesConflict", format!("[{}]", many.join(", ")))),
        }
    }
    for (field, reason) in [("kind", "KindConflict"), ("listKind", "ListKindConflict")] {
        let name = text(wanted, field);
        if name != text(accepted, field) && kind_taken(name) {
            conflict = Some((reason, in_use(name)));
        } else {
            set(&mut new, field, name);
        }
    }
    set_list(&mut new, "categories", &texts(wanted, "categories"));

    let mut status = crd.get("status").and_then(Value::as_object).cloned().unwrap_or_default();
    let names_accepted = match &conflict {
        None => made("NamesAccepted", "True", "NoConflicts", "no conflicts found", now),
        Some((reason, message)) => made("NamesAccepted", "False", reason, message, now),
    };
    let established = if is_true(crd, "Established") {
        None
    } else if conflict.is_none() {
        Some(made("Established", "True", "InitialNamesAccepted", "the initial names have been accepted", now))
    } else if condition(crd, "Established").is_none() {
        Some(made("Established", "False", "NotAccepted", "not all names are accepted", now))
    } else {
        None
    };
    status.insert("acceptedNames".into(), new.into());
    set_condition(&mut status, names_accepted);
    if let Some(established) = established {
        set_condition(&mut status, established);
    }
    let status = Value::Object(status);
    (crd.get("status") != Some(&status)).then_some(status)
}

fn set(names: &mut Object, field: &str, value: &str) {
    // The two that Go always writes.
    if value.is_empty() && !matches!(field, "plural" | "kind") {
        names.remove(field);
    } else {
        names.insert(field.to_owned(), value.into());
    }
}

fn set_list(names: &mut Object, field: &str, values: &[&str]) {
    if values.is_empty() {
        names.remove(field);
    } else {
        names.insert(field.to_owned(), values.into());
    }
}

/// A definition that is to be deleted: it waits for its objects.
pub fn terminate(crd: &mut Value, now: &str) {
    if let Some(metadata) = crd.get_mut("metadata").and_then(Value::as_object_mut) {
        let list = metadata.entry("finalizers").or_insert_with(|| json!([]));
        if !list.is_array() {
            *list = json!([]);
        }
        if let Some(list) = list.as_array_mut().filter(|l| !l.iter().any(|f| f == FINALIZER)) {
            list.push(FINALIZER.into());
        }
    }
    let text = "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon";
    let condition = made("Terminating", "True", "InstanceDeletionPending", text, now);
    if let Some(status) = crd.get_mut("status").and_then(Value::as_object_mut) {
        set_condition(status, condition);
    }
}

/// The first status of a new definition (`PrepareForCreate`).
pub fn initial_status(crd: &mut Value) {
    crd["status"] =
        json!({"conditions": null, "acceptedNames": {"plural": "", "kind": ""}, "storedVersions": null});
    keep_stored_version(crd);
}

/// Notes the stored version among those that objects may be stored in (`PrepareForUpdate`).
pub fn keep_stored_version(crd: &mut Value) {
    let versions = names(crd, ["spec", "versions"]).and_then(Value::as_array).into_iter().flatten();
    let stored = versions.into_iter().find(|v| v.get("storage") == Some(&Value::Bool(true)));
    let Some(stored) = stored.and_then(|v| v.get("name")).cloned() else { return };
    let Some(status) = crd.get_mut("status").and_then(Value::as_object_mut) else { return };
    let list = status.entry("storedVersions").or_insert(Value::Null);
    match list {
        Value::Array(list) if list.contains(&stored) => {}
        Value::Array(list) => list.push(stored),
        other => *other = json!([stored]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crd(name: &str, plural: &str, kind: &str) -> Value {
        let names = json!({"plural": plural, "singular": kind.to_lowercase(), "kind": kind, "listKind": format!("{kind}List")});
        json!({"metadata": {"name": name}, "spec": {"group": "g.io", "names": names,
            "versions": [{"name": "v1", "storage": true}]}})
    }

    #[test]
    fn names_are_given_to_the_first() {
        let mut first = crd("things.g.io", "things", "Thing");
        initial_status(&mut first);
        assert_eq!(first["status"]["storedVersions"], json!(["v1"]));
        first["status"] = decide(&first, &[], "T").unwrap();
        assert!(is_true(&first, "Established") && is_true(&first, "NamesAccepted"));
        assert_eq!(decide(&first, &[first.clone()], "T2"), None);

        let mut second = crd("others.g.io", "others", "Thing");
        initial_status(&mut second);
        second["status"] = decide(&second, &[first.clone()], "T").unwrap();
        assert!(!is_true(&second, "Established"));
        let condition = condition(&second, "NamesAccepted").unwrap();
        assert_eq!(
            (&condition["reason"], &condition["message"]),
            (&json!("ListKindConflict"), &json!("\"ThingList\" is already in use"))
        );
    }
}
