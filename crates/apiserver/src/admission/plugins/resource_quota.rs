//! ResourceQuota: what is created is counted before it is stored (`apiserver/pkg/admission/plugin/resourcequota`).
//!
//! A quota is written with a precondition on what was read: whoever comes second starts again from what the first has
//! left, so that no two requests share the same room. One namespace's requests wait for each other in this server, which
//! spares them most of those conflicts. When the object is not stored after all, its charge is taken back; should the
//! server die in between, the quota controller counts again.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use ::admission::quota::{Subject, charge};
use ::admission::resources;
use api::Value;
use api::status::ApiError;
use async_trait::async_trait;
use parking_lot::Mutex;

use super::super::{Attributes, Operation, Plugin};
use super::{forbidden, lookup};
use crate::Server;
use crate::registry::obj;
use crate::registry::resource::Resource;
use crate::registry::storage::Stored;

/// How often a charge is repeated when others write the same quota.
const TRIES: usize = 20;

type Lock = tokio::sync::Mutex<()>;

/// See the module.
#[derive(Default)]
pub struct ResourceQuota {
    namespaces: Mutex<HashMap<String, Weak<Lock>>>,
}

#[async_trait]
impl Plugin for ResourceQuota {
    fn name(&self) -> &'static str {
        "ResourceQuota"
    }

    fn handles(&self, operation: Operation) -> bool {
        matches!(operation, Operation::Create | Operation::Update)
    }

    async fn validate(
        &self,
        server: &Server,
        attributes: &Attributes<'_>,
        object: Option<&Value>,
    ) -> Result<(), ApiError> {
        let Some(object) = object else { return Ok(()) };
        let subject = subject(attributes, object);
        if !counted(server, attributes, &subject).await? {
            return Ok(());
        }
        let lock = self.lock(attributes.namespace);
        let _held = lock.lock().await;
        let quotas = server.registry().builtin("", "resourcequotas")?;
        let mut open: Option<Vec<String>> = None;
        for _ in 0..TRIES {
            let mut stored = server.storage().all(&quotas, attributes.namespace).await?;
            if let Some(names) = &open {
                stored.retain(|q| names.iter().any(|n| n == obj::name(&q.object)));
            }
            let values: Vec<Value> = stored.iter().map(|q| q.object.clone()).collect();
            let charged =
                charge(&subject, &values).map_err(|why| forbidden(attributes, Some(object), &why))?;
            if attributes.dry_run {
                return Ok(());
            }
            let failed = write(server, &quotas, &stored, charged).await?;
            if failed.is_empty() {
                return Ok(());
            }
            open = Some(failed);
        }
        Err(ApiError::conflict(
            quotas.group_resource(),
            &open.unwrap_or_default().join(","),
            crate::handlers::update::MODIFIED,
        ))
    }

    async fn rollback(&self, server: &Server, attributes: &Attributes<'_>, object: Option<&Value>) {
        let Some(object) = object.filter(|_| !attributes.dry_run) else { return };
        let subject = subject(attributes, object);
        if !counted(server, attributes, &subject).await.unwrap_or_default() {
            return;
        }
        let lock = self.lock(attributes.namespace);
        let _held = lock.lock().await;
        if let Err(error) = take_back(server, attributes, &subject).await {
            tracing::warn!(
                namespace = attributes.namespace,
                error = error.message,
                "a quota keeps a charge for an object that was not stored, until it is counted again"
            );
        }
    }
}

impl ResourceQuota {
    /// The lock of a namespace; those that nobody holds are dropped on the way.
    fn lock(&self, namespace: &str) -> Arc<Lock> {
        let mut locks = self.namespaces.lock();
        if let Some(lock) = locks.get(namespace).and_then(Weak::upgrade) {
            return lock;
        }
        locks.retain(|_, lock| lock.strong_count() > 0);
        let lock = Arc::new(Lock::default());
        locks.insert(namespace.to_owned(), Arc::downgrade(&lock));
        lock
    }
}

