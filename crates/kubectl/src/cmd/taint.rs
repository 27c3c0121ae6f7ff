//! `kubectl taint` (upstream v1.10: `pkg/kubectl/cmd/taint.go`).

use serde_json::{Value, json};

use crate::cli::Flags;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::patch::MERGE;
use crate::resource::{Rules, infos};
use crate::value::Json;

/// One taint; an empty effect stands for all.
#[derive(Debug, PartialEq, Clone)]
struct Taint {
    key: String,
    value: String,
    effect: String,
}

/// What is to be set and what is to be removed.
fn parse(words: &[String]) -> Result<(Vec<Taint>, Vec<Taint>)> {
    let (mut set, mut remove): (Vec<Taint>, Vec<Taint>) = (Vec::new(), Vec::new());
    for w in words {
        let bad = || Error::Message(format!("unknown taint spec: {w}"));
        if let Some(spec) = w.strip_suffix('-') {
            let (key, effect) = spec.split_once(':').unwrap_or((spec, ""));
            let key = key.split('=').next().unwrap_or(key);
            check_effect(effect, true)?;
            remove.push(Taint { key: key.into(), value: String::new(), effect: effect.into() });
        } else {
            let (pair, effect) = w.rsplit_once(':').ok_or_else(bad)?;
            let (key, value) =
                pair.split_once('=').ok_or_else(|| Error::Message(format!("invalid taint spec: {w}")))?;
            check_effect(effect, false)?;
            let t = Taint { key: key.into(), value: value.into(), effect: effect.into() };
            if set.iter().any(|s| s.key == t.key && s.effect == t.effect) {
                return Err(format!("duplicated taints with the same key and effect: {w}").into());
            }
            set.push(t);
        }
    }
    Ok((set, remove))
}

fn check_effect(effect: &str, may_be_empty: bool) -> Result {
    match effect {
        "NoSchedule" | "PreferNoSchedule" | "NoExecute" => Ok(()),
        "" if may_be_empty => Ok(()),
        other => Err(format!("invalid taint effect: {other}, unsupported taint effect").into()),
    }
}

/// Runs `taint`.
pub(crate) fn run(ctx: &mut Context, flags: &Flags, words: &[String]) -> Result {
    let is_change = |w: &&String| w.contains('=') || w.ends_with('-');
    let changes: Vec<String> = words.iter().filter(is_change).cloned().collect();
    let resources: Vec<String> = words.iter().filter(|w| !is_change(w)).cloned().collect();
    if resources.is_empty() {
        return Err(flags.usage("one or more resources must be specified as <resource> <name>"));
    }
    if changes.is_empty() {
        return Err(flags.usage("at least one taint update is required"));
    }
    let (set, remove) = parse(&changes)?;
    let rules = Rules { need_name: true, flatten_errors: true, ..Rules::default() };
    let (infos, mut errors) = infos(ctx, flags, &resources, &rules)?;
    for info in infos {
        if info.resource.kind != "Node" {
            return Err(
                format!("invalid resource type {}, only node(s) is supported", info.resource.plural).into()
            );
        }
        let mut taints: Vec<Value> = info.object.list("spec.taints").to_vec();
        let clash =
            set.iter().find(|s| taints.iter().any(|t| t.s("key") == s.key && t.s("effect") == s.effect));
        if let Some(c) = clash.filter(|_| !flags.bool("overwrite")) {
            errors.push(
                format!(
                    "Node {} already has {} taint(s) with same effect(s) and --overwrite is false",
                    info.name, c.key
                )
                .into(),
            );
            continue;
        }
        let mut missing = Vec::new();
        for r in &remove {
            let before = taints.len();
            taints.retain(|t| !(t.s("key") == r.key && (r.effect.is_empty() || t.s("effect") == r.effect)));
            if taints.len() == before {
                missing.push(Error::Message(format!("taint \"{}:{}\" not found", r.key, r.effect)));
            }
        }
        if !missing.is_empty() {
            errors.extend(missing);
            continue;
        }
        for s in &set {
            taints.retain(|t| !(t.s("key") == s.key && t.s("effect") == s.effect));
            let mut t = json!({"effect": s.effect, "key": s.key});
            if !s.value.is_empty() {
                t["value"] = s.value.clone().into();
            }
            taints.push(t);
        }
        let taints = if taints.is_empty() { Value::Null } else { taints.into() };
        match ctx.http()?.patch(&info.path(), MERGE, &json!({"spec": {"taints": taints}})) {
            Ok(_) => {
                let done = if set.is_empty() { "untainted" } else { "tainted" };
                info.say(done, flags.str("output") == "name", false)?;
            }
            Err(e) => errors.push(e),
        }
    }
    Error::collect(errors)
}
