//! JSON patches: nearly right operations on an object.
#![no_main]

use api::Value;
use libfuzzer_sys::arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use serde_json::json;

fuzz_target!(|bytes: &[u8]| {
    let _ = run(&mut Unstructured::new(bytes));
});

fn run(u: &mut Unstructured<'_>) -> Result<()> {
    let mut object =
        json!({"a": {"b": [1, 2, {"c": null}], "~": 1}, "list": [], "": {"": 0}, "data": {"x/y": "z"}});
    if u.arbitrary()? {
        object["any"] = fuzz::any(u, 3)?;
    }
    let mut operations = Vec::new();
    for _ in 0..u.int_in_range(0..=12u8)? {
        operations.push(operation(u)?);
    }
    let patch = Value::Array(operations);
    if let Ok(patched) = patch::json::apply(&object, &patch) {
        assert!(patched.is_object());
        // A test of what came out holds, and the patch that puts it there does.
        let same = json!([{"op": "test", "path": "", "value": patched}, {"op": "replace", "path": "", "value": patched}]);
        assert_eq!(patch::json::apply(&patched, &same).ok(), Some(patched));
    }
    Ok(())
}

fn operation(u: &mut Unstructured<'_>) -> Result<Value> {
    let mut operation = json!({
        "op": u.choose(&["add", "remove", "replace", "move", "copy", "test", "nop"])?,
        "path": pointer(u)?,
    });
    if u.arbitrary()? {
        operation["from"] = pointer(u)?.into();
    }
    if u.arbitrary()? {
        operation["value"] = fuzz::any(u, 9)?;
    }
    if u.int_in_range(0..=20u8)? == 0 {
        operation = fuzz::mutated(u, &operation)?;
    }
    Ok(operation)
}

fn pointer(u: &mut Unstructured<'_>) -> Result<String> {
    const STEPS: [&str; 18] = [
        "a",
        "b",
        "c",
        "list",
        "data",
        "x~1y",
        "~0",
        "~",
        "~2",
        "",
        "0",
        "1",
        "2",
        "-",
        "-1",
        "-9",
        "any",
        "99999999999999999999",
    ];
    let mut out = String::new();
    for _ in 0..u.int_in_range(0..=5u8)? {
        out.push('/');
        out.push_str(u.choose(&STEPS)?);
    }
    if u.int_in_range(0..=20u8)? == 0 {
        out.push_str(&fuzz::text(u)?);
    }
    Ok(out)
}
