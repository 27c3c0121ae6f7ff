use api::Value;
use serde_json::json;

use crate::schema::Schema;
use crate::validate::validate;

fn errors(schema: Value, value: Value) -> Vec<String> {
    validate(&Schema::parse(&schema), &value, None, None).iter().map(ToString::to_string).collect()
}

#[test]
fn findings_have_upstreams_words() {
    let schema = json!({"type": "object", "properties": {"spec": {"type": "object", "required": ["n"], "properties": {
        "s": {"type": "string", "minLength": 2, "maxLength": 4, "pattern": "^[a-z]+$"},
        "i": {"type": "integer", "minimum": 1, "maximum": 5},
        "e": {"type": "string", "enum": ["a", "b"]},
        "x": {"type": "number", "minimum": 1, "exclusiveMinimum": true},
        "l": {"type": "array", "maxItems": 2, "items": {"type": "string"}},
    }}}});
    let spec = |v: Value| errors(schema.clone(), json!({"spec": v}));
    assert_eq!(
        spec(json!({"n": 1, "s": "a"})),
        [r#"spec.s: Invalid value: "a": spec.s in body should be at least 2 chars long"#]
    );
    assert_eq!(spec(json!({"n": 1, "s": "abcde"})), ["spec.s: Too long: may not be more than 4 bytes"]);
    assert_eq!(
        spec(json!({"n": 1, "s": "AB"})),
        [r#"spec.s: Invalid value: "AB": spec.s in body should match '^[a-z]+$'"#]
    );
    assert_eq!(
        spec(json!({"n": 1, "e": "c"})),
        [r#"spec.e: Unsupported value: "c": supported values: "a", "b""#]
    );
    assert_eq!(
        spec(json!({"n": 1, "i": 6})),
        ["spec.i: Invalid value: 6: spec.i in body should be less than or equal to 5"]
    );
    assert_eq!(
        spec(json!({"n": 1, "x": 1})),
        ["spec.x: Invalid value: 1: spec.x in body should be greater than 1"]
    );
    assert_eq!(
        spec(json!({"n": 1, "l": ["a", "b", "c"]})),
        ["spec.l: Too many: 3: must have at most 2 items"]
    );
    assert_eq!(
        spec(json!({"n": 1, "i": 1.5})),
        [
            r#"spec.i: Invalid value: "number": spec.i in body must be of type integer: "number""#,
            r#"<nil>: Invalid value: "": Checked value must be of type integer (default format) in spec.i"#,
        ]
    );
    assert_eq!(spec(json!({})), ["spec.n: Required value"]);
    assert_eq!(
        errors(schema, json!({"spec": []})),
        [r#"spec: Invalid value: "array": spec in body must be of type object: "array""#]
    );
}

#[test]
fn alternatives_explain_the_best_failure() {
    let schema = json!({"type": "object", "properties": {"spec": {"type": "object",
        "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
        "oneOf": [{"required": ["a"]}, {"required": ["b"]}]}}});
    assert_eq!(
        errors(schema.clone(), json!({"spec": {}})),
        [
            r#"<nil>: Invalid value: "": "spec" must validate one and only one schema (oneOf). Found none valid"#,
            "spec.a: Required value",
        ]
    );
    assert_eq!(
        errors(schema, json!({"spec": {"a": "1", "b": "2"}})),
        [
            r#"<nil>: Invalid value: "": "spec" must validate one and only one schema (oneOf). Found 2 valid alternatives"#
        ]
    );
}

#[test]
fn what_an_update_does_not_touch_is_not_held_against_it() {
    let schema = Schema::parse(&json!({"type": "object", "properties": {"spec": {"type": "object",
        "properties": {"a": {"type": "string", "maxLength": 1}, "b": {"type": "string"}}}}}));
    let old = json!({"spec": {"a": "long", "b": "1"}});
    assert!(validate(&schema, &json!({"spec": {"a": "long", "b": "2"}}), Some(&old), None).is_empty());
    assert_eq!(validate(&schema, &json!({"spec": {"a": "longer"}}), Some(&old), None).len(), 1);
}

#[test]
fn large_floats_are_no_integers() {
    let schema = json!({"type": "object", "properties": {
        "i": {"type": "integer"}, "f": {"type": "number", "multipleOf": 0.5}, "e": {"type": "number", "enum": [1, 2]}}});
    assert_eq!(
        errors(schema.clone(), json!({"i": 1e30})),
        [
            r#"i: Invalid value: "number": i in body must be of type integer: "number""#,
            r#"<nil>: Invalid value: "": Checked value must be of type integer (default format) in i"#
        ]
    );
    assert_eq!(
        errors(schema.clone(), json!({"f": 1e30})),
        ["f: Invalid value: 1e+30: f in body should be a multiple of 0.5"]
    );
    assert_eq!(
        errors(schema.clone(), json!({"f": 3})),
        ["f: Invalid value: 0: factor MultipleOf declared for f must be positive: 0"]
    );
    // Go converts what it compares with an integer to one.
    assert!(errors(schema, json!({"i": 3.0, "f": 1.5, "e": 1.5})).is_empty());
}

/// Limits that an integer cannot have were compared as if they could be; whole floats were taken for integers.
#[test]
fn numbers_are_compared_as_go_compares_them() {
    let said = |schema: Value, value: Value| {
        let errors = validate(&Schema::parse(&schema), &value, None, Some("a"));
        errors.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let at_most = |max: Value| json!({"type": "number", "maximum": max});
    assert_eq!(
        said(at_most(json!(1e21)), json!(3)),
        ["a: Invalid value: 3:  in body should be less than or equal to -9223372036854775808"]
    );
    assert!(said(at_most(json!(1e21)), json!(3.0)).is_empty());
    assert_eq!(
        said(json!({"type": "integer", "multipleOf": 1.5}), json!(4)),
        [
            "a: Invalid value: \"\": MultipleOf value must be of type integer (default format) in ",
            "a: Invalid value: 4:  in body should be a multiple of 1.5",
        ]
    );
    assert_eq!(
        said(json!({"type": "array"}), json!(3.0)),
        ["a: Invalid value: \"number\":  in body must be of type array: \"number\""]
    );
    assert_eq!(
        said(json!({"type": "number", "enum": [1.0, 2]}), json!(5.0)),
        ["a: Unsupported value: 5: supported values: \"1\", \"2\""]
    );
}
