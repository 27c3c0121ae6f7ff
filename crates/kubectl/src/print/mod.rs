//! Output formats.

pub(crate) mod columns;
pub(crate) mod custom;
pub(crate) mod gotemplate;
pub(crate) mod json;
pub(crate) mod jsonpath;
pub(crate) mod output;
pub(crate) mod tabwriter;
pub(crate) mod yaml;

use std::io::Write;

use crate::error::Result;

/// Writes text to standard output; a closed pipe is an error, not a panic.
pub(crate) fn out(text: &str) -> Result {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()?;
    Ok(())
}
