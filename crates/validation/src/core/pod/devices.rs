//! The health of the devices that containers got (`validateContainerStatusAllocatedResourcesStatus`).

use std::collections::HashSet;

use api::Value;
use api::field::{ErrorList, Path};

use super::status::by_name;
use crate::errs::Errs;
use crate::value::Get;

/// The longest message about a device, in bytes.
const MESSAGE_MAX: usize = 1024;

/// Ephemeral containers get no devices.
pub(super) fn none_allocated(statuses: &[Value], path: &Path<'_>, errs: &mut ErrorList) {
    for (i, status) in statuses.iter().enumerate() {
        if !status.list("allocatedResourcesStatus").is_empty() {
            let path = path.index(i);
            errs.forbidden(
                &path.child("allocatedResourcesStatus"),
                "must not be specified in container status",
            );
        }
    }
}

/// Devices are of what the container asks for, and each has an id of its own.
pub(super) fn allocated(statuses: &[Value], containers: &[Value], path: &Path<'_>, errs: &mut ErrorList) {
    if statuses.iter().all(|s| s.list("allocatedResourcesStatus").is_empty()) {
        return;
    }
    let containers = by_name(containers);
    for (i, status) in statuses.iter().enumerate() {
        let item = path.index(i);
        let path = item.child("allocatedResourcesStatus");
        // A status may be of a container that is not there.
        let container = containers.get(status.str("name"));
        for (j, of) in status.list("allocatedResourcesStatus").iter().enumerate() {
            let path = path.index(j);
            let name = of.str("name");
            let why = container.and_then(|container| unasked(container, name));
            if let Some(why) = why {
                errs.invalid(&path.child("name"), name, why);
            }
            healths(of.list("resources"), &path.child("resources"), errs);
        }
    }
}

/// Why a container has no such resource.
fn unasked(container: &Value, name: &str) -> Option<&'static str> {
    let resources = container.sub("resources");
    let Some(claimed) = name.strip_prefix("claim:") else {
        let asked = resources.sub("requests").as_object().is_some_and(|r| r.contains_key(name));
        return (!asked).then_some("must match one of the container's resource requests");
    };
    let asked = resources.list("claims").iter().any(|claim| {
        let rest = claimed.strip_prefix(claim.str("name"));
        match (rest, claim.str("request")) {
            (Some(rest), "") => rest.is_empty(),
            (Some(rest), request) => rest.strip_prefix('/') == Some(request),
            (None, _) => false,
        }
    });
    (!asked).then_some(
        "must match one of the container's resource claims in a format 'claim:<claimName>/<request>' or \
         'claim:<claimName>' if request is empty",
    )
}

fn healths(list: &[Value], path: &Path<'_>, errs: &mut ErrorList) {
    let mut seen: HashSet<&str> = HashSet::with_capacity(list.len());
    for (k, device) in list.iter().enumerate() {
        let path = path.index(k);
        let health = device.str("health");
        if !matches!(health, "Healthy" | "Unhealthy" | "Unknown") {
            errs.not_supported(&path.child("health"), health, &["Healthy", "Unhealthy", "Unknown"]);
        }
        match device.opt_str("message") {
            Some("") => errs.required(&path.child("message"), "must be non-empty if specified"),
            Some(message) if message.len() > MESSAGE_MAX => {
                errs.too_long(&path.child("message"), MESSAGE_MAX)
            }
            _ => {}
        }
        let id = device.str("resourceID");
        if !seen.insert(id) {
            errs.duplicate(&path.child("resourceID"), id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn devices_are_asked_for_healthy_or_not_and_told_apart() {
        let containers = json!([{"name": "c", "resources": {
            "requests": {"example.com/gpu": "1"}, "claims": [{"name": "a", "request": "r"}, {"name": "b"}],
        }}]);
        let statuses = json!([{"name": "c", "allocatedResourcesStatus": [
            {"name": "example.com/gpu", "resources": [{"resourceID": "x", "health": "Healthy"}]},
            {"name": "claim:a/r"},
            {"name": "claim:b"},
            {"name": "claim:a", "resources": [
                {"resourceID": "x", "health": "Odd"}, {"resourceID": "x", "health": "Unknown", "message": ""},
            ]},
            {"name": "cpu"},
        ]}, {"name": "gone", "allocatedResourcesStatus": [{"name": "cpu"}]}]);
        let list = |v: &Value| v.as_array().cloned().unwrap_or_default();
        let mut errs = ErrorList::new();
        allocated(&list(&statuses), &list(&containers), &Path::new("s"), &mut errs);
        let fields: Vec<String> = errs.iter().map(|e| e.field.clone()).collect();
        let at = |rest: &str| format!("s[0].allocatedResourcesStatus[{rest}");
        assert_eq!(
            fields,
            [
                at("3].name"),
                at("3].resources[0].health"),
                at("3].resources[1].message"),
                at("3].resources[1].resourceID"),
                at("4].name"),
            ]
        );
        let mut errs = ErrorList::new();
        none_allocated(&list(&statuses), &Path::new("e"), &mut errs);
        assert_eq!(errs.len(), 2);
    }
}
