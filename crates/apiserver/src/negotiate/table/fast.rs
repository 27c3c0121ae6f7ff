//! Tables of built-in kinds without their objects: cells from the few fields that they need, metadata copied as text.

use api::Value;
use api::status::ApiError;
use bytes::{BufMut, Bytes, BytesMut};
use cache::Item;
use printers::Printer;

use super::{Include, version};
use crate::negotiate::Convert;

fn json(out: &mut BytesMut, value: &Value) -> Result<(), ApiError> {
    serde_json::to_writer((&mut *out).writer(), value).map_err(ApiError::internal)
}

/// A table of these items as JSON text.
pub(super) fn table(
    printer: &Printer,
    convert: &Convert,
    include: Include,
    metadata: &Value,
    items: &[std::sync::Arc<Item>],
) -> Result<Bytes, ApiError> {
    let now = jiff::Timestamp::now();
    let version = version(convert);
    let mut parsed = Vec::with_capacity(items.len());
    for item in items {
        parsed.push((printer.parse(item.bytes()).map_err(ApiError::internal)?, item));
    }
    printer.sort(&mut parsed, |(lean, _)| lean);
    let mut out = BytesMut::with_capacity(512 + items.len() * 768);
    out.put_slice(
        format!("{{\"kind\":\"Table\",\"apiVersion\":\"meta.k8s.io/{version}\",\"metadata\":").as_bytes(),
    );
    json(&mut out, metadata)?;
    out.put_slice(b",\"columnDefinitions\":");
    json(&mut out, &printer.column_definitions())?;
    out.put_slice(b",\"rows\":[");
    let head = format!(
        "{{\"kind\":\"PartialObjectMetadata\",\"apiVersion\":\"meta.k8s.io/{version}\",\"metadata\":"
    );
    for (i, (lean, item)) in parsed.iter().enumerate() {
        if i > 0 {
            out.put_u8(b',');
        }
        out.put_slice(b"{\"cells\":");
        json(&mut out, &Value::Array(printer.cells(lean, now)))?;
        if let Some(conditions) = printer.conditions(lean) {
            out.put_slice(b",\"conditions\":");
            json(&mut out, &conditions)?;
        }
        out.put_slice(b",\"object\":");
        if include == Include::Metadata {
            out.put_slice(head.as_bytes());
            out.put_slice(&item.metadata());
            out.put_u8(b'}');
        } else {
            out.put_slice(b"null");
        }
        out.put_u8(b'}');
    }
    out.put_slice(b"]}\n");
    Ok(out.freeze())
}
