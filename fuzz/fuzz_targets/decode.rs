//! An object of any kind on its way through the server: decoded, defaulted, to the hub and to every version, validated,
//! warned about, printed.
#![no_main]

use api::decode::{FieldValidation, Target, decode};
use api::kinds::Resource;
use api::{Value, convert, defaults};
use apiserver::registry::{kinds, strategy, warnings};
use libfuzzer_sys::arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = run(&mut Unstructured::new(bytes));
});

fn run(u: &mut Unstructured<'_>) -> Result<()> {
    let of = fuzz::resource(u)?;
    let body = if u.int_in_range(0..=9u8)? == 0 {
        u.bytes(u.len())?.to_vec()
    } else {
        serde_json::to_vec(&fuzz::object(u, of)?).unwrap_or_default()
    };
    let target = Target::of(of).expect("has a type");
    let strictly = decode(&target, &body, FieldValidation::Strict);
    let Ok(decoded) = decode(&target, &body, FieldValidation::Warn) else {
        assert!(strictly.is_err());
        return Ok(());
    };
    assert_eq!(strictly.is_ok(), decoded.warnings.is_empty(), "{:?}", decoded.warnings);
    let object = decoded.object;
    // What was read is written, and reads as itself.
    let text = serde_json::to_vec(&object).expect("is JSON");
    let again = decode(&target, &text, FieldValidation::Strict).expect("what the server writes, it reads");
    assert_eq!(without_nulls(again.object), without_nulls(object.clone()));
    let go = api::json::go_json(api::schema::builtin(), &api::schema::Type::Struct(target.ty), &object);
    let again = decode(&target, go.as_bytes(), FieldValidation::Strict).expect("Go's form reads, too");
    assert_eq!(without_nulls(again.object), without_nulls(object.clone()), "{go}");

    let mut defaulted = object;
    defaults::apply(of, &mut defaulted);
    let mut twice = defaulted.clone();
    defaults::apply(of, &mut twice);
    assert_eq!(twice, defaulted, "defaults of defaults");

    let Ok(hub) = convert::to_hub(of, defaulted) else { return Ok(()) };
    for index in 0..of.kind.served.len() {
        let version = Resource { kind: of.kind.clone(), index };
        if version.version == "v1alpha1" && has_no_group(&hub) {
            continue;
        }
        let there = convert::from_hub(&version, hub.clone());
        let back =
            convert::to_hub(&version, there.clone()).expect("what was made from the hub goes back to it");
        let shown = |object: &Value| without_empty_policies(object);
        assert_eq!(
            shown(&convert::from_hub(&version, back)),
            shown(&there),
            "through {}",
            version.group_version()
        );
    }
    whole(of, hub);
    Ok(())
}

/// A subject whose group has a slash has no version that says so: upstream loses it, too, and validation refuses it.
fn has_no_group(hub: &Value) -> bool {
    let groups = hub["subjects"].as_array().into_iter().flatten().map(|subject| &subject["apiGroup"]);
    groups.filter_map(Value::as_str).any(|group| group.contains('/'))
}

/// An annotation of old autoscalers has an empty list, which what is stored has not.
fn without_empty_policies(object: &Value) -> String {
    object.to_string().replace(r#"\"Policies\":[]"#, r#"\"Policies\":null"#)
}

/// Go writes null for a time of the year 1, and reads that back as none.
fn without_nulls(mut value: Value) -> Value {
    match &mut value {
        Value::Object(fields) => {
            fields.retain(|_, field| !field.is_null());
            fields.values_mut().for_each(|field| *field = without_nulls(field.take()));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| *item = without_nulls(item.take())),
        _ => {}
    }
    value
}

/// What happens to an object of the hub version.
fn whole(of: &Resource, mut hub: Value) {
    let resource = kinds::resource(of, false);
    let nobody = apiserver::authn::User::anonymous();
    strategy::prepare_create(&resource, &mut hub, &nobody);
    let errors = apiserver::registry::validate::create(&resource, &hub, false);
    for error in &errors {
        assert!(!error.body().is_empty());
    }
    let _ = warnings::of(&resource, &hub, None);
    let mut new = hub.clone();
    strategy::update(&resource, "", &mut new, &hub);
    let _ = apiserver::registry::validate::update(&resource, "", &new, &hub, false);
    let _ = apiserver::registry::validate::update(&resource, "status", &new, &hub, false);
    for sub in &resource.subresources {
        let _ = apiserver::registry::validate::update(&resource, &sub.name, &new, &hub, false);
    }
    let printer = printers::Printer::of(&of.kind.group, &of.kind.plural);
    let row = printer.row(&hub, Value::Null, jiff::Timestamp::UNIX_EPOCH);
    let cells = row["cells"].as_array().map_or(0, Vec::len);
    // Upstream's rows of IPAddress have one cell more than the table has columns.
    let odd = usize::from(of.kind.plural == "ipaddresses");
    assert!(cells <= printer.columns().len() + odd, "{row}");
}
