//! Tables and partial metadata in place of objects. The rows come from `printers`.

mod fast;

use api::Value;
use api::status::ApiError;
use cache::Item;
use printers::{Printer, TableOptions};
use serde_json::json;

use super::Convert;
use crate::handlers::Ctx;
use crate::handlers::list::item_value;
use crate::registry::resource::Resource;
use crate::registry::{codec, obj};
use crate::request::Query;

/// What a row carries of its object (`includeObject`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Include {
    /// Nothing.
    None,
    /// Its metadata.
    Metadata,
    /// All of it.
    Object,
}

impl Include {
    /// From the query.
    pub fn parse(query: &Query) -> Result<Include, ApiError> {
        match query.text("includeObject") {
            "" | "Metadata" => Ok(Include::Metadata),
            "None" => Ok(Include::None),
            "Object" => Ok(Include::Object),
            other => Err(ApiError::bad_request(format!(
                "Unable to convert to Table as requested: includeObject: Invalid value: {}: must be 'Metadata', 'Object', \
                 'None', or empty",
                api::field::go_quote(other)
            ))),
        }
    }
}

/// One object of the asked version in the wanted shape; `hub` is the same in the stored version.
pub fn object(ctx: &Ctx, convert: &Convert, object: Value) -> Result<Value, ApiError> {
    match convert.kind.as_str() {
        "Table" => {
            let include = Include::parse(&ctx.query)?;
            let metadata = list_metadata(&object);
            let hub = codec::to_hub(&ctx.resource, object.clone()).unwrap_or_else(|_| object.clone());
            let shown = if include == Include::Object { object } else { hub.clone() };
            Ok(table(&ctx.resource, &ctx.printer(), convert, include, metadata, vec![(hub, shown)]))
        }
        "PartialObjectMetadata" => {
            let own = ctx.info.subresource != "scale";
            let hub = if own { codec::to_hub(&ctx.resource, object.clone()) } else { Ok(object.clone()) };
            let hub = hub.unwrap_or(object);
            Ok(partial(&ctx.resource, &hub, version(convert)))
        }
        _ => Err(ApiError::new(
            406,
            "NotAcceptable",
            format!(
                "you requested PartialObjectMetadataList, but the requested object is not a list (*{}.{})",
                internal_package(&ctx.resource),
                ctx.resource.kind
            ),
        )),
    }
}

/// The metadata of an object of the stored version. Upstream takes it from its internal type, which has not the
/// annotations that stand for fields.
fn partial(resource: &Resource, hub: &Value, version: &str) -> Value {
    let mut partial = printers::partial_object_metadata(hub, version);
    if resource.is(DAEMON_SETS.0, DAEMON_SETS.1) {
        api::convert::hide_template_generation(&mut partial["metadata"]);
    }
    partial
}

/// The only kind that keeps a field in an annotation of its stored version.
const DAEMON_SETS: (&str, &str) = ("apps", "daemonsets");

/// An item in the stored version, or a custom one in the version that was asked.
fn hub_value(resource: &Resource, item: &Item) -> Result<Value, ApiError> {
    if resource.custom { item_value(resource, item) } else { item.value().map_err(ApiError::internal) }
}

fn version(convert: &Convert) -> &'static str {
    if convert.version == "v1beta1" { "v1beta1" } else { "v1" }
}

/// The Go package of the internal type, as messages print it.
fn internal_package(resource: &Resource) -> String {
    let group = resource.hub_group.split('.').next().unwrap_or_default();
    if group.is_empty() { "core".into() } else { group.to_owned() }
}

fn list_metadata(object: &Value) -> Value {
    match obj::resource_version(object) {
        "" => json!({}),
        version => json!({"resourceVersion": version}),
    }
}

/// A list in the wanted shape.
pub fn list(
    ctx: &Ctx,
    convert: &Convert,
    metadata: Value,
    items: &[std::sync::Arc<Item>],
) -> Result<Value, ApiError> {
    if convert.kind != "Table" {
        let objects = items.iter().map(|i| hub_value(&ctx.resource, i)).collect::<Result<Vec<_>, _>>()?;
        return values(ctx, convert, metadata, objects);
    }
    let include = Include::parse(&ctx.query)?;
    let printer = &ctx.printer();
    let mut rows = Vec::with_capacity(items.len());
    for item in items {
        rows.push(row(&ctx.resource, printer, include, item)?);
    }
    Ok(table(&ctx.resource, printer, convert, include, metadata, rows))
}

