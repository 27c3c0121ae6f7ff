//! Tables of built-in kinds without their objects: cells from the few fields that they need, metadata copied as text.

use api::Value;
use api::json::encode;
use api::status::ApiError;
use bytes::Bytes;
use cache::Item;
use printers::Printer;

use super::{Include, version};
use crate::negotiate::Convert;

/// How much of a row is not metadata, roughly.
const ROW_BYTES: usize = 256;

/// Writes the rows of a table one after the other.
struct Rows<'a> {
    out: Vec<u8>,
    printer: &'a Printer,
    include: Include,
    /// How the object of a row begins.
    head: String,
    now: jiff::Timestamp,
    first: bool,
}

impl Rows<'_> {
    /// Adds the row of an item; its cells are made of `lean`.
    fn add(&mut self, lean: &Value, item: &Item) {
        if !std::mem::take(&mut self.first) {
            self.out.push(b',');
        }
        self.out.extend_from_slice(b"{\"cells\":");
        encode(&mut self.out, &Value::Array(self.printer.cells(lean, self.now)));
        if let Some(conditions) = self.printer.conditions(lean) {
            self.out.extend_from_slice(b",\"conditions\":");
            encode(&mut self.out, &conditions);
        }
        self.out.extend_from_slice(b",\"object\":");
        if self.include == Include::Metadata {
            self.out.extend_from_slice(self.head.as_bytes());
            self.out.extend_from_slice(&item.metadata());
            self.out.push(b'}');
        } else {
            self.out.extend_from_slice(b"null");
        }
        self.out.push(b'}');
    }
}

/// A table of these items as JSON text.
pub(super) fn table(
    printer: &Printer,
    convert: &Convert,
    include: Include,
    metadata: &Value,
    items: &[std::sync::Arc<Item>],
) -> Result<Bytes, ApiError> {
    let version = version(convert);
    let shown: usize = items.iter().map(|i| i.metadata().len()).sum();
    let mut out = Vec::with_capacity(4 * ROW_BYTES + items.len() * ROW_BYTES + shown);
    out.extend_from_slice(
        format!("{{\"kind\":\"Table\",\"apiVersion\":\"meta.k8s.io/{version}\",\"metadata\":").as_bytes(),
    );
    encode(&mut out, metadata);
    out.extend_from_slice(b",\"columnDefinitions\":");
    encode(&mut out, &printer.column_definitions());
    out.extend_from_slice(b",\"rows\":[");
    let head = format!(
        "{{\"kind\":\"PartialObjectMetadata\",\"apiVersion\":\"meta.k8s.io/{version}\",\"metadata\":"
    );
    let mut rows = Rows { out, printer, include, head, now: jiff::Timestamp::now(), first: true };
    let lean = |item: &Item| printer.parse(item.bytes(), item.managed_fields()).map_err(ApiError::internal);
    if printer.reorders() {
        let mut parsed = items.iter().map(|i| Ok((lean(i)?, i))).collect::<Result<Vec<_>, ApiError>>()?;
        printer.sort(&mut parsed, |(lean, _)| lean);
        for (lean, item) in &parsed {
            rows.add(lean, item);
        }
    } else {
        // One at a time: what is parsed of 3,000 pods at once would be larger than the answer.
        for item in items {
            rows.add(&lean(item)?, item);
        }
    }
    rows.out.extend_from_slice(b"]}\n");
    Ok(Bytes::from(rows.out))
}
