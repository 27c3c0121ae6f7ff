use super::*;
use crate::apply::typed::{KeyField, ScalarKind, Shape};

/// A schema in miniature: names say how fields are owned.
#[derive(Clone)]
enum Fake {
    Object,
    Strings,
    Containers,
    Text,
    Atomic,
    Entries,
}

impl TypeSchema for Fake {
    fn shape(&self) -> Shape<'_> {
        match self {
            Fake::Object | Fake::Strings => Shape::Map,
            Fake::Containers => Shape::MapList(vec![KeyField { name: "name", default: None }]),
            Fake::Text => Shape::Scalar(ScalarKind::Any),
            Fake::Atomic => Shape::AtomicMap,
            Fake::Entries => Shape::AtomicList,
        }
    }

    fn field(&self, name: &str) -> Option<Fake> {
        match (self, name) {
            (Fake::Object, "data" | "labels") => Some(Fake::Strings),
            (Fake::Object, "containers") => Some(Fake::Containers),
            (Fake::Object, "selector") => Some(Fake::Atomic),
            (Fake::Object, "metadata" | "spec") => Some(Fake::Object),
            (Fake::Object, "managedFields") => Some(Fake::Entries),
            (Fake::Object, "bogus") => None,
            (Fake::Object, _) => Some(Fake::Text),
            _ => None,
        }
    }

    fn element(&self) -> Option<Fake> {
        match self {
            Fake::Strings | Fake::Atomic => Some(Fake::Text),
            Fake::Containers => Some(Fake::Object),
            _ => None,
        }
    }
}

struct OneVersion;

impl Versions for OneVersion {
    type Schema = Fake;
    fn schema(&self, version: &str) -> Option<Fake> {
        (version == "v1").then_some(Fake::Object)
    }
    fn convert(&self, object: &Object, _: &str, to: &str) -> Option<Object> {
        (to == "v1").then(|| object.clone())
    }
}

fn object(fields: Value) -> Object {
    let mut object =
        json!({"apiVersion": "v1", "kind": "Thing", "metadata": {"name": "x"}}).as_object().unwrap().clone();
    object.extend(fields.as_object().unwrap().clone());
    object
}

fn run(live: &Object, config: Value, manager: &str, force: bool) -> Result<Object, ApiError> {
    let reset = Set::default();
    let request = Request {
        versions: &OneVersion,
        version: "v1",
        subresource: "",
        manager,
        reset: &reset,
        empty: &Object::new(),
        now: "2026-01-01T00:00:00Z",
    };
    apply(live, &object(config), force, &request)
}

fn owner_fields(object: &Object, manager: &str) -> Value {
    let list = object["metadata"]["managedFields"].as_array().unwrap();
    list.iter().find(|e| e["manager"] == manager).map_or(Value::Null, |e| e["fieldsV1"].clone())
}

#[test]
fn appliers_own_what_they_set_and_lose_what_they_drop() {
    let one = run(&Object::new(), json!({"data": {"a": "1", "b": "1"}}), "m1", false).unwrap();
    assert_eq!(owner_fields(&one, "m1"), json!({"f:data": {"f:a": {}, "f:b": {}}}));
    let two = run(&one, json!({"data": {"c": "2"}}), "m2", false).unwrap();
    let three = run(&two, json!({"data": {"a": "1"}}), "m1", false).unwrap();
    assert_eq!(three["data"], json!({"a": "1", "c": "2"}));
    assert_eq!(owner_fields(&three, "m2"), json!({"f:data": {"f:c": {}}}));
}

#[test]
fn a_change_of_others_fields_is_a_conflict_unless_forced() {
    let one = run(&Object::new(), json!({"data": {"a": "1"}}), "m1", false).unwrap();
    let error = run(&one, json!({"data": {"a": "2"}}), "m2", false).unwrap_err();
    assert_eq!(error.message, "Apply failed with 1 conflict: conflict with \"m1\": .data.a");
    let forced = run(&one, json!({"data": {"a": "2"}}), "m2", true).unwrap();
    assert_eq!(owner_fields(&forced, "m1"), Value::Null);
    // The same value is shared without a conflict.
    let shared = run(&one, json!({"data": {"a": "1"}}), "m2", false).unwrap();
    assert_eq!(owner_fields(&shared, "m1"), owner_fields(&shared, "m2"));
}

