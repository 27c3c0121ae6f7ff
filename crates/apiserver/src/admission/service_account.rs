//! ServiceAccount: pods run as a service account and mount its token, as v1.10's plug-in has it
//! (`plugin/pkg/admission/serviceaccount`).
//!
//! The token is the one in the service account's secret: those are what the controller manager makes. A pod is
//! refused until there is one, with the text that v1.10 sends.

use api::status::ApiError;
use api::{Object, Value};
use async_trait::async_trait;
use serde_json::json;

use super::plugins::lookup::find;
use super::{Attributes, Plugin};
use crate::Server;
use crate::registry::obj;

const DEFAULT_ACCOUNT: &str = "default";
const MOUNT_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
const MIRROR: &str = "kubernetes.io/config.mirror";

/// See the module.
pub struct ServiceAccount;

#[async_trait]
impl Plugin for ServiceAccount {
    fn name(&self) -> &'static str {
        "ServiceAccount"
    }

    async fn admit(
        &self,
        server: &Server,
        attributes: &Attributes<'_>,
        pod: &mut Value,
    ) -> Result<(), ApiError> {
        if !attributes.is("", "pods") {
            return Ok(());
        }
        let mirror = obj::at(pod, "metadata.annotations").and_then(|a| a.get(MIRROR)).is_some();
        if mirror {
            if !obj::text_at(pod, "spec.serviceAccountName").is_empty() {
                return Err(attributes.forbidden("a mirror pod may not reference service accounts"));
            }
            return Ok(());
        }
        let spec = obj::child_mut(pod, "spec");
        let named = spec.get("serviceAccountName").and_then(Value::as_str).unwrap_or_default();
        let name = if named.is_empty() { DEFAULT_ACCOUNT.to_owned() } else { named.to_owned() };
        spec.insert("serviceAccountName".into(), name.clone().into());
        spec.insert("serviceAccount".into(), name.clone().into());

        let account = find(server, "", "serviceaccounts", attributes.namespace, &name).await?;
        let Some(account) = account else {
            let why = format!(
                "error looking up service account {}/{name}: serviceaccount \"{name}\" not found",
                attributes.namespace
            );
            return Err(attributes.forbidden(&why));
        };
        if mounts_token(&account, pod) {
            mount_token(server, attributes, &account, pod).await?;
        }
        let spec = obj::child_mut(pod, "spec");
        let none = spec.get("imagePullSecrets").and_then(Value::as_array).is_none_or(Vec::is_empty);
        if none && let Some(secrets) = account.get("imagePullSecrets").filter(|s| !s.is_null()) {
            spec.insert("imagePullSecrets".into(), secrets.clone());
        }
        Ok(())
    }
}

/// The pod's word counts, then the account's; without either a token is mounted.
fn mounts_token(account: &Value, pod: &Value) -> bool {
    let asked = |v: Option<&Value>| v.and_then(Value::as_bool);
    asked(obj::at(pod, "spec.automountServiceAccountToken"))
        .or_else(|| asked(account.get("automountServiceAccountToken")))
        .unwrap_or(true)
}

/// The first of the account's secrets that is really a token of this account.
async fn token_secret(server: &Server, namespace: &str, account: &Value) -> Result<Option<String>, ApiError> {
    let listed = account.get("secrets").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    for reference in listed {
        let Some(name) = reference.get("name").and_then(Value::as_str) else { continue };
        let Some(secret) = find(server, "", "secrets", namespace, name).await? else { continue };
        if is_token_of(&secret, account) {
            return Ok(Some(name.to_owned()));
        }
    }
    Ok(None)
}

/// `serviceaccount.IsServiceAccountToken`.
fn is_token_of(secret: &Value, account: &Value) -> bool {
    let note = |name: &str| {
        obj::at(secret, "metadata.annotations").and_then(|a| a.get(name)).and_then(Value::as_str)
    };
    secret.get("type").and_then(Value::as_str) == Some("kubernetes.io/service-account-token")
        && note("kubernetes.io/service-account.name") == Some(obj::name(account))
        && note("kubernetes.io/service-account.uid").is_none_or(|u| u.is_empty() || u == obj::uid(account))
        && obj::at(secret, "data").and_then(|d| d.get("token")).is_some()
}

async fn mount_token(
    server: &Server,
    attributes: &Attributes<'_>,
    account: &Value,
    pod: &mut Value,
) -> Result<(), ApiError> {
    let name = obj::name(account).to_owned();
    let Some(secret) = token_secret(server, attributes.namespace, account).await? else {
        let message = format!(
            "No API token found for service account \"{name}\", retry after the token is automatically created and \
             added to the service account"
        );
        let mut error = ApiError::new(500, "ServerTimeout", message);
        error.details.insert("name".into(), "create pod".into());
        error.details.insert("kind".into(), "serviceaccounts".into());
        error.details.insert("retryAfterSeconds".into(), 1.into());
        return Err(error);
    };
    let spec = obj::child_mut(pod, "spec");
    let volumes = spec.get("volumes").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let there = volumes.iter().find(|v| obj::text_at(v, "secret.secretName") == secret);
    let volume = there.and_then(|v| v.get("name")).and_then(Value::as_str).map(str::to_owned);
    let volume_name = volume.clone().unwrap_or_else(|| secret.clone());
    let mut mounted = false;
    for list in ["initContainers", "containers"] {
        let containers = spec.get_mut(list).and_then(Value::as_array_mut);
        for container in containers.into_iter().flatten().filter_map(Value::as_object_mut) {
            mounted |= mount(container, &volume_name);
        }
    }
    if mounted && volume.is_none() {
        let volume = json!({"name": secret, "secret": {"secretName": secret, "defaultMode": 0o644}});
        if let Some(list) = spec.entry("volumes").or_insert_with(|| json!([])).as_array_mut() {
            list.push(volume);
        }
    }
    Ok(())
}

/// Adds the mount unless the container has something at that path.
fn mount(container: &mut Object, volume: &str) -> bool {
    let mounts = container.entry("volumeMounts").or_insert_with(|| json!([]));
    let Some(mounts) = mounts.as_array_mut() else { return false };
    if mounts.iter().any(|m| m.get("mountPath").and_then(Value::as_str) == Some(MOUNT_PATH)) {
        return false;
    }
    mounts.push(json!({"name": volume, "readOnly": true, "mountPath": MOUNT_PATH}));
    true
}
