//! Custom resource definitions: validation (patterns and CEL among it), and objects against their schemas.
#![no_main]

use api::Value;
use api::schema::Type;
use apiextensions::{Definition, check, names, resource};
use libfuzzer_sys::arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use serde_json::json;

fuzz_target!(|bytes: &[u8]| {
    let _ = run(&mut Unstructured::new(bytes));
});

fn run(u: &mut Unstructured<'_>) -> Result<()> {
    let version = *u.choose(&["v1", "v1", "v1beta1"])?;
    let kinds = api::kinds::builtin();
    let of = kinds.by_kind("apiextensions.k8s.io", version, "CustomResourceDefinition").expect("is served");
    let crd = if u.int_in_range(0..=3u8)? == 0 { fuzz::object(u, of)? } else { likely(u)? };
    let Some(object) = fuzz::received(of, &crd) else { return Ok(()) };
    let Ok(mut hub) = api::convert::to_hub(of, object) else { return Ok(()) };
    let context = validation::Context {
        group: "apiextensions.k8s.io",
        version,
        allow_privileged: true,
        ..Default::default()
    };
    let errors =
        validation::validate_create("apiextensions.k8s.io", "CustomResourceDefinition", &hub, &context);
    let _ =
        validation::validate_update("apiextensions.k8s.io", "CustomResourceDefinition", &hub, &hub, &context);
    let wrong = check::defaults(&hub, validation::validate_embedded_meta);
    let _ = check::warnings(&hub, None);
    if !errors.is_empty() || !wrong.is_empty() {
        return Ok(());
    }
    names::initial_status(&mut hub);
    if let Some(status) = names::decide(&hub, &[], "2020-01-01T00:00:00Z") {
        hub["status"] = status;
    }
    let Ok(definition) = Definition::parse(&hub) else { return Ok(()) };
    for version in &definition.versions {
        let mut new = fuzz::any(u, 4)?;
        if u.arbitrary()? {
            let built = definition.row.served.first().and_then(|s| s.ty);
            if let Some(ty) = built {
                new = fuzz::typed(u, &definition.schemas, &Type::Struct(ty), 2)?;
            }
        }
        if resource::coerce(&definition, Some(version), &mut new).is_err() {
            continue;
        }
        let mut again = new.clone();
        let unknown = resource::coerce(&definition, Some(version), &mut again);
        assert_eq!((&again, unknown), (&new, Ok(Vec::new())), "coerced twice");
        let _ = resource::validate(version, &new, None);
        let _ = resource::validate_inside(version, &new, None, validation::validate_embedded_meta);
        let _ = resource::validate(version, &new, Some(&new));
        let _ = resource::validate_status(version, &new, &new);
        let printer = printers::Printer::custom(&version.columns);
        if let Ok(printer) = printer {
            printer.cells(&new, jiff::Timestamp::UNIX_EPOCH);
        }
    }
    Ok(())
}

/// A definition that has a chance.
fn likely(u: &mut Unstructured<'_>) -> Result<Value> {
    let names =
        json!({"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"});
    let mut properties = api::Object::new();
    for name in ["spec", "status", "a"] {
        properties.insert(name.into(), schema(u, 0)?);
    }
    Ok(json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.com"},
        "spec": {"group": "example.com", "scope": "Namespaced", "names": names, "versions": [{
            "name": "v1", "served": true, "storage": true,
            "schema": {"openAPIV3Schema": {"type": "object", "properties": properties}},
            "subresources": {"status": {}, "scale": {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}},
            "additionalPrinterColumns": [{"name": "A", "type": "string", "jsonPath": fuzz::text(u)?}],
        }]},
    }))
}

