//! `kubectl wait` (newer than v1.10, in the form of v1.20) and waiting inside other commands.

use serde_json::Value;

use crate::cli::Flags;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::http::{JSON, with_query};
use crate::resource::{Info, Rules, infos};
use crate::value::{Json, plain};

/// Waits until `done` says so about the object (None: it is gone); false when the time is up.
pub(crate) fn until(
    ctx: &mut Context,
    info: &Info,
    timeout_ms: i64,
    mut done: impl FnMut(Option<&Value>) -> Result<bool>,
) -> Result<bool> {
    let http = ctx.http()?;
    let deadline =
        std::time::Instant::now() + std::time::Duration::from_millis(timeout_ms.max(0).unsigned_abs());
    loop {
        let now = match http.get(&info.path()) {
            Ok(o) => Some(o),
            Err(e) if e.is_not_found() => None,
            Err(e) => return Err(e),
        };
        if done(now.as_ref())? {
            return Ok(true);
        }
        let left = deadline.saturating_duration_since(std::time::Instant::now()).as_secs_f64().ceil() as u64;
        if left == 0 {
            return Ok(false);
        }
        let version = now.map_or(String::new(), |o| o.s("metadata.resourceVersion").to_string());
        let seconds = left.to_string();
        let selector = format!("metadata.name={}", info.name);
        let path = with_query(
            &info.resource.collection(&info.namespace),
            &[
                ("fieldSelector", &selector),
                ("resourceVersion", &version),
                ("timeoutSeconds", &seconds),
                ("watch", "true"),
            ],
        );
        let mut finished = false;
        http.watch(&path, JSON, |kind, o| {
            finished = match kind {
                "DELETED" => done(None)?,
                "ADDED" | "MODIFIED" => done(Some(&o))?,
                _ => false,
            };
            Ok(!finished)
        })?;
        if finished {
            return Ok(true);
        }
    }
}

/// Waits until no object of a collection matches any more; false when the time is up.
pub(crate) fn until_none(
    http: &crate::http::Http,
    collection: &str,
    timeout_ms: i64,
    mut matches: impl FnMut(&Value) -> bool,
) -> Result<bool> {
    let list = http.get(collection)?;
    let uid = |o: &Value| o.s("metadata.uid").to_string();
    let mut left: Vec<String> = list.list("items").iter().filter(|o| matches(o)).map(uid).collect();
    if left.is_empty() {
        return Ok(true);
    }
    let (version, seconds) = (list.s("metadata.resourceVersion"), (timeout_ms / 1000).max(1).to_string());
    let path = with_query(
        collection,
        &[("resourceVersion", version), ("timeoutSeconds", &seconds), ("watch", "true")],
    );
    http.watch(&path, JSON, |kind, o| {
        let id = uid(&o);
        left.retain(|l| *l != id);
        if kind != "DELETED" && matches(&o) {
            left.push(id);
        }
        Ok(!left.is_empty())
    })?;
    Ok(left.is_empty())
}

/// What to wait for.
enum Condition {
    Deleted,
    /// Type and status.
    Status(String, String),
    /// Path and value.
    Path(crate::print::jsonpath::Template, String),
}

fn condition(text: &str) -> Result<Condition> {
    if text.eq_ignore_ascii_case("delete") {
        return Ok(Condition::Deleted);
    }
    if let Some(c) = text.strip_prefix("condition=") {
        let (kind, status) = c.split_once('=').unwrap_or((c, "true"));
        return Ok(Condition::Status(kind.into(), status.into()));
    }
    if let Some(p) = text.strip_prefix("jsonpath=") {
        let (path, value) = p
            .rsplit_once('=')
            .ok_or("jsonpath wait format must be --for=jsonpath='{.status.readyReplicas}'=3")?;
        let path = crate::print::jsonpath::relaxed(path.trim_matches('\''))?;
        return Ok(Condition::Path(crate::print::jsonpath::parse(&path)?, value.into()));
    }
    Err(format!("unrecognized condition: \"{text}\"").into())
}

impl Condition {
    fn holds(&self, o: Option<&Value>) -> Result<bool> {
        Ok(match (self, o) {
            (Condition::Deleted, o) => o.is_none(),
            (_, None) => return Err("the object has been deleted".into()),
            (Condition::Status(kind, status), Some(o)) => o.list("status.conditions").iter().any(|c| {
                c.s("type").eq_ignore_ascii_case(kind) && c.s("status").eq_ignore_ascii_case(status)
            }),
            (Condition::Path(t, value), Some(o)) => t.find(o)?.iter().any(|v| plain(v) == *value),
        })
    }
}

/// Runs `wait`.
pub(crate) fn run(ctx: &mut Context, flags: &Flags, words: &[String]) -> Result {
    let wanted = condition(flags.str("for"))?;
    let timeout = match flags.millis("timeout") {
        0 => 0,
        t if t < 0 => 7 * 24 * 3_600_000,
        t => t,
    };
    let rules = Rules { need_name: true, flatten_errors: true, ..Rules::default() };
    let (infos, mut errors) = infos(ctx, flags, words, &rules)?;
    if infos.is_empty() && errors.is_empty() {
        return Err("no matching resources found".into());
    }
    for info in infos {
        match until(ctx, &info, timeout, |o| wanted.holds(o)) {
            Ok(true) => {
                let done = if matches!(wanted, Condition::Deleted) { "deleted" } else { "condition met" };
                crate::print::out(&format!("{}/{} {done}\n", info.resource.typed(), info.name))?;
            }
            Ok(false) => errors.push(
                format!("timed out waiting for the condition on {}/{}", info.resource.plural, info.name)
                    .into(),
            ),
            Err(e) => errors.push(e),
        }
    }
    Error::collect(errors)
}
