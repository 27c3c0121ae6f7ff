//! `kubectl replace` (upstream v1.10: `pkg/kubectl/cmd/replace.go`).

use http::Method;
use serde_json::json;

use super::create::{emit, prepare, record};
use super::generate::save_config;
use crate::cli::Flags;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::print::output::format;
use crate::resource::wanted;
use crate::value::{Json, set};

/// Runs `replace`.
pub(crate) fn run(ctx: &mut Context, flags: &Flags, words: &[String]) -> Result {
    if !words.is_empty() {
        return Err(flags.usage(format!("Unexpected args: [{}]", words.join(" "))));
    }
    if flags.list("filename").is_empty() {
        return Err(flags.usage("Must specify --filename to replace"));
    }
    let format = format(flags)?;
    let mut errors = Vec::new();
    for w in wanted(ctx, flags, &[], false)? {
        let mut info = match prepare(ctx, flags, w) {
            None => continue,
            Some(Ok(info)) => info,
            Some(Err(e)) => {
                errors.push(e);
                continue;
            }
        };
        let file = info.source.clone();
        if flags.bool("save-config") {
            save_config(&mut info.object);
        }
        let http = ctx.http()?;
        let sent = if flags.bool("force") {
            match super::delete::remove(ctx, &info, "Background", Some(flags.int("grace-period").max(0))) {
                Err(e) if !e.is_not_found() => Err(e),
                _ => super::wait::until(ctx, &info, 300_000, |o| Ok(o.is_none())).and_then(|_| {
                    http.write(Method::POST, &info.resource.collection(&info.namespace), &info.object)
                }),
            }
        } else {
            if info.object.s("metadata.resourceVersion").is_empty()
                && let Ok(now) = http.get(&info.path())
            {
                set(&mut info.object, "metadata.resourceVersion", json!(now.s("metadata.resourceVersion")));
            }
            http.write(Method::PUT, &info.path(), &info.object)
        };
        match sent {
            Ok(o) => {
                info.object = o;
                record(ctx, flags, words, &mut info)?;
                emit(&format, &mut info, "replaced", false, false)?;
            }
            Err(e) => errors.push(e.during(&format!("error when replacing \"{file}\""))),
        }
    }
    Error::collect(errors)
}
