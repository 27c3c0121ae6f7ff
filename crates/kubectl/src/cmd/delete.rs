//! `kubectl delete` (upstream v1.10: `pkg/kubectl/cmd/delete.go`).
//!
//! v1.10 had reapers: it scaled workloads down itself before it deleted them. Servers do that now, so
//! deletion here asks for propagation; what is printed is the same.

use serde_json::{Value, json};

use crate::cli::Flags;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::print::out;
use crate::resource::{Info, Wanted, from_document, list, namespace_for, wanted};

/// Runs `delete`.
pub(crate) fn run(ctx: &mut Context, flags: &Flags, words: &[String]) -> Result {
    let mut grace = flags.int("grace-period");
    if flags.bool("now") {
        if grace != -1 {
            return Err("--now and --grace-period cannot be specified together".into());
        }
        grace = 1;
    }
    let force = flags.bool("force");
    if grace == 0 && !force {
        // Without --force, 0 would leave containers running unseen: v1.10 makes it 1.
        grace = 1;
    }
    if force && grace < 0 {
        grace = 0;
    }
    let ignore = flags.bool("ignore-not-found") || (flags.bool("all") && !flags.changed("ignore-not-found"));
    let wanted = wanted(ctx, flags, words, true)?;
    if grace == 0 {
        eprintln!(
            "warning: Immediate deletion does not wait for confirmation that the running resource has been terminated. The resource may continue to run on the cluster indefinitely."
        );
    }
    let propagation = if flags.bool("cascade") { "Background" } else { "Orphan" };
    let mut errors = Vec::new();
    let mut found = 0;
    for w in wanted {
        let infos = match locate(ctx, flags, w) {
            Ok(i) => i,
            Err(e) => {
                errors.push(e);
                continue;
            }
        };
        for info in infos {
            found += 1;
            let grace = (grace >= 0).then_some(grace);
            match remove(ctx, &info, propagation, grace) {
                Err(e) if e.is_not_found() && ignore => continue,
                Err(e) if !info.source.is_empty() => {
                    errors.push(e.during(&format!("error when deleting \"{}\"", info.source)));
                    continue;
                }
                Err(e) => {
                    errors.push(e);
                    continue;
                }
                Ok(_) => {}
            }
            if flags.str("output") == "name" {
                out(&format!("{}/{}\n", info.resource.typed(), info.name))?;
            } else {
                out(&format!("{} \"{}\" deleted\n", info.resource.typed(), info.name))?;
            }
        }
    }
    if found == 0 && errors.is_empty() {
        out("No resources found\n")?;
    }
    Error::collect(errors)
}

/// What is to be deleted; single objects are not fetched first.
fn locate(ctx: &mut Context, flags: &Flags, w: Wanted) -> Result<Vec<Info>> {
    Ok(match w {
        Wanted::Failed(e) => return Err(e),
        Wanted::Doc(r, d) => vec![from_document(ctx, r, d)?],
        Wanted::One(resource, name) => {
            let namespace = namespace_for(ctx, flags, &resource)?;
            vec![Info { resource, namespace, name, object: Value::Null, source: String::new() }]
        }
        Wanted::Many(resource) => {
            let namespace = namespace_for(ctx, flags, &resource)?;
            list(ctx, &resource, &namespace, flags.str("selector"), flags.str("field-selector"))?
        }
    })
}

/// Deletes one object.
pub(crate) fn remove(ctx: &mut Context, info: &Info, propagation: &str, grace: Option<i64>) -> Result<Value> {
    let mut options = json!({"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": propagation});
    if let Some(g) = grace {
        options["gracePeriodSeconds"] = g.into();
    }
    ctx.http()?.delete(&info.path(), Some(&options))
}
