//! What the author of a stricter label is told about the pods that are there (`EvaluatePodsInNamespace`).

use api::Value;

use super::{LevelVersion, evaluate};
use crate::{items, text};

/// How many pods are looked at.
const PODS_MAX: usize = 3000;

/// Pods with the same faults.
struct Group {
    reasons: String,
    first: String,
    count: usize,
}

fn controller(pod: &Value) -> Option<&str> {
    let owners = items(pod, &["metadata", "ownerReferences"]).iter();
    let mut of = owners.filter(|o| o.get("controller").and_then(Value::as_bool) == Some(true));
    of.next().map(|o| text(o, &["uid"]))
}

/// One pod of each controller first: the others are like it.
fn in_order(pods: &[Value]) -> Vec<&Value> {
    let (mut first, mut more, mut seen) = (Vec::new(), Vec::new(), Vec::new());
    for pod in pods {
        match controller(pod) {
            Some(uid) if seen.contains(&uid) => more.push(pod),
            uid => {
                seen.extend(uid);
                first.push(pod);
            }
        }
    }
    first.append(&mut more);
    first
}

/// The warnings about the pods of a namespace.
pub fn warnings(namespace: &str, pods: &[Value], enforce: LevelVersion) -> Vec<String> {
    let ordered = in_order(pods);
    let mut groups: Vec<Group> = Vec::new();
    for pod in ordered.iter().take(PODS_MAX) {
        let found = evaluate(enforce, pod);
        if found.is_empty() {
            continue;
        }
        let reasons: Vec<&str> = found.iter().map(|f| f.reason).collect();
        let (reasons, name) = (reasons.join(", "), text(pod, &["metadata", "name"]).to_owned());
        match groups.iter_mut().find(|g| g.reasons == reasons) {
            Some(group) => {
                group.count += 1;
                if name < group.first {
                    group.first = name;
                }
            }
            None => groups.push(Group { reasons, first: name, count: 1 }),
        }
    }
    let mut out = Vec::new();
    if ordered.len() > PODS_MAX {
        out.push(format!(
            "new PodSecurity enforce level only checked against the first {PODS_MAX} of {} existing pods",
            ordered.len()
        ));
    }
    if !groups.is_empty() {
        out.push(format!(
            "existing pods in namespace \"{namespace}\" violate the new PodSecurity enforce level \"{enforce}\""
        ));
    }
    let mut about: Vec<String> = groups
        .iter()
        .map(|Group { reasons, first, count }| match count {
            1 => format!("{first}: {reasons}"),
            2 => format!("{first} (and 1 other pod): {reasons}"),
            n => format!("{first} (and {} other pods): {reasons}", n - 1),
        })
        .collect();
    about.sort();
    out.append(&mut about);
    out
}