/// A structural schema, mostly.
fn schema(u: &mut Unstructured<'_>, depth: usize) -> Result<Value> {
    let mut out = api::Object::new();
    let ty = if depth > 5 {
        "string"
    } else {
        *u.choose(&["object", "object", "array", "string", "integer", "number", "boolean"])?
    };
    out.insert("type".into(), ty.into());
    match ty {
        "object" if u.int_in_range(0..=3u8)? == 0 => {
            out.insert("additionalProperties".into(), schema(u, depth + 1)?);
        }
        "object" if u.int_in_range(0..=5u8)? == 0 => {
            out.insert("x-kubernetes-preserve-unknown-fields".into(), true.into());
        }
        "object" => {
            let mut properties = api::Object::new();
            for name in ["a", "b", "c"].iter().take(usize::from(u.int_in_range(0..=3u8)?)) {
                properties.insert((*name).into(), schema(u, depth + 1)?);
            }
            out.insert("properties".into(), properties.into());
        }
        "array" => {
            out.insert("items".into(), schema(u, depth + 1)?);
            if u.arbitrary()? {
                out.insert(
                    "x-kubernetes-list-type".into(),
                    u.choose(&["set", "map", "atomic"])?.to_string().into(),
                );
                out.insert("x-kubernetes-list-map-keys".into(), json!(["a"]));
            }
        }
        _ => {}
    }
    for _ in 0..u.int_in_range(0..=3u8)? {
        let (name, value) = match u.int_in_range(0..=18u8)? {
            0 => ("pattern", fuzz::text(u)?.into()),
            1 => (
                "format",
                u.choose(&["date-time", "byte", "int32", "ipv4", "uuid", "email", "cidr", "duration"])?
                    .to_string()
                    .into(),
            ),
            2 => ("default", fuzz::any(u, 8)?),
            3 => ("enum", json!([fuzz::any(u, 9)?, fuzz::any(u, 9)?])),
            4 => ("maximum", fuzz::number(u)?),
            5 => ("minimum", fuzz::number(u)?),
            6 => ("multipleOf", fuzz::number(u)?),
            7 => ("maxLength", fuzz::number(u)?),
            8 => ("maxItems", fuzz::number(u)?),
            9 => ("maxProperties", fuzz::number(u)?),
            10 => ("required", json!(["a"])),
            11 => ("nullable", true.into()),
            12 => ("x-kubernetes-int-or-string", true.into()),
            13 => ("x-kubernetes-embedded-resource", true.into()),
            14 => ("uniqueItems", u.arbitrary::<bool>()?.into()),
            15 => ("anyOf", json!([{"type": "integer"}, {"pattern": fuzz::text(u)?}])),
            16 => ("not", json!({"enum": [fuzz::any(u, 9)?]})),
            _ => (
                "x-kubernetes-validations",
                json!([{"rule": rule(u)?, "message": "m", "messageExpression": rule(u)?}]),
            ),
        };
        out.insert(name.into(), value);
    }
    Ok(out.into())
}

/// Something like CEL.
fn rule(u: &mut Unstructured<'_>) -> Result<String> {
    let mut out = String::new();
    for _ in 0..u.int_in_range(0..=14u8)? {
        out.push_str(u.choose(&[
            "self",
            "oldSelf",
            ".a",
            ".b",
            "[",
            "]",
            "(",
            ")",
            "{",
            "}",
            ",",
            ":",
            "?",
            "+",
            "-",
            "*",
            "/",
            "%",
            "==",
            "!=",
            "<",
            "&&",
            "||",
            "!",
            " in ",
            "1",
            "1u",
            "1.5",
            "'x'",
            "\"\\u00e9\"",
            "b'x'",
            "r'\\'",
            "'''",
            "true",
            "null",
            "has(",
            "size(",
            ".all(x, ",
            ".exists_one(x, ",
            ".map(x, ",
            ".filter(x, ",
            ".matches('(')",
            "duration('1h')",
            "9223372036854775808",
            "0x",
            "optional.none()",
            ".?a",
            "cel.bind(v, ",
            "type(",
            "dyn(",
            "string(",
            "quantity('1Gi')",
            "ip('::1')",
        ])?);
    }
    Ok(if out.is_empty() { fuzz::text(u)? } else { out })
}
