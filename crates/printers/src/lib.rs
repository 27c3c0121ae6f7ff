//! Server-side tables: what `kubectl get` prints, made here once for every client
//! (`pkg/printers`, `meta.k8s.io` `Table`).
//!
//! A reader finds
//! - [`Printer`]: the columns of a resource and the cells of an object; built-in, custom, or name and creation time;
//! - [`table`]: a whole `Table` object;
//! - the function [`human_duration`] for ages;
//! - `cells`: one function per kind; `data/columns.tsv`: the columns.
//!
//! Cells are made of hub objects as JSON values. [`Printer::parse`] reads only what the cells need.
//! Column descriptions are left empty for built-in kinds: no client prints them.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::LazyLock;

use api::Value;
use api::json::Malformed;
use jiff::Timestamp;
use serde_json::json;

mod age;
mod cells;
mod custom;
mod jsonpath;
mod labels;
mod lean;
#[cfg(test)]
mod tests;
mod value;

pub use age::human_duration;
pub use jsonpath::{JsonPath, ParseError};

/// A column as clients see it (`metav1.TableColumnDefinition`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// The heading; clients print it in capitals.
    pub name: String,
    /// `string`, `integer`, `number`, `boolean` or `date`.
    pub kind: String,
    /// `name` for the column that names the object.
    pub format: String,
    /// For people.
    pub description: String,
    /// Not zero: only shown wide.
    pub priority: i64,
}

impl Column {
    fn name() -> Column {
        Column::read("Name!name")
    }

    /// Reads the notation of `data/columns.tsv`.
    fn read(text: &str) -> Column {
        let (text, priority) = match text.strip_suffix('*') {
            Some(text) => (text, 1),
            None => (text, 0),
        };
        let (text, format) = text.split_once('!').unwrap_or((text, ""));
        let (name, kind) = text.split_once(':').unwrap_or((text, "string"));
        Column {
            name: name.to_owned(),
            kind: kind.to_owned(),
            format: format.to_owned(),
            description: String::new(),
            priority,
        }
    }
}

/// How cells are made.
#[derive(Clone, Debug)]
enum Make {
    Kind {
        cells: cells::Cells,
        resource: &'static str,
    },
    Custom(Vec<custom::CustomColumn>),
    /// Name and creation time.
    Default,
}

/// The columns of a resource and how to fill them.
#[derive(Clone, Debug)]
pub struct Printer {
    columns: Vec<Column>,
    make: Make,
}

/// By group, then by resource.
static PRINTERS: LazyLock<HashMap<&'static str, HashMap<&'static str, Printer>>> = LazyLock::new(|| {
    let lines = include_str!("../data/columns.tsv").lines().filter(|l| !l.starts_with('#'));
    let read = |line: &'static str| {
        let (key, columns) = line.split_once('\t')?;
        let (group, resource) = key.split_once('/')?;
        let make = Make::Kind { cells: cells::of(group, resource)?, resource };
        let columns = columns.split(';').map(Column::read).collect();
        Some((group, resource, Printer { columns, make }))
    };
    let mut printers: HashMap<_, HashMap<_, _>> = HashMap::new();
    for (group, resource, printer) in lines.filter_map(read) {
        printers.entry(group).or_default().insert(resource, printer);
    }
    printers
});

/// Upstream's `NewDefaultTableConvertor`.
static DEFAULT: LazyLock<Printer> = LazyLock::new(|| Printer {
    columns: vec![Column::name(), Column::read("Created At:date")],
    make: Make::Default,
});

