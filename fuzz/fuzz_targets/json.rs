//! The two JSON readers agree on what is JSON, and with `serde_json` on what it says.
#![no_main]

use api::json::{Reader, check, to_vec};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut reader = Reader::new(bytes);
    let skipped = reader.skip().and_then(|()| reader.end());
    let checked = check(bytes);
    assert_eq!(skipped.is_ok(), checked.is_ok(), "{checked:?}");
    let mut reader = Reader::new(bytes);
    let read = reader.value_with_duplicates().and_then(|v| reader.end().map(|()| v));
    if read.is_ok() {
        assert_eq!(checked, Ok(()));
    }
    let theirs = serde_json::from_slice::<api::Value>(bytes);
    if let (Ok((ours, _)), Ok(theirs)) = (&read, &theirs) {
        assert_eq!(shape(ours), shape(theirs));
        // What was read is written as JSON that reads the same.
        let text = to_vec(ours);
        let again = Reader::new(&text).value_with_duplicates().map(|(value, _)| value);
        assert_eq!(again.as_ref(), Ok(ours), "{}", String::from_utf8_lossy(&text));
    }
    // Ours takes bytes that are no UTF-8, as Go does; otherwise what the other one reads is JSON.
    if theirs.is_ok() {
        assert!(read.is_ok(), "{checked:?}");
    }
});

/// Without numbers, which are kept differently: floats become integers where they can.
fn shape(value: &api::Value) -> api::Value {
    match value {
        api::Value::Number(_) => api::Value::Null,
        api::Value::Array(list) => list.iter().map(shape).collect(),
        api::Value::Object(map) => {
            api::Value::Object(map.iter().map(|(k, v)| (k.clone(), shape(v))).collect())
        }
        other => other.clone(),
    }
}
