//! The tables of `get`: v1.10's columns, made from the server's tables and the objects in their rows.

use jiff::Timestamp;
use serde_json::Value;

use crate::discovery::Resource;
use crate::time;
use crate::value::{Json, join_labels, plain};

/// Asks the server for a table with whole objects in it; old servers send the list itself.
pub(crate) const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";

const COLUMNS: &str = include_str!("../../data/columns.txt");

/// One row: the server's cells (none when it sent no table) and the object.
#[derive(Clone, Debug, Default)]
pub(crate) struct Row {
    /// The cells.
    pub(crate) cells: Vec<Value>,
    /// The object.
    pub(crate) object: Value,
}

/// What a GET of one resource answered.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    /// The server's column names and whether they are for `-o wide` only.
    pub(crate) columns: Vec<(String, bool)>,
    /// The rows.
    pub(crate) rows: Vec<Row>,
    /// The token for the next page.
    pub(crate) next: String,
    /// Where a watch goes on from here.
    pub(crate) resource_version: String,
}

impl Table {
    /// Reads a Table, a list or a single object.
    pub(crate) fn from_answer(mut answer: Value) -> Self {
        let mut table = Table {
            next: answer.s("metadata.continue").to_string(),
            resource_version: answer.s("metadata.resourceVersion").to_string(),
            ..Table::default()
        };
        if answer.s("kind") == "Table" {
            table.columns = answer
                .list("columnDefinitions")
                .iter()
                .map(|c| (c.s("name").to_string(), c.i("priority") != 0))
                .collect();
            if let Some(Value::Array(rows)) = answer.get_mut("rows").map(Value::take) {
                table.rows = rows
                    .into_iter()
                    .map(|mut r| Row {
                        object: r.get_mut("object").map(Value::take).unwrap_or_default(),
                        cells: match r.get_mut("cells").map(Value::take) {
                            Some(Value::Array(a)) => a,
                            _ => Vec::new(),
                        },
                    })
                    .collect();
            }
            return table;
        }
        if answer.get("items").is_some() {
            let api_version = answer.s("apiVersion").to_string();
            let kind = answer.s("kind").trim_end_matches("List").to_string();
            if let Some(Value::Array(items)) = answer.get_mut("items").map(Value::take) {
                for mut object in items {
                    if let Value::Object(m) = &mut object {
                        m.entry("apiVersion").or_insert_with(|| api_version.clone().into());
                        m.entry("kind").or_insert_with(|| kind.clone().into());
                    }
                    table.rows.push(Row { cells: Vec::new(), object });
                }
            }
            return table;
        }
        table.rows.push(Row { cells: Vec::new(), object: answer });
        table
    }
}

/// How tables look.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    /// `-o wide`.
    pub(crate) wide: bool,
    /// `--no-headers`.
    pub(crate) no_headers: bool,
    /// The NAMESPACE column of `--all-namespaces`.
    pub(crate) with_namespace: bool,
    /// `pod/x` instead of `x`.
    pub(crate) with_kind: bool,
    /// The LABELS column.
    pub(crate) show_labels: bool,
    /// `-L`.
    pub(crate) label_columns: Vec<String>,
}

/// Makes the text of a table: cells end with tabs, columns are not aligned yet.
pub(crate) fn render(r: &Resource, table: &Table, s: &Settings, now: Timestamp) -> String {
    let columns = columns_for(r, table, s.wide);
    let mut out = String::new();
    if !s.no_headers {
        let mut headers: Vec<String> = Vec::new();
        if s.with_namespace {
            headers.push("NAMESPACE".into());
        }
        headers.extend(columns.iter().map(|(h, _)| h.clone()));
        for l in &s.label_columns {
            headers.push(l.rsplit('/').next().unwrap_or(l).to_uppercase());
        }
        if s.show_labels {
            headers.push("LABELS".into());
        }
        out.push_str(&headers.join("\t"));
        out.push('\n');
    }
    for row in &table.rows {
        let mut cells: Vec<String> = Vec::new();
        if s.with_namespace {
            cells.push(row.object.s("metadata.namespace").to_string());
        }
        for (_, source) in &columns {
            let mut cell = cell(source, table, row, now);
            if s.with_kind && (source == "name" || source == "@Name") {
                cell = format!("{}/{cell}", r.typed());
            }
            cells.push(cell);
        }
        let labels = row.object.strings("metadata.labels");
        for l in &s.label_columns {
            let value = labels.iter().find(|(k, _)| k == l).map_or("<none>", |(_, v)| v);
            // A missing label is an empty cell in v1.10.
            cells.push(if value == "<none>" { String::new() } else { value.to_string() });
        }
        if s.show_labels {
            cells.push(join_labels(&labels, "<none>"));
        }
        out.push_str(&cells.join("\t"));
        out.push('\n');
    }
    out
}

