//! `kubectl options`, `kubectl plugin`.

use crate::cli::{Flags, Kind};
use crate::context::Context;
use crate::error::Result;
use crate::print::out;

/// Lists the flags of all commands.
pub(crate) fn run(_: &mut Context, _: &Flags, _: &[String]) -> Result {
    let mut text = String::from("The following options can be passed to any command:\n\n");
    for f in crate::commands::GLOBAL {
        let short = f.short.map_or("    ".to_string(), |c| format!("-{c}, "));
        let default = if f.kind == Kind::Bool { f.default.to_string() } else { format!("'{}'", f.default) };
        text.push_str(&format!("  {short}--{}={default}: {}\n", f.name, f.help));
    }
    out(&text)
}

/// Plugins are not supported.
pub(crate) fn plugin(_: &mut Context, _: &Flags, _: &[String]) -> Result {
    Err("no plugins installed.".into())
}
