//! `kubectl scale` (upstream v1.10: `pkg/kubectl/cmd/scale.go`).

use http::Method;
use serde_json::json;

use crate::cli::Flags;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::print::output::{Format, format};
use crate::resource::{Info, Rules, infos};
use crate::value::{Json, set};

/// Runs `scale`.
pub(crate) fn run(ctx: &mut Context, flags: &Flags, words: &[String]) -> Result {
    let replicas = flags.int("replicas");
    if replicas < 0 {
        return Err(flags
            .usage("The --replicas=COUNT flag is required, and COUNT must be greater than or equal to 0"));
    }
    let local = !flags.list("filename").is_empty();
    let rules = Rules { need_name: true, local, flatten_errors: true };
    let (infos, mut errors) = infos(ctx, flags, words, &rules)?;
    let name_only = matches!(format(flags)?, Format::Name);
    for info in infos {
        match one(ctx, flags, &info, replicas) {
            Ok(()) => info.say("scaled", name_only, false)?,
            Err(e) => errors.push(e),
        }
    }
    Error::collect(errors)
}

fn one(ctx: &mut Context, flags: &Flags, info: &Info, replicas: i64) -> Result {
    let http = ctx.http()?;
    let path = format!("{}/scale", info.path());
    let expected = flags.int("current-replicas");
    loop {
        let mut scale = http.get(&path).map_err(|e| match e {
            Error::Status { ref status, .. } if e.is_not_found() => Error::Plain(format!(
                "Scaling the resource failed with: could not fetch the scale for {} {}: {}",
                info.resource.plural,
                info.name,
                status.s("message").split(" (get").next().unwrap_or("")
            )),
            e => e,
        })?;
        let now = scale.i("spec.replicas");
        if expected >= 0 && now != expected {
            return Err(format!("Expected replicas to be {expected}, was {now}").into());
        }
        let version = flags.str("resource-version");
        if !version.is_empty() && scale.s("metadata.resourceVersion") != version {
            return Err(format!(
                "Expected resource version to be {version}, was {}",
                scale.s("metadata.resourceVersion")
            )
            .into());
        }
        set(&mut scale, "spec.replicas", json!(replicas));
        match http.write(Method::PUT, &path, &scale) {
            // Somebody else was faster: look again.
            Err(e) if e.is_reason("Conflict") && version.is_empty() => {}
            Err(e) => return Err(e),
            Ok(_) => return wait(ctx, flags, info, replicas),
        }
    }
}

/// `--timeout`: waits until there are that many.
fn wait(ctx: &mut Context, flags: &Flags, info: &Info, replicas: i64) -> Result {
    let timeout = flags.millis("timeout");
    if timeout <= 0 {
        return Ok(());
    }
    super::wait::until(ctx, info, timeout, |o| {
        Ok(o.is_some_and(|o| {
            o.i("status.observedGeneration") >= o.i("metadata.generation")
                && o.i("status.replicas") == replicas
        }))
    })
    .map(|_| ())
}
