use super::*;
use serde_json::json;

/// A schema in miniature: a field's name says how it merges.
#[derive(Clone)]
struct Fake;

impl Lookup for Fake {
    fn field(&self, name: &str) -> Option<FieldMeta<Fake>> {
        let (merge, replace, key) = match name {
            "containers" | "env" | "volumes" => (true, false, Some("name")),
            "ports" => (true, false, Some("port")),
            "finalizers" => (true, false, None),
            "selector" => (false, true, None),
            "unknown" => return None,
            _ => (false, false, None),
        };
        Some(FieldMeta { schema: Fake, merge, replace, merge_key: key.map(str::to_owned) })
    }

    fn name(&self) -> String {
        "fake.Type".to_owned()
    }
}

fn patched(object: Value, patch: Value) -> Result<Value, ApiError> {
    let (Value::Object(object), Value::Object(mut patch)) = (object, patch) else {
        panic!("objects, please")
    };
    apply(object, &mut patch, &Fake).map(Value::Object)
}

#[test]
fn items_merge_by_key_and_keep_their_place() {
    let object = json!({"containers": [{"name": "a", "image": "1"}, {"name": "b", "image": "1"}]});
    let patch = json!({"containers": [{"name": "b", "image": "2"}, {"name": "c", "image": "1"}]});
    assert_eq!(
        patched(object, patch).unwrap(),
        json!({"containers": [{"name": "a", "image": "1"}, {"name": "b", "image": "2"}, {"name": "c", "image": "1"}]})
    );
}

#[test]
fn lists_without_strategy_are_replaced() {
    assert_eq!(patched(json!({"args": ["x"]}), json!({"args": ["y"]})).unwrap(), json!({"args": ["y"]}));
}

#[test]
fn directives_delete_and_replace() {
    let object = json!({"env": [{"name": "A"}, {"name": "B"}], "labels": {"x": "1"}});
    let patch =
        json!({"env": [{"name": "A", "$patch": "delete"}], "labels": {"$patch": "replace", "z": "2"}});
    assert_eq!(patched(object, patch).unwrap(), json!({"env": [{"name": "B"}], "labels": {"z": "2"}}));
    let object = json!({"env": [{"name": "A"}]});
    let patch = json!({"env": [{"$patch": "replace"}, {"name": "N"}]});
    assert_eq!(patched(object, patch).unwrap(), json!({"env": [{"name": "N"}]}));
}

#[test]
fn retain_keys_clears_the_other_members_of_a_union() {
    let object = json!({"volumes": [{"name": "v", "emptyDir": {}}]});
    let patch =
        json!({"volumes": [{"name": "v", "$retainKeys": ["name", "hostPath"], "hostPath": {"path": "/"}}]});
    assert_eq!(
        patched(object, patch).unwrap(),
        json!({"volumes": [{"name": "v", "hostPath": {"path": "/"}}]})
    );
    let stray = json!({"strategy": {"$retainKeys": ["type"], "type": "Recreate", "rollingUpdate": {}}});
    assert_eq!(
        patched(json!({"strategy": {}}), stray).unwrap_err().message,
        "invalid patch format of retainKeys"
    );
}

#[test]
fn set_element_order_orders_the_merged_list() {
    let object = json!({"ports": [{"port": 80}, {"port": 81}, {"port": 82}]});
    let patch =
        json!({"$setElementOrder/ports": [{"port": 81}, {"port": 80}], "ports": [{"port": 81, "name": "b"}]});
    assert_eq!(
        patched(object, patch).unwrap(),
        json!({"ports": [{"port": 81, "name": "b"}, {"port": 80}, {"port": 82}]})
    );
}

#[test]
fn primitive_lists_merge_as_sets() {
    let object = json!({"finalizers": ["a", "b"]});
    assert_eq!(
        patched(object.clone(), json!({"finalizers": ["b", "c"]})).unwrap(),
        json!({"finalizers": ["a", "b", "c"]})
    );
    assert_eq!(
        patched(object, json!({"$deleteFromPrimitiveList/finalizers": ["a"]})).unwrap(),
        json!({"finalizers": ["b"]})
    );
}

#[test]
fn nulls_remove_fields_and_vanish_from_new_ones() {
    let patch = json!({"a": null, "new": {"x": null, "y": 1}});
    assert_eq!(patched(json!({"a": 1}), patch).unwrap(), json!({"new": {"y": 1}}));
}

#[test]
fn refusals_have_upstreams_texts() {
    let object = json!({"containers": [{"name": "c1"}]});
    let bogus = json!({"containers": [{"name": "c1", "$patch": "bogus"}]});
    let error = patched(object.clone(), bogus).unwrap_err();
    assert_eq!(
        (error.code, error.message.as_str()),
        (500, "unknown patch type: bogus in map: map[$patch:bogus name:c1]")
    );
    let keyless = json!({"containers": [{"image": "x"}]});
    let error = patched(object.clone(), keyless).unwrap_err();
    assert_eq!(error.message, "map: map[image:x] does not contain declared merge key: name");
    let error = patched(object, json!({"containers": [null]})).unwrap_err();
    assert_eq!(error.message, "list element types are not identical: [[map[name:c1]] [<nil>]]");
    let error = patched(json!({"unknown": {}}), json!({"unknown": {"a": 1}})).unwrap_err();
    assert_eq!(error.code, 500);
}

#[test]
fn the_patch_is_used_up() {
    let mut patch = json!({"$retainKeys": ["a"], "a": {"$patch": "replace", "x": null}, "b": null});
    let object = json!({"a": {"y": 1}, "b": 2});
    let (Value::Object(object), Value::Object(fields)) = (object, &mut patch) else {
        panic!("objects, please")
    };
    let merged = apply(object, fields, &Fake).map(Value::Object);
    assert_eq!(merged.ok(), Some(json!({"a": {"x": null}})));
    assert_eq!(patch, json!({"a": {"x": null}, "b": null}));
}

#[test]
fn lists_of_what_to_delete_act_as_values_do() {
    let object = json!({"finalizers": ["a", "b"], "name": "x"});
    let gone = json!({"$deleteFromPrimitiveList/finalizers": null, "$deleteFromPrimitiveList/name": "y"});
    assert_eq!(patched(object, gone).ok(), Some(json!({"name": "y"})));
}

#[test]
fn directives_of_the_wrong_type_are_named_as_go_names_them() {
    let said = |patch: Value| patched(json!({"env": []}), patch).err().map(|e| e.message).unwrap_or_default();
    assert_eq!(said(json!({"$patch": null})), "unknown patch type: %!s(<nil>) in map: map[$patch:<nil>]");
    assert_eq!(said(json!({"$patch": 1})), "unknown patch type: %!s(int64=1) in map: map[$patch:1]");
    let order = json!({"$setElementOrder/env": 1.5});
    assert_eq!(said(order), "expected a []interface {}, but received a float64");
}
