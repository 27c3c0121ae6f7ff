//! Results: a table for people, JSON for programs.

use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::Error;

/// What one phase gave. What could not be measured is absent.
#[derive(Clone, Debug, Default)]
pub(crate) struct Row {
    pub(crate) name: String,
    /// How many operations, by how many clients at once.
    pub(crate) ops: usize,
    pub(crate) clients: usize,
    pub(crate) errors: usize,
    pub(crate) wall: Duration,
    /// Sorted, in microseconds.
    pub(crate) latencies: Vec<u32>,
    pub(crate) server_cpu: Option<Duration>,
    pub(crate) client_cpu: Duration,
    /// After the phase.
    pub(crate) rss: Option<u64>,
    /// Body bytes received.
    pub(crate) bytes: u64,
    /// Further figures by name.
    pub(crate) more: Vec<(&'static str, Value)>,
}

fn rounded(number: f64, digits: i32) -> f64 {
    let scale = 10_f64.powi(digits);
    (number * scale).round() / scale
}

impl Row {
    fn rate(&self) -> f64 {
        self.ops as f64 / self.wall.as_secs_f64().max(1e-9)
    }

    /// A latency in milliseconds.
    fn percentile(&self, percent: usize) -> Option<f64> {
        let last = self.latencies.len().checked_sub(1)?;
        Some(f64::from(self.latencies[last * percent / 100]) / 1000.0)
    }

    fn per_op(&self, time: Duration) -> f64 {
        time.as_secs_f64() * 1000.0 / self.ops.max(1) as f64
    }

    fn json(&self) -> Value {
        let mut out = Map::new();
        let mut set = |name: &str, value: Value| out.insert(name.to_owned(), value);
        set("ops", self.ops.into());
        set("clients", self.clients.into());
        set("errors", self.errors.into());
        set("seconds", rounded(self.wall.as_secs_f64(), 4).into());
        set("perSecond", rounded(self.rate(), 1).into());
        for percent in [50, 99] {
            if let Some(ms) = self.percentile(percent) {
                set(&format!("p{percent}Ms"), ms.into());
            }
        }
        if let Some(cpu) = self.server_cpu {
            set("serverCpuMsPerOp", rounded(self.per_op(cpu), 5).into());
        }
        set("clientCpuMsPerOp", rounded(self.per_op(self.client_cpu), 5).into());
        if let Some(rss) = self.rss {
            set("rssBytes", rss.into());
        }
        set("bodyBytes", self.bytes.into());
        for (name, value) in &self.more {
            set(name, value.clone());
        }
        Value::Object(out)
    }
}

/// All phases.
#[derive(Default)]
pub(crate) struct Report {
    head: Map<String, Value>,
    rows: Vec<Row>,
}

/// A number as wide as a column, with as many digits as it needs.
fn cell(value: Option<f64>, width: usize) -> String {
    match value {
        None => format!("{:>width$}", "-"),
        Some(v) if v >= 100.0 => format!("{v:>width$.0}"),
        Some(v) if v >= 1.0 => format!("{v:>width$.2}"),
        Some(v) => format!("{v:>width$.4}"),
    }
}

impl Report {
    /// A figure of the whole run.
    pub(crate) fn set(&mut self, name: &str, value: Value) {
        self.head.insert(name.to_owned(), value);
    }

    /// Prints the head of the table.
    pub(crate) fn begin(&self) {
        println!(
            "{:<26}{:>8}{:>6}{:>10}{:>10}{:>10}{:>12}{:>12}{:>9}{:>10}",
            "phase", "ops", "par", "op/s", "p50 ms", "p99 ms", "server ms/op", "client ms/op", "RSS MB", "MB"
        );
    }

    /// Adds a phase and prints its line.
    pub(crate) fn add(&mut self, row: Row) {
        const MB: f64 = 1e6;
        println!(
            "{:<26}{:>8}{:>6}{:>10.0}{}{}{}{}{}{:>10.1}",
            row.name,
            row.ops,
            row.clients,
            row.rate(),
            cell(row.percentile(50), 10),
            cell(row.percentile(99), 10),
            cell(row.server_cpu.map(|c| row.per_op(c)), 12),
            cell(Some(row.per_op(row.client_cpu)), 12),
            cell(row.rss.map(|b| b as f64 / MB), 9),
            row.bytes as f64 / MB
        );
        for (name, value) in &row.more {
            println!("{:<26}{name}: {value}", "");
        }
        if row.errors > 0 {
            println!("{:<26}{} of these failed", "", row.errors);
        }
        self.rows.push(row);
    }

    /// Writes the JSON.
    pub(crate) fn write(&self, path: Option<&Path>) -> Result<(), Error> {
        let Some(path) = path else { return Ok(()) };
        let phases: Map<String, Value> = self.rows.iter().map(|r| (r.name.clone(), r.json())).collect();
        let mut all = self.head.clone();
        all.insert("phases".into(), Value::Object(phases));
        let text = serde_json::to_vec_pretty(&json!(all)).map_err(|e| Error::Usage(e.to_string()))?;
        std::fs::write(path, text).map_err(|e| Error::Usage(format!("--json: {}: {e}", path.display())))
    }
}
