//! Objects of a definition that is deleted go first (`controller/finalizer`).

use std::sync::Arc;
use std::time::Duration;

use api::Value;
use api::status::ApiError;
use apiextensions::{Definition, names};
use serde_json::json;

use crate::Server;
use crate::registry::obj;
use crate::registry::resource::Resource;

use super::Custom;

/// How often objects that are still there are counted again.
const RECOUNT: Duration = Duration::from_millis(500);

/// Begins to end a definition, once.
pub(super) fn start(server: &Server, crd: &Value) {
    let name = obj::name(crd).to_owned();
    if !server.definitions().ending.lock().insert(name.clone()) {
        return;
    }
    let server = server.clone();
    tokio::spawn(async move {
        let stop = server.stopping();
        loop {
            match end(&server, &name).await {
                Ok(true) => break,
                Ok(false) => {}
                Err(error) => {
                    tracing::debug!(name, error = error.message, "ending a custom resource definition")
                }
            }
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(RECOUNT) => {}
            }
        }
        server.definitions().ending.lock().remove(&name);
        if let Err(error) = super::refresh(&server).await {
            tracing::debug!(error = error.message, "custom resource definitions");
        }
    });
}

/// One step; true when the definition is gone, or does not wait for its objects any more.
async fn end(server: &Server, name: &str) -> Result<bool, ApiError> {
    let resource = super::definitions(server)?;
    let Some(stored) = server.storage().get(&resource, "", name).await? else { return Ok(true) };
    let mut crd = stored.object;
    if !obj::deleting(&crd) || !obj::finalizers(&crd).iter().any(|f| f == names::FINALIZER) {
        return Ok(true);
    }
    if let Ok(definition) = Definition::parse(&crd) {
        let definition = Arc::new(definition);
        if let Some(custom) = Custom::resources(&definition).into_iter().next()
            && !delete_all(server, &custom).await?
        {
            return Ok(false);
        }
    }
    let left: Vec<String> =
        obj::finalizers(&crd).into_iter().filter(|f| f != names::FINALIZER).map(|f| f.to_string()).collect();
    let gone = left.is_empty();
    let meta = obj::metadata_mut(&mut crd);
    if gone {
        meta.remove("finalizers");
    } else {
        meta.insert("finalizers".into(), left.into());
    }
    let key = server.storage().key(&resource, "", name);
    if gone {
        return Ok(server.storage().delete(&key, stored.revision).await?.is_ok());
    }
    if let Some(status) = crd.get_mut("status").and_then(Value::as_object_mut) {
        names::set_condition(
            status,
            json!({"type": "Terminating", "status": "False", "lastTransitionTime": obj::now(),
                "reason": "InstanceDeletionCompleted", "message": "removed all instances"}),
        );
    }
    Ok(server.storage().update(&resource, &key, stored.revision, &mut crd).await?.is_ok())
}

/// Deletes objects, or marks those that wait for finalizers; true when none is left.
async fn delete_all(server: &Server, resource: &Resource) -> Result<bool, ApiError> {
    let mut left = false;
    for stored in server.storage().all(resource, "").await? {
        let mut object = stored.object;
        let key = server.storage().key(resource, obj::namespace(&object), obj::name(&object));
        if obj::finalizers(&object).is_empty() {
            left |= server.storage().delete(&key, stored.revision).await?.is_err();
            continue;
        }
        left = true;
        if !obj::deleting(&object) {
            let meta = obj::metadata_mut(&mut object);
            meta.insert("deletionTimestamp".into(), obj::now().into());
            meta.insert("deletionGracePeriodSeconds".into(), 0.into());
            let _ = server.storage().update(resource, &key, stored.revision, &mut object).await?;
        }
    }
    Ok(!left)
}
