//! `kubectl describe` (upstream v1.10: `pkg/kubectl/cmd/describe.go`).

use crate::cli::Flags;
use crate::context::Context;
use crate::describe::describe;
use crate::error::{Error, Result};
use crate::print::out;
use crate::resource::{Info, Rules, infos, list, namespace_for};

/// Runs `describe`.
pub(crate) fn run(ctx: &mut Context, flags: &Flags, words: &[String]) -> Result {
    if words.is_empty() && flags.list("filename").is_empty() {
        eprint!(
            "You must specify the type of resource to describe. Valid resource types include: {}",
            super::get::TYPES
        );
        return Err(flags.usage("Required resource not specified."));
    }
    let rules = Rules { flatten_errors: true, ..Rules::default() };
    let (mut found, mut errors) = infos(ctx, flags, words, &rules)?;
    if errors.len() == 1 && errors[0].is_not_found() && found.is_empty() && words.len() == 2 {
        // A name that is none may be the beginning of some.
        found = by_prefix(ctx, flags, words)?;
        if !found.is_empty() {
            errors.clear();
        }
    }
    let mut first = true;
    for info in found {
        // Objects from lists do not say what they are.
        match describe(ctx, &info.resource, &info.object, flags.bool("show-events")) {
            Ok(text) => {
                if !std::mem::take(&mut first) {
                    out("\n\n")?;
                }
                out(&text)?;
            }
            Err(e) => errors.push(e),
        }
    }
    Error::collect(errors)
}

fn by_prefix(ctx: &mut Context, flags: &Flags, words: &[String]) -> Result<Vec<Info>> {
    let resource = ctx.mapper()?.resolve(&words[0])?;
    let namespace = namespace_for(ctx, flags, &resource)?;
    let all = list(ctx, &resource, &namespace, "", "")?;
    Ok(all.into_iter().filter(|i| i.name.starts_with(&words[1])).collect())
}
