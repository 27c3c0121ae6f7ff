//! The plug-ins that are on, in upstream's order.

use api::Value;
use api::status::ApiError;

use super::{Attributes, Plugin};
use crate::Server;
use crate::options::Options;

/// Upstream's order of all plug-ins (`pkg/kubeapiserver/options/plugins.go`, `AllOrderedPlugins`), with what 1.10 had
/// beside it.
pub const ORDER: [&str; 41] = [
    "AlwaysAdmit",
    "NamespaceAutoProvision",
    "NamespaceLifecycle",
    "NamespaceExists",
    "SecurityContextDeny",
    "LimitPodHardAntiAffinityTopology",
    "PodPreset",
    "LimitRanger",
    "ServiceAccount",
    "NodeRestriction",
    "TaintNodesByCondition",
    "AlwaysPullImages",
    "ImagePolicyWebhook",
    "PodSecurityPolicy",
    "PodSecurity",
    "PodNodeSelector",
    "Priority",
    "DefaultTolerationSeconds",
    "PodTolerationRestriction",
    "EventRateLimit",
    "ExtendedResourceToleration",
    "Initializers",
    "PersistentVolumeLabel",
    "DefaultStorageClass",
    "StorageObjectInUseProtection",
    "PersistentVolumeClaimResize",
    "RuntimeClass",
    "CertificateApproval",
    "CertificateSigning",
    "ClusterTrustBundleAttest",
    "CertificateSubjectRestriction",
    "DefaultIngressClass",
    "PodTopologyLabels",
    "NodeDeclaredFeatureValidator",
    "DenyServiceExternalIPs",
    "MutatingAdmissionPolicy",
    "MutatingAdmissionWebhook",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionWebhook",
    "ResourceQuota",
    "OwnerReferencesPermissionEnforcement",
];

/// Names that are known and end the list.
const LAST: [&str; 1] = ["AlwaysDeny"];

/// On unless turned off.
const DEFAULT_ON: [&str; 24] = [
    "NamespaceLifecycle",
    "LimitRanger",
    "ServiceAccount",
    "TaintNodesByCondition",
    "PodSecurity",
    "Priority",
    "DefaultTolerationSeconds",
    "DefaultStorageClass",
    "StorageObjectInUseProtection",
    "PersistentVolumeClaimResize",
    "RuntimeClass",
    "CertificateApproval",
    "CertificateSigning",
    "ClusterTrustBundleAttest",
    "CertificateSubjectRestriction",
    "DefaultIngressClass",
    "PodTopologyLabels",
    "NodeDeclaredFeatureValidator",
    "MutatingAdmissionPolicy",
    "MutatingAdmissionWebhook",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionWebhook",
    "ResourceQuota",
    "Initializers",
];

/// The plug-ins that are on.
pub struct Chain(Vec<Box<dyn Plugin>>);

fn known(name: &str) -> bool {
    ORDER.contains(&name) || LAST.contains(&name)
}

/// The names of the plug-ins that the flags turn on; an error names a flag and what is wrong with it.
fn enabled(options: &Options) -> Result<Vec<&'static str>, String> {
    let check = |flag: &str, names: &[String]| -> Result<(), String> {
        match names.iter().find(|n| !n.is_empty() && !known(n)) {
            Some(name) => Err(format!("{flag} plugin \"{name}\" is unknown")),
            None => Ok(()),
        }
    };
    check("enable-admission-plugins", &options.enable_admission_plugins)?;
    check("disable-admission-plugins", &options.disable_admission_plugins)?;
    if let Some(list) = &options.admission_control {
        if !options.enable_admission_plugins.is_empty() || !options.disable_admission_plugins.is_empty() {
            return Err("admission-control and enable-admission-plugins/disable-admission-plugins flags are mutually exclusive".into());
        }
        check("admission-control", list)?;
        return Ok(ORDER.into_iter().filter(|n| list.iter().any(|l| l == n)).collect());
    }
    let on = |name: &&str| {
        let named = |list: &[String]| list.iter().any(|l| l == name);
        (DEFAULT_ON.contains(name) || named(&options.enable_admission_plugins))
            && !named(&options.disable_admission_plugins)
    };
    Ok(ORDER.into_iter().filter(on).collect())
}

impl Chain {
    /// The chain that the flags ask for.
    pub fn new(options: &Options) -> Result<Chain, String> {
        let names = enabled(options)?;
        Ok(Chain(names.into_iter().filter_map(|name| make(name, options)).collect()))
    }

    /// Runs all mutating plug-ins.
    pub async fn admit(
        &self,
        server: &Server,
        attributes: &Attributes<'_>,
        object: &mut Value,
    ) -> Result<(), ApiError> {
        for plugin in self.0.iter().filter(|p| p.handles(attributes.operation)) {
            plugin.admit(server, attributes, object).await?;
        }
        Ok(())
    }

    /// Runs all validating plug-ins. When one refuses, those before it take back what they noted.
    pub async fn validate(
        &self,
        server: &Server,
        attributes: &Attributes<'_>,
        object: Option<&Value>,
    ) -> Result<(), ApiError> {
        for (i, plugin) in self.0.iter().enumerate() {
            if !plugin.handles(attributes.operation) {
                continue;
            }
            if let Err(error) = plugin.validate(server, attributes, object).await {
                for earlier in &self.0[..i] {
                    earlier.rollback(server, attributes, object).await;
                }
                return Err(error);
            }
        }
        Ok(())
    }

    /// Tells all plug-ins that an admitted write was not stored.
    pub async fn rollback(&self, server: &Server, attributes: &Attributes<'_>, object: Option<&Value>) {
        for plugin in self.0.iter().filter(|p| p.handles(attributes.operation)) {
            plugin.rollback(server, attributes, object).await;
        }
    }
}

/// A plug-in by its name; those that have nothing to do here give nothing.
fn make(name: &str, _options: &Options) -> Option<Box<dyn Plugin>> {
    match name {
        "NamespaceLifecycle" => Some(Box::new(super::namespace_lifecycle::NamespaceLifecycle)),
        "PodSecurity" => Some(Box::new(super::pod_security::PodSecurity)),
        "ServiceAccount" => Some(Box::new(super::service_account::ServiceAccount)),
        _ => super::plugins::make(name),
    }
}
