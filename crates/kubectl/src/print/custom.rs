//! `-o custom-columns=…` (upstream: `printers.CustomColumnsPrinter`).

use serde_json::Value;

use crate::error::Result;
use crate::print::jsonpath::{self, show};

/// Header and path of each column.
#[derive(Debug)]
pub(crate) struct Columns(Vec<(String, jsonpath::Template)>);

/// Parses `NAME:.metadata.name,AGE:.x`.
pub(crate) fn parse(spec: &str) -> Result<Columns> {
    if spec.is_empty() {
        return Err("custom-columns format specified but no custom columns given".into());
    }
    let mut columns = Vec::new();
    for part in spec.split(',') {
        let (header, path) = part.split_once(':').ok_or_else(|| {
            format!("unexpected custom-columns spec: {part}, expected <header>:<json-path-expr>")
        })?;
        columns.push((header.to_string(), template(path)?));
    }
    Ok(Columns(columns))
}

/// Parses a file with a line of headers and a line of paths.
pub(crate) fn parse_file(text: &str) -> Result<Columns> {
    let mut lines = text.lines();
    let headers: Vec<&str> = lines.next().unwrap_or("").split_whitespace().collect();
    let paths: Vec<&str> = lines.next().unwrap_or("").split_whitespace().collect();
    if headers.len() != paths.len() || headers.is_empty() {
        return Err(format!(
            "number of headers ({}) and field specifications ({}) don't match",
            headers.len(),
            paths.len()
        )
        .into());
    }
    let columns = headers.iter().zip(paths).map(|(h, p)| Ok((h.to_string(), template(p)?)));
    Ok(Columns(columns.collect::<Result<_>>()?))
}

fn template(path: &str) -> Result<jsonpath::Template> {
    Ok(jsonpath::parse(&jsonpath::relaxed(path)?)?)
}

/// The text of the table, not aligned yet.
pub(crate) fn render(columns: &Columns, objects: &[&Value], headers: bool) -> Result<String> {
    let mut out = String::new();
    if headers {
        let names: Vec<&str> = columns.0.iter().map(|(h, _)| h.as_str()).collect();
        out.push_str(&names.join("\t"));
        out.push('\n');
    }
    for o in objects {
        let mut cells = Vec::new();
        for (_, t) in &columns.0 {
            let found = t.find(o)?;
            cells.push(if found.is_empty() {
                "<none>".to_string()
            } else {
                found.into_iter().map(show).collect::<Vec<_>>().join(",")
            });
        }
        out.push_str(&cells.join("\t"));
        out.push('\n');
    }
    Ok(out)
}
