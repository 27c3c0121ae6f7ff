//! YAML: what is written reads as itself; whatever is read ends, and is JSON.
#![no_main]

use apiserver::encoding::yaml;
use libfuzzer_sys::arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = run(&mut Unstructured::new(bytes));
});

fn run(u: &mut Unstructured<'_>) -> Result<()> {
    if u.arbitrary()? {
        let value = fuzz::any(u, 0)?;
        let text = yaml::write(&value);
        let read = yaml::read(text.as_bytes()).unwrap_or_else(|e| panic!("{e}\n{text}"));
        assert_eq!(plain(&read.value), plain(&value), "{text}");
        assert_eq!(read.twice, Vec::<String>::new(), "{text}");
        return Ok(());
    }
    let bytes = u.bytes(u.len())?;
    if let Ok(document) = yaml::read(bytes) {
        let json = document.value.to_string();
        assert!(api::json::check(json.as_bytes()).is_ok());
    }
    Ok(())
}

/// Numbers as texts of floats: YAML does not tell 1.0 from 1.
fn plain(value: &api::Value) -> api::Value {
    match value {
        api::Value::Number(n) => format!("{:?}", n.as_f64()).into(),
        api::Value::Array(list) => list.iter().map(plain).collect(),
        api::Value::Object(map) => {
            api::Value::Object(map.iter().map(|(k, v)| (k.clone(), plain(v))).collect())
        }
        other => other.clone(),
    }
}
