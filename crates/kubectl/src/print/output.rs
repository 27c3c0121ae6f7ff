//! The `-o` flag: which printer, and printing objects with it.

use serde_json::{Value, json};

use crate::cli::Flags;
use crate::discovery::Resource;
use crate::error::Result;
use crate::print::{custom, gotemplate, json, jsonpath, out, tabwriter, yaml};
use crate::value::Json;

/// An output format.
#[derive(Debug)]
pub(crate) enum Format {
    /// A table or a message for people.
    Human,
    /// The table with more columns.
    Wide,
    /// `-o name`.
    Name,
    /// `-o yaml`.
    Yaml,
    /// `-o json`.
    Json,
    /// `-o jsonpath=…`.
    JsonPath(jsonpath::Template),
    /// `-o go-template=…`.
    GoTemplate(gotemplate::Template),
    /// `-o custom-columns=…`.
    Custom(custom::Columns),
}

/// Reads `-o` (upstream: `printers.GetStandardPrinter` and its messages).
pub(crate) fn format(flags: &Flags) -> Result<Format> {
    let text = flags.str("output");
    let (name, argument) = match text.split_once('=') {
        Some((n, a)) => (n, Some(a.to_string())),
        None => (text, None),
    };
    let argument = argument.or_else(|| flags.changed("template").then(|| flags.str("template").to_string()));
    let template = |what: &str, a: Option<String>| -> Result<String> {
        a.filter(|a| !a.is_empty()).ok_or_else(|| format!("{what} specified but no {what} given").into())
    };
    Ok(match name {
        "" if flags.changed("template") => {
            return go_template(flags.str("template"));
        }
        "" => Format::Human,
        "wide" => Format::Wide,
        "name" => Format::Name,
        "yaml" => Format::Yaml,
        "json" => Format::Json,
        "jsonpath" | "jsonpath-file" => {
            let mut a = argument.ok_or("template format specified but no template given")?;
            if name == "jsonpath-file" {
                a = std::fs::read_to_string(&a).map_err(|e| format!("error reading template {a}, {e}"))?;
            }
            let t = jsonpath::parse(&a).map_err(|e| format!("error parsing jsonpath {a}, {e}"))?;
            Format::JsonPath(t)
        }
        "custom-columns" => Format::Custom(custom::parse(&argument.unwrap_or_default())?),
        "custom-columns-file" => {
            let file = template("custom-columns-file", argument)?;
            Format::Custom(custom::parse_file(&std::fs::read_to_string(file)?)?)
        }
        "go-template" | "template" | "templatefile" | "go-template-file" => {
            let mut a = argument.ok_or("template format specified but no template given")?;
            if name.ends_with("file") {
                a = std::fs::read_to_string(&a).map_err(|e| format!("error reading template {a}, {e}"))?;
            }
            return go_template(&a);
        }
        other => return Err(format!("output format \"{other}\" not recognized").into()),
    })
}

fn go_template(text: &str) -> Result<Format> {
    let template = gotemplate::parse(text).map_err(|e| format!("error parsing template {text}, {e}"))?;
    Ok(Format::GoTemplate(template))
}

impl Format {
    /// Is it for people?
    pub(crate) fn is_human(&self) -> bool {
        matches!(self, Format::Human | Format::Wide)
    }

    /// Prints one object. `human` is what people see.
    pub(crate) fn print(&self, r: &Resource, object: &Value, human: impl FnOnce() -> String) -> Result {
        match self {
            Format::Human | Format::Wide => out(&human()),
            Format::Name => out(&format!("{}/{}\n", r.typed(), object.s("metadata.name"))),
            other => other.print_objects(std::slice::from_ref(&object), false, true),
        }
    }

    /// Prints objects as one document; several objects, or `list`, become a `List`.
    pub(crate) fn print_objects(&self, objects: &[&Value], list: bool, headers: bool) -> Result {
        if let Format::Custom(columns) = self {
            return out(&tabwriter::table(&custom::render(columns, objects, headers)?));
        }
        let whole;
        let document: &Value = if list || objects.len() != 1 {
            whole = json!({
                "apiVersion": "v1",
                "kind": "List",
                "items": objects,
                "metadata": {"resourceVersion": "", "selfLink": ""},
            });
            &whole
        } else {
            objects[0]
        };
        match self {
            Format::Yaml => out(&yaml::to_string(document)),
            Format::Json => out(&json::to_string(document)),
            Format::GoTemplate(t) => match t.print(document) {
                Ok(text) => out(&text),
                Err(e) => Err(format!("error executing template: {e}").into()),
            },
            Format::JsonPath(t) => match t.print(document) {
                Ok(text) => out(&text),
                Err(e) => Err(format!("error executing jsonpath \"{}\": {e}", t.text()).into()),
            },
            _ => Ok(()),
        }
    }
}

/// Takes away what v1.10 did not know and today's kubectl hides.
pub(crate) fn hide_managed_fields(object: &mut Value) {
    if let Some(Value::Object(m)) = object.get_mut("metadata") {
        m.remove("managedFields");
    }
}
