//! Failure and success policies of jobs, and lists of completion indexes.

use std::collections::HashSet;

use api::Value;
use api::field::{ErrorList, Path, go_quote};

use crate::errs::Errs;
use crate::meta;
use crate::names;
use crate::value::Get;

/// `validatePodFailurePolicy`.
pub(super) fn failure_policy(policy: &Value, spec: &Value, path: &Path<'_>, errs: &mut ErrorList) {
    let list = path.child("rules");
    let rules = policy.list("rules");
    if rules.len() > 20 {
        errs.too_many(&list, rules.len(), 20);
    }
    for (i, rule) in rules.iter().enumerate() {
        let path = list.index(i);
        const ACTIONS: &[&str] = &["Count", "FailIndex", "FailJob", "Ignore"];
        let action_path = path.child("action");
        match rule.str("action") {
            "" => {
                errs.required(&action_path, "valid values: [\"Count\" \"FailIndex\" \"FailJob\" \"Ignore\"]")
            }
            "FailIndex" if spec.at("backoffLimitPerIndex").is_none() => {
                errs.invalid(&action_path, "FailIndex", "requires the backoffLimitPerIndex to be set");
            }
            other if !ACTIONS.contains(&other) => errs.not_supported(&action_path, other, ACTIONS),
            _ => {}
        }
        let (codes, conditions) = (rule.at("onExitCodes"), rule.list("onPodConditions"));
        if let Some(codes) = codes {
            exit_codes(codes, spec, &path.child("onExitCodes"), errs);
        }
        pod_conditions(conditions, &path.child("onPodConditions"), errs);
        match (codes.is_some(), conditions.is_empty()) {
            (true, false) => {
                errs.invalid_bare(&path, "specifying both OnExitCodes and OnPodConditions is not supported")
            }
            (false, true) => {
                errs.invalid_bare(&path, "specifying one of OnExitCodes and OnPodConditions is required")
            }
            _ => {}
        }
    }
}

fn pod_conditions(conditions: &[Value], path: &Path<'_>, errs: &mut ErrorList) {
    const STATUSES: &[&str] = &["False", "True", "Unknown"];
    if conditions.len() > 20 {
        errs.too_many(path, conditions.len(), 20);
    }
    for (i, condition) in conditions.iter().enumerate() {
        let path = path.index(i);
        let (kind, status) = (condition.str("type"), condition.str("status"));
        errs.invalid_each(&path.child("type"), kind, names::is_qualified_name(kind));
        if status.is_empty() {
            errs.required(&path.child("status"), "valid values: [\"False\" \"True\" \"Unknown\"]");
        } else if !STATUSES.contains(&status) {
            errs.not_supported(&path.child("status"), status, STATUSES);
        }
    }
}

fn exit_codes(codes: &Value, spec: &Value, path: &Path<'_>, errs: &mut ErrorList) {
    let operator = codes.str("operator");
    match operator {
        "" => errs.required(&path.child("operator"), "valid values: [\"In\" \"NotIn\"]"),
        "In" | "NotIn" => {}
        other => errs.not_supported(&path.child("operator"), other, &["In", "NotIn"]),
    }
    if let Some(name) = codes.opt_str("containerName") {
        let pod = spec.sub("template").sub("spec");
        let known = ["containers", "initContainers"]
            .iter()
            .flat_map(|kind| pod.list(kind))
            .any(|c| c.str("name") == name);
        if !known {
            errs.invalid(
                &path.child("containerName"),
                name,
                "must be one of the container or initContainer names in the pod template",
            );
        }
    }
    let list = path.child("values");
    let values: Vec<i64> = codes.list("values").iter().map(|v| v.as_i64().unwrap_or(0)).collect();
    if values.is_empty() {
        errs.invalid(&list, codes.sub("values"), "at least one value is required");
    } else if values.len() > 255 {
        errs.too_many(&list, values.len(), 255);
    }
    let mut seen = HashSet::new();
    for (i, value) in values.iter().enumerate() {
        if operator == "In" && *value == 0 {
            errs.invalid(&list.index(i), *value, "must not be 0 for the In operator");
        }
        if !seen.insert(value) {
            errs.duplicate(&list.index(i), *value);
        }
    }
    if !values.is_sorted() {
        errs.invalid(&list, codes.sub("values"), "must be ordered");
    }
}

