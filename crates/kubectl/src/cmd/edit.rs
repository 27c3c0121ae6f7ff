//! `kubectl edit` (upstream v1.10: `pkg/kubectl/cmd/util/editor`).

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::cli::Flags;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::patch::{MERGE, STRATEGIC, is_empty, is_strategic, three_way_json, two_way};
use crate::print::yaml;
use crate::value::Json;

const HEADER: &str = "# Please edit the object below. Lines beginning with a '#' will be ignored,\n# and an empty file will abort the edit. If an error occurs while saving this file will be\n# reopened with the relevant failures.\n#\n";

/// Lets the user edit an object; None when nothing was changed.
pub(crate) fn in_editor(object: &Value) -> Result<Option<Value>> {
    edit(object).map(|(after, _)| after)
}

fn edit(object: &Value) -> Result<(Option<Value>, PathBuf)> {
    let path = std::env::temp_dir().join(format!("kubectl-edit-{}.yaml", std::process::id()));
    let before = format!("{HEADER}{}", yaml::to_string(object));
    std::fs::write(&path, &before)?;
    let editor = ["KUBE_EDITOR", "EDITOR"]
        .iter()
        .find_map(|k| std::env::var(k).ok().filter(|v| !v.is_empty()))
        .unwrap_or_else(|| "vi".into());
    let status =
        Command::new("sh").arg("-c").arg(format!("{editor} \"$1\"")).arg("sh").arg(&path).status()?;
    if !status.success() {
        return Err(format!("there was a problem with the editor \"{editor}\"").into());
    }
    let text = std::fs::read_to_string(&path)?;
    let unchanged = text == before;
    let after = if unchanged { Value::Null } else { crate::files::yaml_to_json(&text)? };
    if unchanged || after.is_null() || after == *object {
        std::fs::remove_file(&path)?;
        return Ok((None, path));
    }
    Ok((Some(after), path))
}

/// Runs `edit`.
pub(crate) fn run(ctx: &mut Context, flags: &Flags, words: &[String]) -> Result {
    for mut info in crate::resource::all(ctx, flags, words, true)? {
        let (Some(after), path) = edit(&info.object)? else {
            eprintln!("Edit cancelled, no changes made.");
            continue;
        };
        let (patch, kind) = if is_strategic(&info.object) {
            (two_way(&info.object, &after), STRATEGIC)
        } else {
            (three_way_json(&info.object, &after, &info.object), MERGE)
        };
        if is_empty(&patch) {
            eprintln!("Edit cancelled, no changes made.");
            continue;
        }
        match ctx.http()?.patch(&info.path(), kind, &patch) {
            Ok(o) => info.object = o,
            Err(e) => {
                let text = match &e {
                    Error::Status { status, .. } if e.is_reason("Invalid") => {
                        format!("error: {} \"{}\" is invalid", info.resource.plural, status.s("details.name"))
                    }
                    e => e.text(),
                };
                eprintln!("{text}\nA copy of your changes has been stored to \"{}\"", path.display());
                return Err("Edit cancelled, no valid changes were saved.".into());
            }
        }
        std::fs::remove_file(&path)?;
        info.say("edited", flags.str("output") == "name", false)?;
    }
    Ok(())
}
