//! `kubectl version` (upstream v1.10: `pkg/kubectl/cmd/version.go`).

use component_base::version as own;
use serde_json::{Value, json};

use crate::cli::Flags;
use crate::context::Context;
use crate::error::Result;
use crate::print::{json, out, yaml};
use crate::value::Json;

/// This build, in the form of the server's `/version`.
fn client() -> Value {
    json!({
        "major": own::MAJOR, "minor": own::MINOR, "gitVersion": own::GIT_VERSION, "gitCommit": "", "gitTreeState": "",
        "buildDate": "1970-01-01T00:00:00Z", "goVersion": "", "compiler": "rustc",
        "platform": format!("{}/{}", std::env::consts::OS, match std::env::consts::ARCH {
            "x86_64" => "amd64", "aarch64" => "arm64", a => a }),
    })
}

/// Go's `%#v` of a version.Info.
fn long(v: &Value) -> String {
    let fields: Vec<String> = FIELDS.iter().map(|(go, key)| format!("{go}:\"{}\"", v.s(key))).collect();
    format!("version.Info{{{}}}", fields.join(", "))
}

const FIELDS: &[(&str, &str)] = &[
    ("Major", "major"),
    ("Minor", "minor"),
    ("GitVersion", "gitVersion"),
    ("GitCommit", "gitCommit"),
    ("GitTreeState", "gitTreeState"),
    ("BuildDate", "buildDate"),
    ("GoVersion", "goVersion"),
    ("Compiler", "compiler"),
    ("Platform", "platform"),
];

/// JSON in the order of Go's struct.
fn ordered_json(parts: &[(&str, Value)]) -> String {
    let mut text = String::from("{\n");
    for (i, (name, v)) in parts.iter().enumerate() {
        text.push_str(&format!("  \"{name}\": {{\n"));
        for (j, (_, key)) in FIELDS.iter().enumerate() {
            let comma = if j + 1 < FIELDS.len() { "," } else { "" };
            text.push_str(&format!("    \"{key}\": {}{comma}\n", json::compact(&json!(v.s(key)))));
        }
        text.push_str(if i + 1 < parts.len() { "  },\n" } else { "  }\n" });
    }
    text.push_str("}\n");
    text
}

/// Runs `version`.
pub(crate) fn run(ctx: &mut Context, flags: &Flags, _: &[String]) -> Result {
    let format = flags.str("output");
    if !["", "yaml", "json"].contains(&format) {
        return Err(flags.usage("--output must be 'yaml' or 'json'"));
    }
    let mut parts = vec![("clientVersion", client())];
    let mut failed = None;
    if !flags.bool("client") {
        match ctx.http().and_then(|h| h.get("/version")) {
            Ok(v) => parts.push(("serverVersion", v)),
            Err(e) => failed = Some(e),
        }
    }
    match format {
        "json" => out(&ordered_json(&parts))?,
        "yaml" => {
            let whole: Value = Value::Object(parts.into_iter().map(|(k, v)| (k.to_string(), v)).collect());
            out(&format!("{}\n", yaml::to_string(&whole)))?;
        }
        _ => {
            for (i, (_, v)) in parts.iter().enumerate() {
                let who = if i == 0 { "Client" } else { "Server" };
                let text = if flags.bool("short") { v.s("gitVersion").to_string() } else { long(v) };
                out(&format!("{who} Version: {text}\n"))?;
            }
        }
    }
    failed.map_or(Ok(()), Err)
}
