//! Server-side apply and the tracking of updates, with managed fields from the input.
#![no_main]

use api::kinds::Resource;
use api::schema::Type;
use api::{Object, Value};
use apiserver::registry::kinds;
use libfuzzer_sys::arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use patch::apply::fieldpath::Set;
use patch::apply::managed;
use patch::apply::manager::{self, Request, Versions};
use patch::schema::Typed;
use serde_json::json;

struct Kinds(Vec<(String, Type, Resource)>);

struct View<'a>(&'a Kinds);

impl<'a> Versions for View<'a> {
    type Schema = Typed<'a>;

    fn schema(&self, version: &str) -> Option<Typed<'a>> {
        let (_, ty, _) = self.0.0.iter().find(|(v, ..)| v == version)?;
        Some(Typed::new(api::schema::builtin(), ty))
    }

    fn convert(&self, object: &Object, from: &str, to: &str) -> Option<Object> {
        let at = |version: &str| self.0.0.iter().find(|(v, ..)| v == version).map(|(.., r)| r);
        let hub = api::convert::to_hub(at(from)?, Value::Object(object.clone())).ok()?;
        api::convert::from_hub(at(to)?, hub).as_object().cloned()
    }
}

fuzz_target!(|bytes: &[u8]| {
    let _ = run(&mut Unstructured::new(bytes));
});

fn run(u: &mut Unstructured<'_>) -> Result<()> {
    let of = fuzz::resource(u)?;
    let types = (0..of.kind.served.len()).map(|index| {
        let resource = Resource { kind: of.kind.clone(), index };
        (resource.group_version(), resource.ty.map_or(Type::Any, Type::Struct), resource)
    });
    let kinds = Kinds(types.collect());
    let view = View(&kinds);
    let version = of.group_version();
    let (reset, empty) = (Set::default(), Object::new());
    let manager = u.choose(&["a", "b", "", "kubectl-client-side-apply"])?;
    let request = Request {
        versions: &view,
        version: &version,
        subresource: u.choose(&["", "status", "scale"])?,
        manager,
        reset: &reset,
        empty: &empty,
        now: "2020-01-01T00:00:00Z",
    };
    // What lives was stored once: without what its version does not know.
    let generated = fuzz::object(u, of)?;
    let Some(mut live) = generated.as_object().and_then(|object| stored(of, object)) else { return Ok(()) };
    let entries = entries(u, &version)?;
    live["metadata"]["managedFields"] = entries.clone();
    if let Some(managers) = managed::decode(Some(&entries)) {
        let encoded = managed::encode(&managers);
        assert_eq!(managed::decode(encoded.as_ref()), Some(managers), "{entries}");
    }
    let Some(live) = live.as_object() else { return Ok(()) };

    let config = fuzz::object(u, of)?;
    let Some(config) = config.as_object() else { return Ok(()) };
    let applied = manager::apply(live, config, u.arbitrary()?, &request);
    if let Ok(applied) = &applied {
        // The same configuration once more, on what was stored of the first, is no conflict and changes nothing.
        let Some(stored) = stored(of, applied) else { return Ok(()) };
        let Some(fields) = stored.as_object() else { return Ok(()) };
        if has_faulty_items(of, applied, &stored) {
            return Ok(());
        }
        match manager::apply(fields, config, false, &request) {
            Ok(again) => {
                let again = self::stored(of, &again);
                assert_eq!(again.map(bare), Some(bare(stored)));
            }
            // An item whose key is empty is stored without it: upstream cannot read such an object again.
            Err(error) if error.code == 500 && error.message.contains("omits all key fields") => {}
            Err(error) => panic!(
                "{}\nlive {}\nconfiguration {}\nstored {stored}",
                error.message,
                Value::Object(live.clone()),
                Value::Object(config.clone()),
            ),
        }
    }
    let Some(mut new) = fuzz::received(of, &fuzz::mutated(u, &Value::Object(live.clone()))?) else {
        return Ok(());
    };
    if let Some(new) = new.as_object_mut() {
        manager::update(live, new, &request);
    }
    Ok(())
}

/// Whether validation finds fault with an item of a list. Items that were applied without a key, or with an empty one, are
/// stored with another one: upstream cannot tell them apart either.
fn has_faulty_items(of: &Resource, applied: &Object, stored: &Value) -> bool {
    // An empty list of usages is defaulted, an empty network is dropped with the single field that stands for it.
    let spec = applied.get("spec").unwrap_or(&Value::Null);
    let networks = spec["podCIDRs"].as_array().map_or(&[][..], Vec::as_slice);
    if spec["usages"] == json!([]) || networks.contains(&json!("")) {
        return true;
    }
    let Ok(hub) = api::convert::to_hub(of, stored.clone()) else { return true };
    let errors = apiserver::registry::validate::create(&kinds::resource(of, false), &hub, true);
    errors.iter().any(|error| error.field.contains('['))
}

/// What is read back of an object that was written.
fn stored(of: &Resource, object: &Object) -> Option<Value> {
    let received = fuzz::received(of, &Value::Object(object.clone()))?;
    let hub = api::convert::to_hub(of, received).ok()?;
    Some(api::convert::from_hub(of, hub))
}

fn bare(mut object: Value) -> Value {
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.remove("managedFields");
    }
    object
}

fn entries(u: &mut Unstructured<'_>, version: &str) -> Result<Value> {
    let mut list = Vec::new();
    for _ in 0..u.int_in_range(0..=3u8)? {
        let mut entry = json!({
            "manager": fuzz::text(u)?,
            "operation": u.choose(&["Apply", "Update", "Update", "x"])?,
            "apiVersion": if u.arbitrary()? { version.to_owned() } else { fuzz::text(u)? },
            "fieldsType": "FieldsV1",
            "fieldsV1": fields(u, 0)?,
        });
        if u.arbitrary()? {
            entry["time"] = u.choose(fuzz::words::TIMES)?.to_string().into();
        }
        if u.int_in_range(0..=15u8)? == 0 {
            entry = fuzz::mutated(u, &entry)?;
        }
        list.push(entry);
    }
    Ok(list.into())
}

fn fields(u: &mut Unstructured<'_>, depth: usize) -> Result<Value> {
    let mut out = Object::new();
    for _ in 0..u.int_in_range(0..=3u8)? {
        let key = match u.int_in_range(0..=6u8)? {
            0 => ".".to_owned(),
            1 => format!("k:{}", json!({"name": fuzz::text(u)?})),
            2 => format!("v:{}", fuzz::any(u, 9)?),
            3 => format!("i:{}", u.arbitrary::<i32>()?),
            4 => fuzz::text(u)?,
            _ => format!(
                "f:{}",
                u.choose(&["metadata", "labels", "a", "spec", "template", "containers", "data", "status"])?
            ),
        };
        let below = if depth < 6 { fields(u, depth + 1)? } else { json!({}) };
        out.insert(key, below);
    }
    Ok(out.into())
}