impl Printer {
    /// The printer of a built-in resource by its hub's group and plural name (`scale` of group `autoscaling` for that
    /// subresource); name and creation time for those that have none.
    pub fn of(group: &str, resource: &str) -> &'static Printer {
        // Where kinds of the extensions group live today.
        let groups = match group {
            "extensions" => &["apps", "networking.k8s.io", "policy"][..],
            _ => &[group][..],
        };
        let found = groups.iter().find_map(|group| PRINTERS.get(*group)?.get(resource));
        found.unwrap_or(&DEFAULT)
    }

    /// The columns.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The columns as a table carries them.
    pub fn column_definitions(&self) -> Value {
        let columns = self.columns.iter().map(|c| {
            json!({"name": c.name, "type": c.kind, "format": c.format, "description": c.description,
                "priority": c.priority})
        });
        Value::Array(columns.collect())
    }

    /// Reads an object's JSON, without what its cells do not need. Custom resources are read whole.
    /// `managed` is where the value of `metadata.managedFields` stands, which no cell needs; empty when that is not known.
    pub fn parse(&self, json: &[u8], managed: Range<usize>) -> Result<Value, Malformed> {
        match &self.make {
            Make::Kind { resource, .. } => lean::parse(json, resource, managed),
            Make::Custom(_) => serde_json::from_slice(json).map_err(|_| Malformed),
            Make::Default => lean::parse(json, "", managed),
        }
    }

    /// The cells of an object. Built-in kinds give those of the hub version, custom resources of the asked version.
    pub fn cells(&self, object: &Value, now: Timestamp) -> Vec<Value> {
        match &self.make {
            Make::Kind { cells, .. } => cells(object, now),
            Make::Custom(columns) => {
                let name = Value::from(cells::name(object));
                std::iter::once(name).chain(columns.iter().map(|c| c.cell(object, now))).collect()
            }
            Make::Default => {
                let created = object["metadata"]["creationTimestamp"].as_str();
                vec![cells::name(object).into(), created.unwrap_or("0001-01-01T00:00:00Z").into()]
            }
        }
    }

    /// What a row says beside its cells (`conditions`): whether a pod is done.
    pub fn conditions(&self, object: &Value) -> Option<Value> {
        match &self.make {
            Make::Kind { resource: "pods", .. } => cells::pod::conditions(object),
            _ => None,
        }
    }

    /// A row; `object` is what `includeObject` asks for: the whole object, [`partial_object_metadata`], or null.
    pub fn row(&self, hub: &Value, object: Value, now: Timestamp) -> Value {
        let mut row = json!({"cells": self.cells(hub, now), "object": object});
        if let Some(conditions) = self.conditions(hub) {
            row["conditions"] = conditions;
        }
        row
    }

    /// Whether [`Printer::sort`] does anything.
    pub fn reorders(&self) -> bool {
        matches!(self.make, Make::Kind { resource: "flowschemas", .. })
    }

    /// Puts a list's objects in the order in which its table shows them: flow schemas by precedence, all others stay.
    pub fn sort<T>(&self, objects: &mut [T], hub: impl Fn(&T) -> &Value) {
        if self.reorders() {
            objects.sort_by(|a, b| {
                let key = |o: &T| {
                    let o = hub(o);
                    (value::int(o, &["spec", "matchingPrecedence"]), cells::name(o).to_owned())
                };
                key(a).cmp(&key(b))
            });
        }
    }
}

/// How a table is asked for.
#[derive(Clone, Debug)]
pub struct TableOptions {
    /// `v1` or `v1beta1` of `meta.k8s.io`.
    pub version: &'static str,
    /// Without column definitions: the later events of a watch.
    pub no_headers: bool,
    /// The list's metadata, or for one object its resource version.
    pub metadata: Value,
    /// What ages are counted to.
    pub now: Timestamp,
}

/// A `Table` of objects, each with what its row carries as `object`.
pub fn table(printer: &Printer, mut objects: Vec<(Value, Value)>, options: &TableOptions) -> Value {
    printer.sort(&mut objects, |(hub, _)| hub);
    let rows = objects.into_iter().map(|(hub, object)| printer.row(&hub, object, options.now));
    json!({
        "kind": "Table",
        "apiVersion": format!("meta.k8s.io/{}", options.version),
        "metadata": options.metadata,
        "columnDefinitions": if options.no_headers { Value::Null } else { printer.column_definitions() },
        "rows": rows.collect::<Vec<_>>(),
    })
}

/// An object's metadata alone (`metav1.PartialObjectMetadata`).
pub fn partial_object_metadata(object: &Value, version: &str) -> Value {
    json!({
        "kind": "PartialObjectMetadata",
        "apiVersion": format!("meta.k8s.io/{version}"),
        "metadata": object["metadata"],
    })
}
