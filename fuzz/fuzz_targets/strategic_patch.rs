//! Strategic merge patches on objects of any kind, with directives in odd places.
#![no_main]

use api::Value;
use api::schema::Type;
use libfuzzer_sys::arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use patch::schema::Typed;
use serde_json::json;

fuzz_target!(|bytes: &[u8]| {
    let _ = run(&mut Unstructured::new(bytes));
});

fn run(u: &mut Unstructured<'_>) -> Result<()> {
    let of = fuzz::resource(u)?;
    let ty = Type::Struct(of.ty.expect("has a type"));
    let lookup = Typed::new(api::schema::builtin(), &ty);
    let object = fuzz::object(u, of)?;
    let mut patch = if u.arbitrary()? { fuzz::mutated(u, &object)? } else { fuzz::object(u, of)? };
    for _ in 0..u.int_in_range(0..=4u8)? {
        direct(u, &mut patch)?;
    }
    let (Value::Object(current), Value::Object(mut patch)) = (object, patch) else { return Ok(()) };
    let patched = patch::strategic::apply(current, &mut patch, &lookup);
    let _ = api::printf::go_print(&Value::Object(patch));
    if let Ok(patched) = patched {
        // An empty patch changes nothing.
        let none = patch::strategic::apply(patched.clone(), &mut api::Object::new(), &lookup).ok();
        assert_eq!(none, Some(patched));
    }
    Ok(())
}

/// Puts a directive somewhere.
fn direct(u: &mut Unstructured<'_>, patch: &mut Value) -> Result<()> {
    let levels = u.int_in_range(0..=7u8)?;
    direct_below(u, patch, levels)
}

fn direct_below(u: &mut Unstructured<'_>, at: &mut Value, levels: u8) -> Result<()> {
    if levels > 0 {
        return match fuzz::child(u, at)? {
            Some(below) => direct_below(u, below, levels - 1),
            None => Ok(()),
        };
    }
    let Value::Object(map) = at else { return Ok(()) };
    let names: Vec<String> = map.keys().cloned().collect();
    let name = if names.is_empty() { "x".to_owned() } else { u.choose(&names)?.clone() };
    let value = match u.int_in_range(0..=3u8)? {
        0 => json!(names),
        1 => map.get(&name).cloned().unwrap_or_default(),
        _ => fuzz::any(u, 9)?,
    };
    match u.int_in_range(0..=3u8)? {
        0 => map.insert("$patch".into(), u.choose(&["replace", "delete", "merge", "x"])?.to_string().into()),
        1 => map.insert("$retainKeys".into(), value),
        2 => map.insert(format!("$setElementOrder/{name}"), value),
        _ => map.insert(format!("$deleteFromPrimitiveList/{name}"), value),
    };
    Ok(())
}
