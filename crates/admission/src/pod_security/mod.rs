//! PodSecurity: what a namespace's labels allow its pods (`staging/src/k8s.io/pod-security-admission`).
//!
//! [`policy`] reads the labels, [`checks`] are upstream's rules by the version that brought them, [`namespace`] says which
//! of the pods that are there already would be refused.

pub mod checks;
pub mod namespace;
pub mod policy;

use std::collections::HashMap;

use api::Value;

pub use policy::{Level, LevelVersion, Policy, Version};

/// One rule that a pod breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// In short: `host namespaces`.
    pub reason: &'static str,
    /// In full: `hostNetwork=true`.
    pub detail: String,
}

/// What a pod (or a template) breaks of a level.
pub fn evaluate(level: LevelVersion, pod: &Value) -> Vec<Finding> {
    checks::of(level).filter_map(|check| check(&checks::Pod::new(pod))).collect()
}

/// All findings with their details, as messages list them.
pub fn detail(findings: &[Finding]) -> String {
    let texts: Vec<String> = findings.iter().map(|f| format!("{} ({})", f.reason, f.detail)).collect();
    texts.join(", ")
}

/// What is said of a pod: a refusal, or a warning.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// The pod is refused.
    pub refusal: Option<String>,
    /// The pod is let in, and its author told.
    pub warning: Option<String>,
}

/// Judges a pod, or with `enforce` off the template of one, which is never refused.
pub fn judge(policy: &Policy, pod: &Value, enforce: bool) -> Verdict {
    let mut verdict = Verdict::default();
    if enforce {
        let found = evaluate(policy.enforce, pod);
        if !found.is_empty() {
            let text = format!("violates PodSecurity \"{}\": {}", policy.enforce, detail(&found));
            verdict.refusal = Some(text);
            return verdict;
        }
    }
    let found = evaluate(policy.warn, pod);
    if !found.is_empty() {
        let text = format!("would violate PodSecurity \"{}\": {}", policy.warn, detail(&found));
        verdict.warning = Some(text);
    }
    verdict
}

/// Whether an update changes what the rules look at: images, and new containers.
pub fn is_significant(pod: &Value, old: &Value) -> bool {
    let list = |of: &'_ Value, field: &str| -> Vec<(String, String)> {
        let items = crate::items(of, &["spec", field]).iter();
        items.map(|c| (crate::text(c, &["name"]).to_owned(), crate::text(c, &["image"]).to_owned())).collect()
    };
    for field in ["containers", "initContainers"] {
        let (new, was) = (list(pod, field), list(old, field));
        if new.len() != was.len() || new.iter().zip(&was).any(|(n, o)| n.1 != o.1) {
            return true;
        }
    }
    // Of equal names the first counts.
    let was: HashMap<String, String> = list(old, "ephemeralContainers").into_iter().rev().collect();
    list(pod, "ephemeralContainers").iter().any(|(name, image)| was.get(name) != Some(image))
}

#[cfg(test)]
mod tests;
