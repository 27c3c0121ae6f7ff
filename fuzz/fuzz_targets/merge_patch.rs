//! Merge patches: the difference of two objects, applied to the first, is the second.
#![no_main]

use api::{Object, Value};
use libfuzzer_sys::arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = run(&mut Unstructured::new(bytes));
});

fn run(u: &mut Unstructured<'_>) -> Result<()> {
    let (from, to) = if u.arbitrary()? {
        let from = fuzz::any(u, 2)?;
        let to = fuzz::mutated(u, &from)?;
        (from, to)
    } else {
        (fuzz::any(u, 4)?, fuzz::any(u, 4)?)
    };
    let mut there = from.clone();
    patch::merge::apply(&mut there, to.clone());
    let mut twice = there.clone();
    patch::merge::apply(&mut twice, to.clone());
    assert_eq!(twice, there, "a merge patch applied twice");
    // RFC 7386 cannot set a null, so the property holds for objects without.
    let (from, to) = (without_nulls(from), without_nulls(to));
    let mut there = from.clone();
    patch::merge::apply(&mut there, difference(&from, &to));
    assert_eq!(there, to, "from {from}");
    Ok(())
}

fn difference(from: &Value, to: &Value) -> Value {
    let (Value::Object(from), Value::Object(to)) = (from, to) else { return to.clone() };
    let mut out = Object::new();
    for key in from.keys().filter(|k| !to.contains_key(*k)) {
        out.insert(key.clone(), Value::Null);
    }
    for (key, value) in to.iter().filter(|(k, v)| from.get(*k) != Some(v)) {
        // Where the other was no object, the patch is the value itself.
        let patch = from.get(key).map_or_else(|| value.clone(), |old| difference(old, value));
        out.insert(key.clone(), patch);
    }
    out.into()
}

fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            map.into_iter().filter(|(_, v)| !v.is_null()).map(|(k, v)| (k, without_nulls(v))).collect()
        }
        // Nulls in lists stay: a list is replaced as a whole.
        other => other,
    }
}
