//! `kubectl api-resources` (newer than v1.10's release, in the form of v1.11).

use crate::cli::Flags;
use crate::context::Context;
use crate::error::Result;
use crate::print::{out, tabwriter};

/// Runs `api-resources`.
pub(crate) fn run(ctx: &mut Context, flags: &Flags, _: &[String]) -> Result {
    let mapper = ctx.mapper()?;
    let mut rows: Vec<&crate::discovery::Resource> = Vec::new();
    for r in &mapper.resources {
        let skip = r.verbs.is_empty()
            || (flags.changed("api-group") && r.group != flags.str("api-group"))
            || (flags.changed("namespaced") && r.namespaced != flags.bool("namespaced"))
            || flags.list("verbs").iter().any(|v| !r.verbs.contains(v))
            || flags.list("categories").iter().any(|c| !r.categories.contains(c))
            // One row per resource: its preferred version comes first.
            || rows.iter().any(|o| o.group == r.group && o.plural == r.plural);
        if !skip {
            rows.push(r);
        }
    }
    rows.sort_by_key(|r| (r.group.clone(), r.plural.clone()));
    if flags.str("output") == "name" {
        let mut names: Vec<String> = rows.iter().map(|r| r.qualified()).collect();
        names.sort();
        return out(&format!("{}\n", names.join("\n")));
    }
    let wide = flags.str("output") == "wide";
    let mut text = String::new();
    if !flags.bool("no-headers") {
        text.push_str("NAME\tSHORTNAMES\tAPIGROUP\tNAMESPACED\tKIND");
        text.push_str(if wide { "\tVERBS\n" } else { "\n" });
    }
    for r in rows {
        text.push_str(&format!(
            "{}\t{}\t{}\t{}\t{}",
            r.plural,
            r.short.join(","),
            r.group,
            r.namespaced,
            r.kind
        ));
        if wide {
            text.push_str(&format!("\t[{}]", r.verbs.join(" ")));
        }
        text.push('\n');
    }
    out(&tabwriter::table(&text))
}
