//! `kubectl api-versions`.

use crate::cli::Flags;
use crate::context::Context;
use crate::error::Result;
use crate::print::out;

/// Runs `api-versions`.
pub(crate) fn run(ctx: &mut Context, _: &Flags, _: &[String]) -> Result {
    let mut all: Vec<String> = ctx.mapper()?.resources.iter().map(|r| r.api_version()).collect();
    all.sort();
    all.dedup();
    out(&format!("{}\n", all.join("\n")))
}