/// (header, source) of each column.
fn columns_for(r: &Resource, table: &Table, wide: bool) -> Vec<(String, String)> {
    let built_in = crate::discovery::is_built_in(&r.group);
    let line = COLUMNS
        .lines()
        .filter(|l| !l.starts_with('#'))
        .find(|l| built_in && l.split('|').next().is_some_and(|n| n.trim() == r.plural));
    if let Some(line) = line {
        return line
            .split('|')
            .skip(1)
            .map(str::trim)
            .filter(|c| wide || !c.starts_with('+'))
            .filter_map(|c| c.trim_start_matches('+').split_once('='))
            .map(|(h, s)| (h.to_string(), s.to_string()))
            .collect();
    }
    if wide && table.columns.len() > 1 {
        return table
            .columns
            .iter()
            .map(|(name, _)| {
                let source = match name.as_str() {
                    "Name" => "name".to_string(),
                    "Age" => "age".to_string(),
                    n => format!("@{n}"),
                };
                (name.to_uppercase(), source)
            })
            .collect();
    }
    vec![("NAME".into(), "name".into()), ("AGE".into(), "age".into())]
}

fn cell(source: &str, table: &Table, row: &Row, now: Timestamp) -> String {
    let o = &row.object;
    if let Some(column) = source.strip_prefix('@') {
        let at = table.columns.iter().position(|(n, _)| n == column);
        return match at.and_then(|i| row.cells.get(i)) {
            Some(v) => plain(v),
            None if column == "Name" => o.s("metadata.name").to_string(),
            None => String::new(),
        };
    }
    let field = |path: &str| -> (Option<Value>, String) {
        let (path, default) = path.split_once('?').unwrap_or((path, ""));
        (
            o.at(path.trim_start_matches('.')).filter(|v| !v.is_null() && *v != "").cloned(),
            default.to_string(),
        )
    };
    if source.starts_with('.') {
        let (value, default) = field(source);
        return value.map_or(default, |v| match v {
            Value::Array(_) => crate::print::jsonpath::show(&v),
            v => plain(&v),
        });
    }
    if let Some(path) = source.strip_prefix("age:") {
        let (value, default) = field(path);
        return value.map_or(default, |v| time::age(v.as_str().unwrap_or(""), now));
    }
    match source {
        "name" => o.s("metadata.name").to_string(),
        "age" => time::age(o.s("metadata.creationTimestamp"), now),
        "restarts" => restarts(o).to_string(),
        "secrets" => o.list("secrets").len().to_string(),
        "suspend" => if o.b("spec.suspend") { "True" } else { "False" }.to_string(),
        "targets" => hpa_targets(o),
        "event-last" => event_time(o, &["lastTimestamp", "series.lastObservedTime", "eventTime"], now),
        "event-first" => event_time(o, &["firstTimestamp", "eventTime"], now),
        "event-count" => event_count(o).to_string(),
        "event-source" => event_source(o),
        "event-message" => o.s("message").trim_end_matches('\n').to_string(),
        _ => String::new(),
    }
}

