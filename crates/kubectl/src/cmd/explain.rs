//! `kubectl explain` (upstream v1.10: `pkg/kubectl/explain`).

use crate::cli::Flags;
use crate::context::Context;
use crate::discovery::split_api_version;
use crate::error::{Error, Result};
use crate::openapi::{Document, Schema};
use crate::print::out;

/// Runs `explain`.
pub(crate) fn run(ctx: &mut Context, flags: &Flags, words: &[String]) -> Result {
    let word = match words {
        [] => {
            eprintln!(
                "You must specify the type of resource to explain. Valid resource types include: {}",
                super::get::TYPES
            );
            return Err(flags.usage("Required resource not specified."));
        }
        [one] => one,
        _ => return Err(flags.usage("We accept only this format: explain RESOURCE")),
    };
    let mut parts = word.split('.');
    let kind = parts.next().unwrap_or("");
    let fields: Vec<&str> = parts.collect();
    let resource = ctx.mapper()?.resolve(kind).map_err(|e| Error::Plain(e.to_string()))?;
    let mut api_version = resource.api_version();
    if !flags.str("api-version").is_empty() {
        api_version = flags.str("api-version").to_string();
    }
    let document = Document::fetch(ctx)?;
    let (group, version) = split_api_version(&api_version);
    let Some(schema) = document.of_kind(group, version, &resource.kind) else {
        return Err(format!("Couldn't find resource for \"{api_version}, Kind={}\"", resource.kind).into());
    };
    out(&explain(&document, schema, &api_version, &resource.kind, &fields, flags.bool("recursive"))?)
}

fn explain(
    d: &Document,
    root: &Schema,
    version: &str,
    kind: &str,
    fields: &[&str],
    recursive: bool,
) -> Result<String> {
    let mut schema = root;
    for f in fields {
        let of = d.element(schema);
        schema = of.properties.get(*f).ok_or_else(|| format!("field \"{f}\" does not exist"))?;
    }
    let target = d.element(schema);
    let mut text = format!("KIND:     {kind}\nVERSION:  {version}\n\n");
    if let Some(last) = fields.last() {
        let word = if target.properties.is_empty() { "FIELD:   " } else { "RESOURCE:" };
        text.push_str(&format!("{word} {last} <{}>\n\n", d.type_name(schema)));
    }
    text.push_str("DESCRIPTION:\n");
    let own = schema.description.as_deref().unwrap_or("");
    text.push_str(&wrapped(if own.is_empty() { "<empty>" } else { own }, 5));
    // A field says what it is for; its type may say more.
    let more = target.description.as_deref().unwrap_or("");
    if !more.is_empty() && more != own {
        text.push('\n');
        text.push_str(&wrapped(more, 5));
    }
    if !target.properties.is_empty() {
        text.push_str("\nFIELDS:\n");
        write_fields(d, target, 3, recursive, &mut Vec::new(), &mut text);
    }
    Ok(text)
}

fn write_fields<'a>(
    d: &'a Document,
    schema: &'a Schema,
    indent: usize,
    recursive: bool,
    above: &mut Vec<*const Schema>,
    text: &mut String,
) {
    for (name, s) in &schema.properties {
        let required = if !recursive && schema.required.contains(name) { " -required-" } else { "" };
        text.push_str(&format!("{:indent$}{name}\t<{}>{required}\n", "", d.type_name(s)));
        if recursive {
            let inner = d.element(s);
            let here: *const Schema = inner;
            // Types that contain themselves are shown once.
            if !above.contains(&here) {
                above.push(here);
                write_fields(d, inner, indent + 3, true, above, text);
                above.pop();
            }
        } else {
            text.push_str(&wrapped(s.description.as_deref().unwrap_or("<no description>"), indent + 2));
            text.push('\n');
        }
    }
}

/// Breaks text at column 80.
fn wrapped(text: &str, indent: usize) -> String {
    let mut out = String::new();
    for paragraph in text.split('\n') {
        let mut line = String::new();
        for word in paragraph.split_whitespace() {
            if !line.is_empty() && indent + line.len() + 1 + word.len() > 80 {
                out.push_str(&format!("{:indent$}{line}\n", ""));
                line.clear();
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        out.push_str(format!("{:indent$}{line}", "").trim_end());
        out.push('\n');
    }
    out
}
