//! `kubectl patch` (upstream v1.10: `pkg/kubectl/cmd/patch.go`).

use super::create::{emit, record};
use crate::cli::Flags;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::patch::{JSON_PATCH, MERGE, STRATEGIC, apply_merge};
use crate::print::output::{Format, format};
use crate::resource::{Rules, infos};

/// Runs `patch`.
pub(crate) fn run(ctx: &mut Context, flags: &Flags, words: &[String]) -> Result {
    let kind = match flags.str("type").to_lowercase().as_str() {
        "strategic" => STRATEGIC,
        "merge" => MERGE,
        "json" => JSON_PATCH,
        other => {
            return Err(flags.usage(format!("--type must be one of [json merge strategic], not \"{other}\"")));
        }
    };
    let text = flags.str("patch");
    if text.is_empty() {
        return Err(flags.usage("Must specify -p to patch"));
    }
    let patch = crate::files::yaml_to_json(text).map_err(|e| format!("unable to parse \"{text}\": {e}"))?;
    let local = flags.bool("local");
    let rules = Rules { need_name: true, local, flatten_errors: true };
    let (infos, mut errors) = infos(ctx, flags, words, &rules)?;
    let format = format(flags)?;
    let dry = flags.bool("dry-run");
    for mut info in infos {
        let before = info.object.clone();
        if local || dry {
            if kind == JSON_PATCH {
                return Err("--local and --dry-run do not support --type=json".into());
            }
            apply_merge(&mut info.object, &patch);
        } else {
            match ctx.http()?.patch(&info.path(), kind, &patch) {
                Ok(o) => info.object = o,
                Err(e) => {
                    errors.push(e);
                    continue;
                }
            }
            record(ctx, flags, words, &mut info)?;
            crate::print::output::hide_managed_fields(&mut info.object);
        }
        let done = if info.object == before { "not patched" } else { "patched" };
        match &format {
            Format::Human if local => {}
            f => emit(f, &mut info, done, dry, false)?,
        }
    }
    Error::collect(errors)
}