/// Restarts of all containers, of the init containers while they run (upstream: `printPod`).
fn restarts(pod: &Value) -> i64 {
    let sum = |path: &str| pod.list(path).iter().map(|c| c.i("restartCount")).sum::<i64>();
    let initializing = pod.list("status.initContainerStatuses").iter().any(|c| {
        let done = c.has("state.terminated") && c.i("state.terminated.exitCode") == 0;
        !done && !c.b("started")
    });
    if initializing { sum("status.initContainerStatuses") } else { sum("status.containerStatuses") }
}

/// `<unknown>/80%` (upstream: `formatHPAMetrics` for autoscaling/v1's one metric).
fn hpa_targets(hpa: &Value) -> String {
    let Some(target) = hpa.at("spec.targetCPUUtilizationPercentage").and_then(Value::as_i64) else {
        return if hpa.list("spec.metrics").is_empty() { "<none>".into() } else { "<unknown>".into() };
    };
    match hpa.at("status.currentCPUUtilizationPercentage").and_then(Value::as_i64) {
        Some(now) => format!("{now}%/{target}%"),
        None => format!("<unknown>/{target}%"),
    }
}

/// The first of the given times.
fn event_time(e: &Value, paths: &[&str], now: Timestamp) -> String {
    let text = paths.iter().map(|p| e.s(p)).find(|t| !t.is_empty()).unwrap_or("");
    time::age(text, now)
}

/// How often an event happened, in the old or the new form.
pub(crate) fn event_count(e: &Value) -> i64 {
    match e.i("count") {
        0 => e.i_or("series.count", if e.has("eventTime") { 1 } else { 0 }),
        n => n,
    }
}

/// `kubelet, node-1` (upstream: `formatEventSource`).
pub(crate) fn event_source(e: &Value) -> String {
    let component = match e.s("source.component") {
        "" => e.s("reportingComponent"),
        c => c,
    };
    match e.s("source.host") {
        "" => component.to_string(),
        h => format!("{component}, {h}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn resource(plural: &str, group: &str) -> Resource {
        Resource {
            group: group.into(),
            version: "v1".into(),
            kind: "X".into(),
            plural: plural.into(),
            singular: plural.trim_end_matches('s').into(),
            short: Vec::new(),
            namespaced: true,
            verbs: Vec::new(),
            categories: Vec::new(),
        }
    }

    fn now() -> Timestamp {
        "2026-11-22T12:27:00Z".parse().unwrap()
    }

    #[test]
    fn deployments_print_the_columns_of_v1_10() {
        let answer = json!({"kind": "Table",
            "columnDefinitions": [{"name": "Name"}, {"name": "Ready"}, {"name": "Containers", "priority": 1}],
            "rows": [{"cells": ["nginx", "1/1", "c"], "object": {
                "metadata": {"name": "nginx", "creationTimestamp": "2026-11-22T12:26:30Z"},
                "spec": {"replicas": 3}, "status": {"replicas": 2, "updatedReplicas": 2}}}]});
        let table = Table::from_answer(answer);
        let text = render(&resource("deployments", "apps"), &table, &Settings::default(), now());
        assert_eq!(
            crate::print::tabwriter::table(&text),
            "NAME      DESIRED   CURRENT   UP-TO-DATE   AVAILABLE   AGE\n\
             nginx     3         2         2            0           30s\n"
        );
    }

    #[test]
    fn unknown_kinds_print_name_and_age() {
        let table = Table::from_answer(json!({"kind": "Table",
            "columnDefinitions": [{"name": "Name"}, {"name": "Size"}, {"name": "Age"}],
            "rows": [{"cells": ["gear", 3, "9s"], "object": {"metadata": {"name": "gear", "labels": {"a": "b"},
                "creationTimestamp": "2026-11-22T12:26:30Z"}}}]}));
        let r = resource("widgets", "example.com");
        let s = Settings { with_kind: true, show_labels: true, ..Settings::default() };
        assert_eq!(render(&r, &table, &s, now()), "NAME\tAGE\tLABELS\nwidget.example.com/gear\t30s\ta=b\n");
        let wide = Settings { wide: true, ..Settings::default() };
        assert_eq!(render(&r, &table, &wide, now()), "NAME\tSIZE\tAGE\ngear\t3\t30s\n");
    }
}