fn subject<'a>(attributes: &'a Attributes<'_>, object: &'a Value) -> Subject<'a> {
    let resource = attributes.resource;
    Subject { group: &resource.hub_group, plural: &resource.plural, object, old: attributes.old }
}

/// Whether the namespace has quotas that the request could concern.
async fn counted(
    server: &Server,
    attributes: &Attributes<'_>,
    subject: &Subject<'_>,
) -> Result<bool, ApiError> {
    if attributes.namespace.is_empty()
        || attributes.is("", "namespaces")
        || !attributes.subresource.is_empty()
        || !subject.is_charged()
    {
        return Ok(false);
    }
    Ok(!lookup::all(server, "", "resourcequotas", attributes.namespace).await?.is_empty())
}

/// Writes charged quotas back; gives the names of those that somebody else wrote meanwhile.
async fn write(
    server: &Server,
    quotas: &Resource,
    stored: &[Stored],
    charged: Vec<Value>,
) -> Result<Vec<String>, ApiError> {
    let mut failed = Vec::new();
    for mut quota in charged {
        let (namespace, name) = (obj::namespace(&quota).to_owned(), obj::name(&quota).to_owned());
        let Some(read) = stored.iter().find(|q| obj::name(&q.object) == name) else { continue };
        let key = server.storage().key(quotas, &namespace, &name);
        if server.storage().update(quotas, &key, read.revision, &mut quota).await?.is_err() {
            failed.push(name);
        }
    }
    Ok(failed)
}

/// Takes the charge of an object out of the quotas again.
async fn take_back(
    server: &Server,
    attributes: &Attributes<'_>,
    subject: &Subject<'_>,
) -> Result<(), ApiError> {
    let quotas = server.registry().builtin("", "resourcequotas")?;
    let mut open: Option<Vec<String>> = None;
    for _ in 0..TRIES {
        let mut stored = server.storage().all(&quotas, attributes.namespace).await?;
        if let Some(names) = &open {
            stored.retain(|q| names.iter().any(|n| n == obj::name(&q.object)));
        }
        let relieved = stored.iter().filter_map(|q| relieved(subject, &q.object)).collect();
        let failed = write(server, &quotas, &stored, relieved).await?;
        if failed.is_empty() {
            return Ok(());
        }
        open = Some(failed);
    }
    Err(ApiError::internal("too many conflicts"))
}

/// A quota without an object's charge: what the object adds to an unused quota is what it added to this one.
fn relieved(subject: &Subject<'_>, quota: &Value) -> Option<Value> {
    let used = resources::list(obj::at(quota, "status.used"));
    let mut unused = quota.clone();
    let zeros = used.keys().map(|name| (name.clone(), Value::from("0"))).collect::<api::Object>();
    unused["status"]["used"] = zeros.into();
    let charged = charge(subject, std::slice::from_ref(&unused)).ok()?.pop()?;
    let added = resources::list(obj::at(&charged, "status.used"));
    let mut relieved = quota.clone();
    relieved["status"]["used"] = resources::to_value(&resources::subtract(&used, &added));
    Some(relieved)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_charge_can_be_taken_back() {
        let pod =
            json!({"spec": {"containers": [{"name": "c", "resources": {"requests": {"cpu": "500m"}}}]}});
        let subject = Subject { group: "", plural: "pods", object: &pod, old: None };
        let hard = json!({"pods": "10", "requests.cpu": "2", "secrets": "5"});
        let quota = json!({"metadata": {"name": "q"}, "spec": {"hard": hard},
            "status": {"hard": hard, "used": {"pods": "3", "requests.cpu": "1500m", "secrets": "2"}}});
        let after = relieved(&subject, &quota).unwrap();
        assert_eq!(after["status"]["used"], json!({"pods": "2", "requests.cpu": "1", "secrets": "2"}));
    }
}