/// `validateSuccessPolicy`.
pub(super) fn success_policy(policy: &Value, completions: i64, path: &Path<'_>, errs: &mut ErrorList) {
    let list = path.child("rules");
    let rules = policy.list("rules");
    if rules.is_empty() {
        errs.required(&list, "at least one rules must be specified when the successPolicy is specified");
    }
    if rules.len() > 20 {
        errs.too_many(&list, rules.len(), 20);
    }
    for (i, rule) in rules.iter().enumerate() {
        let path = list.index(i);
        let (count, indexes) = (rule.opt_int("succeededCount"), rule.opt_str("succeededIndexes"));
        if count.is_none() && indexes.is_none() {
            errs.required(&path, "at least one of succeededCount or succeededIndexes must be specified");
        }
        let mut total = 0;
        if let Some(text) = indexes {
            let path = path.child("succeededIndexes");
            if text.len() > 64 * 1024 {
                errs.too_long(&path, 64 * 1024);
            }
            match count_indexes(text, completions) {
                Ok(n) => total = n,
                Err(why) => {
                    errs.invalid(&path, text, format!("error parsing succeededIndexes: {why}"));
                }
            }
        }
        if let Some(count) = count {
            let path = path.child("succeededCount");
            meta::non_negative(count, &path, errs);
            if count > completions {
                errs.invalid(
                    &path,
                    count,
                    format!(
                        "must be less than or equal to {completions} (the number of specified completions)"
                    ),
                );
            }
            if indexes.is_some() && count > total {
                errs.invalid(&path, count, format!("must be less than or equal to {total} (the number of indexes in the specified succeededIndexes field)"));
            }
        }
    }
}

/// `validateIndexesFormat`: how many indexes a text such as `1,3-5` lists.
pub(super) fn count_indexes(text: &str, completions: i64) -> Result<i64, String> {
    if text.is_empty() {
        return Ok(0);
    }
    let (mut last, mut total) = (None, 0);
    for interval in text.split(',') {
        let (x, y) = parse_interval(interval, completions)?;
        if let Some(previous) = last.filter(|l| *l >= x) {
            return Err(format!("non-increasing order, previous: {previous}, current: {x}"));
        }
        total += y - x + 1;
        last = Some(y);
    }
    Ok(total)
}

fn parse_interval(interval: &str, completions: i64) -> Result<(i64, i64), String> {
    let parts: Vec<&str> = interval.split('-').collect();
    if parts.len() > 2 {
        return Err(format!(
            "the fragment {} violates the requirement that an index interval can have at most two parts separated by '-'",
            go_quote(interval)
        ));
    }
    let index = |text: &str| {
        let n: i64 = text
            .parse()
            .map_err(|_| format!("cannot convert string to integer for index: {}", go_quote(text)))?;
        if n >= completions { Err(format!("too large index: {}", go_quote(text))) } else { Ok(n) }
    };
    let x = index(parts[0])?;
    let Some(second) = parts.get(1) else { return Ok((x, x)) };
    let y = index(second)?;
    if x >= y {
        return Err(format!("non-increasing order, previous: {x}, current: {y}"));
    }
    Ok((x, y))
}

/// `validateFailedIndexesNotOverlapCompleted`: the first index that both lists have.
pub(super) fn overlap(completed: &str, failed: &str, completions: i64) -> Option<i64> {
    let parse = |text: &str| -> Vec<(i64, i64)> {
        text.split(',').filter_map(|i| parse_interval(i, completions).ok()).collect()
    };
    let sorted = |text: &str| {
        let mut intervals = parse(text);
        intervals.sort_unstable();
        intervals
    };
    let (completed, failed) = (sorted(completed), sorted(failed));
    let (mut c, mut f) = (completed.iter().peekable(), failed.iter().peekable());
    while let (Some(a), Some(b)) = (c.peek(), f.peek()) {
        match (a.1 < b.0, b.1 < a.0) {
            (true, _) => _ = c.next(),
            (_, true) => _ = f.next(),
            _ => return Some(a.0.max(b.0)),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indexes() {
        assert_eq!(count_indexes("0,2-4", 10), Ok(4));
        assert_eq!(count_indexes("3-1", 10), Err("non-increasing order, previous: 3, current: 1".to_owned()));
        assert_eq!(count_indexes("10", 10), Err("too large index: \"10\"".to_owned()));
        assert_eq!(overlap("0,2-4", "3", 10), Some(3));
        assert_eq!(overlap("0", "1", 10), None);
    }
}