/// The table of a list as JSON text, where that can be had without reading whole objects.
pub fn list_text(
    ctx: &Ctx,
    convert: &Convert,
    metadata: &Value,
    items: &[std::sync::Arc<Item>],
) -> Result<Option<bytes::Bytes>, ApiError> {
    let copied = !ctx.resource.custom && !ctx.resource.is(DAEMON_SETS.0, DAEMON_SETS.1);
    if convert.kind != "Table" || !copied {
        return Ok(None);
    }
    let include = Include::parse(&ctx.query)?;
    if include == Include::Object {
        return Ok(None);
    }
    fast::table(&ctx.printer(), convert, include, metadata, items).map(Some)
}

/// An item as what its cells are made of and what its row shows.
fn row(
    resource: &Resource,
    printer: &Printer,
    include: Include,
    item: &Item,
) -> Result<(Value, Value), ApiError> {
    if resource.custom {
        let object = item_value(resource, item)?;
        return Ok((object.clone(), object));
    }
    let lean = printer.parse(item.bytes(), item.managed_fields()).map_err(ApiError::internal)?;
    match include {
        Include::Object => Ok((lean, item_value(resource, item)?)),
        Include::Metadata => {
            let metadata: Value = serde_json::from_slice(&item.metadata()).map_err(ApiError::internal)?;
            let mut shown = api::Object::new();
            shown.insert("metadata".into(), metadata);
            Ok((lean, shown.into()))
        }
        Include::None => Ok((lean, Value::Null)),
    }
}

/// The same for objects that are at hand, of the asked version.
pub fn values(ctx: &Ctx, convert: &Convert, metadata: Value, objects: Vec<Value>) -> Result<Value, ApiError> {
    match convert.kind.as_str() {
        "Table" => {
            let include = Include::parse(&ctx.query)?;
            let rows = objects.into_iter().map(|o| (o.clone(), o)).collect();
            Ok(table(&ctx.resource, &ctx.printer(), convert, include, metadata, rows))
        }
        "PartialObjectMetadataList" => {
            let gv = version(convert);
            let items: Vec<Value> = objects.iter().map(|o| partial(&ctx.resource, o, gv)).collect();
            Ok(json!({
                "kind": "PartialObjectMetadataList", "apiVersion": format!("meta.k8s.io/{gv}"), "metadata": metadata,
                "items": if items.is_empty() { Value::Null } else { items.into() },
            }))
        }
        _ => Err(ApiError::new(
            406,
            "NotAcceptable",
            format!(
                "you requested PartialObjectMetadata, but the requested object is a list (*{}.{})",
                internal_package(&ctx.resource),
                ctx.resource.list_kind
            ),
        )),
    }
}

/// A watched object in the wanted shape.
pub fn event(
    resource: &Resource,
    printer: &Printer,
    convert: &Convert,
    shown: (Include, bool),
    item: &Item,
) -> Result<Value, ApiError> {
    if convert.kind == "Table" {
        let metadata = json!({"resourceVersion": item.revision().to_string()});
        let row = row(resource, printer, shown.0, item)?;
        return Ok(table_of_one(resource, printer, convert, shown, metadata, row));
    }
    Ok(partial(resource, &hub_value(resource, item)?, version(convert)))
}

/// A bookmark in the wanted shape.
pub fn bookmark(
    resource: &Resource,
    printer: &Printer,
    convert: &Convert,
    shown: (Include, bool),
    object: Value,
) -> Value {
    if convert.kind == "Table" {
        let metadata = list_metadata(&object);
        return table_of_one(resource, printer, convert, shown, metadata, (object.clone(), object));
    }
    partial(resource, &object, version(convert))
}

/// The table of a watch's frame; only the first has columns.
fn table_of_one(
    resource: &Resource,
    printer: &Printer,
    convert: &Convert,
    (include, headers): (Include, bool),
    metadata: Value,
    row: (Value, Value),
) -> Value {
    let mut table = table(resource, printer, convert, include, metadata, vec![row]);
    if !headers {
        table["columnDefinitions"] = Value::Null;
    }
    table
}

fn table(
    resource: &Resource,
    printer: &Printer,
    convert: &Convert,
    include: Include,
    metadata: Value,
    rows: Vec<(Value, Value)>,
) -> Value {
    let version = version(convert);
    let rows = rows
        .into_iter()
        .map(|(hub, object)| {
            let shown = match include {
                Include::None => Value::Null,
                Include::Metadata => partial(resource, &object, version),
                Include::Object => object,
            };
            (hub, shown)
        })
        .collect();
    let options = TableOptions { version, no_headers: false, metadata, now: jiff::Timestamp::now() };
    printers::table(printer, rows, &options)
}
