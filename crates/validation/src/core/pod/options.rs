//! What an update tolerates because the stored object has it already
//! (`GetValidationOptionsFromPodSpecAndMeta`), with 1.36's feature defaults.

use api::Value;
use api::field::{ErrorList, Path};

use super::{affinity, is_deletion_cost, resources, security};
use crate::Context;
use crate::core::volume;
use crate::quantity::{Quantity, QuantityField as _};
use crate::selector;
use crate::value::Get;

/// Rules that bend. The default is the strict set for templates, privileged containers refused.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Options {
    /// A pod, not a template.
    pub(crate) is_pod: bool,
    pub(crate) allow_privileged: bool,
    pub(crate) any_deletion_cost: bool,
    pub(crate) any_selector_value: bool,
    pub(crate) any_node_value: bool,
    pub(crate) any_spread_selector: bool,
    pub(crate) old_match_label_keys: bool,
    pub(crate) indivisible_huge_pages: bool,
    pub(crate) non_local_token_path: bool,
    pub(crate) host_sysctls: bool,
    pub(crate) only_recursive_selinux: bool,
    pub(crate) comparison_tolerations: bool,
    pub(crate) user_ns_host_network: bool,
    pub(crate) user_ns_devices: bool,
    pub(crate) init_resize_restart: bool,
}

impl Options {
    /// For a pod, given the stored one.
    pub(crate) fn for_pod(old: Option<&Value>, ctx: &Context<'_>) -> Options {
        Options { is_pod: true, ..Options::for_template(old, ctx) }
    }

    /// For a pod template, given the stored one.
    pub(crate) fn for_template(old: Option<&Value>, ctx: &Context<'_>) -> Options {
        let mut opts = Options {
            allow_privileged: ctx.allow_privileged,
            only_recursive_selinux: true,
            ..Options::default()
        };
        if let Some(old) = old {
            opts.tolerate(old.sub("spec"));
            let cost = old.sub("metadata").sub("annotations");
            opts.any_deletion_cost = cost
                .opt_str("controller.kubernetes.io/pod-deletion-cost")
                .is_some_and(|text| !is_deletion_cost(text));
        }
        opts
    }

    fn tolerate(&mut self, spec: &Value) {
        let errors = |check: &mut dyn FnMut(&mut ErrorList)| {
            let mut errs = ErrorList::new();
            check(&mut errs);
            !errs.is_empty()
        };
        let nowhere = Path::ROOT;
        let containers =
            || ["initContainers", "containers", "ephemeralContainers"].iter().flat_map(|k| spec.list(k));
        if let Some(node) = spec.at("affinity") {
            self.any_selector_value = errors(&mut |errs| {
                for term in affinity::pod_affinity_terms(node) {
                    affinity::term_selectors(term, false, &nowhere, errs);
                }
            });
            let required = node.sub("nodeAffinity").sub("requiredDuringSchedulingIgnoredDuringExecution");
            self.any_node_value = affinity::has_invalid_node_value(required);
        }
        for constraint in spec.list("topologySpreadConstraints") {
            let (keys, labels) = (constraint.strs("matchLabelKeys"), constraint.sub("labelSelector"));
            self.any_spread_selector |=
                errors(&mut |errs| selector::label_selector(labels, false, &nowhere, errs));
            self.old_match_label_keys |=
                errors(&mut |errs| affinity::match_label_keys(&keys, &[], labels, &nowhere, errs));
        }
        let divisible = |(name, value): (&String, &Value)| {
            !resources::is_huge_page(name) || resources::is_divisible(name, &Quantity::of(value))
        };
        self.indivisible_huge_pages = containers().any(|c| {
            let r = c.sub("resources");
            !r.entries("requests").chain(r.entries("limits")).all(divisible)
        }) || !spec.entries("overhead").all(divisible);
        self.non_local_token_path = spec
            .list("volumes")
            .iter()
            .flat_map(|v| v.sub("projected").list("sources"))
            .filter_map(|s| s.at("serviceAccountToken"))
            .any(|t| errors(&mut |errs| volume::local_path(t.str("path"), &nowhere, errs)));
        let context = spec.sub("securityContext");
        self.host_sysctls =
            context.list("sysctls").iter().any(|s| security::host_sysctl(s.str("name"), spec).is_some());
        self.only_recursive_selinux = context.at("seLinuxChangePolicy").is_none();
        self.comparison_tolerations =
            spec.list("tolerations").iter().any(|t| matches!(t.str("operator"), "Lt" | "Gt"));
        let user_ns = spec.opt_flag("hostUsers") == Some(false);
        self.user_ns_host_network = user_ns && spec.flag("hostNetwork");
        self.user_ns_devices = user_ns && containers().any(|c| !c.list("volumeDevices").is_empty());
        self.init_resize_restart = spec.list("initContainers").iter().any(|c| {
            c.str("restartPolicy") != "Always"
                && c.list("resizePolicy").iter().any(|p| p.str("restartPolicy") == "RestartContainer")
        });
    }
}