#[test]
fn list_items_are_owned_by_key_and_atomic_maps_as_a_whole() {
    let config = json!({"containers": [{"name": "c", "image": "1"}], "selector": {"a": "b"}});
    let one = run(&Object::new(), config, "m1", false).unwrap();
    assert_eq!(
        owner_fields(&one, "m1"),
        json!({"f:containers": {"k:{\"name\":\"c\"}": {".": {}, "f:image": {}, "f:name": {}}}, "f:selector": {}})
    );
    let two = run(&one, json!({"containers": [{"name": "d"}]}), "m2", false).unwrap();
    let three = run(&two, json!({"containers": []}), "m1", false).unwrap();
    assert_eq!(three["containers"], json!([{"name": "d"}]));
}

#[test]
fn an_update_takes_ownership() {
    let mut created = object(json!({"data": {"a": "1"}}));
    let reset = Set::default();
    let mut request = Request {
        versions: &OneVersion,
        version: "v1",
        subresource: "",
        manager: "plain",
        reset: &reset,
        empty: &Object::new(),
        now: "2026-01-01T00:00:00Z",
    };
    update(&Object::new(), &mut created, &request);
    assert_eq!(owner_fields(&created, "plain"), json!({"f:data": {".": {}, "f:a": {}}}));
    created["metadata"]["uid"] = "u".into();
    let mut changed = created.clone();
    changed["data"]["a"] = "2".into();
    request.manager = "other";
    update(&created, &mut changed, &request);
    assert_eq!(owner_fields(&changed, "other"), json!({"f:data": {"f:a": {}}}));
    assert_eq!(owner_fields(&changed, "plain"), json!({"f:data": {}}));
    // An item without its key is no item: nobody manages such an object.
    changed.insert("containers".into(), json!([{"image": "x"}]));
    let before = changed.clone();
    update(&created, &mut changed, &request);
    assert!(entries(&before).is_some() && entries(&changed).is_none());
}

#[test]
fn what_does_not_fit_the_schema_is_refused() {
    let error = run(&Object::new(), json!({"bogus": 1}), "m", false).unwrap_err();
    assert_eq!(
        (error.code, error.message.as_str()),
        (
            500,
            "failed to create typed patch object (/x; /v1, Kind=Thing): .bogus: field not declared in schema"
        )
    );
}

#[test]
fn null_takes_no_fields_of_others_away() {
    let made = run(&Object::new(), json!({"data": {"a": "1"}, "containers": [{"name": "c"}]}), "one", false)
        .unwrap();
    let config = json!({"data": null, "containers": null, "metadata": null});
    let applied = run(&made, config.clone(), "two", false).unwrap();
    assert_eq!(
        (&applied["data"], &applied["containers"], &applied["metadata"]["name"]),
        (&json!({"a": "1"}), &json!([{"name": "c"}]), &json!("x"))
    );
    assert_eq!(owner_fields(&applied, "two"), json!({"f:containers": {}, "f:data": {}}));
    // Nor a conflict with itself.
    assert_eq!(run(&applied, config, "two", false).unwrap(), applied);
}

#[test]
fn an_object_that_does_not_fit_its_schema_takes_no_configuration() {
    let mut live = object(json!({"containers": [{"image": "x"}]}));
    live["metadata"]["uid"] = json!("u");
    let why = ".containers: element 0: associative list with keys has an element that omits all key fields [\"name\"] (and \
               doesn't have default values for any key fields)";
    // Its managers come first, before even the configuration is looked at.
    let error = run(&live, json!({"bogus": 1}), "m", false).unwrap_err();
    let how = "failed to create manager for existing fields: failed to convert new object (/x; /v1, Kind=Thing) to smd typed";
    assert_eq!((error.code, error.message), (500, format!("{how}: {why}")));
    live["metadata"]["managedFields"] = json!([{
        "manager": "m", "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": {"f:data": {}},
    }]);
    let error = run(&live, json!({"containers": [{"name": "c"}]}), "m", false).unwrap_err();
    let how = "failed to create typed live object (/x; /v1, Kind=Thing)";
    assert_eq!((error.code, error.message), (500, format!("{how}: {why}")));
}

/// Found by fuzzing: an object without metadata lost its managers, and the next apply had a conflict with itself.
#[test]
fn managers_are_kept_where_the_configuration_has_no_metadata() {
    let live = json!({"metadata": {}}).as_object().unwrap().clone();
    let applied = run(&live, json!({"data": {"a": "1"}, "metadata": null}), "m", false).unwrap();
    assert_eq!(owner_fields(&applied, "m"), json!({"f:data": {"f:a": {}}}));
}
