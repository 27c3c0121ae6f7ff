//! Writes: small merge patches guarded by the resource version, instead of whole objects.
//!
//! Our views do not hold whole objects, and sending only what changes cannot undo what others wrote. The resource version
//! in the patch makes the API server refuse it (409) when the object changed since we read it.

use client::ErrorExt;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions, PropagationPolicy};
use kube::core::request::Request as Requests;
use kube::{Client, Error};
use serde_json::{Value, json};

/// What a controller writes and reads: a view whose kind is known.
pub trait Kind:
    kube::Resource<DynamicType = ()>
    + serde::de::DeserializeOwned
    + Clone
    + std::fmt::Debug
    + Send
    + Sync
    + 'static
{
}
impl<K> Kind for K where
    K: kube::Resource<DynamicType = ()>
        + serde::de::DeserializeOwned
        + Clone
        + std::fmt::Debug
        + Send
        + Sync
        + 'static
{
}

fn requests<K: Kind>(meta: &ObjectMeta) -> Requests {
    Requests::new(K::url_path(&(), meta.namespace.as_deref()))
}

fn name(meta: &ObjectMeta) -> &str {
    meta.name.as_deref().unwrap_or_default()
}

/// Creates an object of kind `K` from JSON; `apiVersion` and `kind` are added.
pub async fn create<K: Kind>(
    client: &Client,
    namespace: Option<&str>,
    mut object: Value,
) -> Result<K, Error> {
    object["apiVersion"] = K::api_version(&()).into();
    object["kind"] = K::kind(&()).into();
    let bytes = serde_json::to_vec(&object).map_err(Error::SerdeError)?;
    let request = Requests::new(K::url_path(&(), namespace)).create(&PostParams::default(), bytes);
    client.request(request.map_err(Error::BuildRequest)?).await
}

/// Reads an object from the API server, not from the cache; `None` when it does not exist.
pub async fn get<K: Kind>(client: &Client, namespace: Option<&str>, name: &str) -> Result<Option<K>, Error> {
    let request = Requests::new(K::url_path(&(), namespace)).get(name, &kube::api::GetParams::default());
    match client.request(request.map_err(Error::BuildRequest)?).await {
        Ok(object) => Ok(Some(object)),
        Err(err) if err.is_not_found() => Ok(None),
        Err(err) => Err(err),
    }
}

/// Merges `change` into the object if it still is what `meta` says.
pub async fn patch<K: Kind>(client: &Client, meta: &ObjectMeta, change: Value) -> Result<K, Error> {
    let patch = Patch::Merge(guarded(meta, change));
    let request = requests::<K>(meta).patch(name(meta), &PatchParams::default(), &patch);
    client.request(request.map_err(Error::BuildRequest)?).await
}

/// [`patch`] of the status subresource.
pub async fn patch_status<K: Kind>(client: &Client, meta: &ObjectMeta, status: Value) -> Result<K, Error> {
    let patch = Patch::Merge(guarded(meta, json!({ "status": status })));
    let request =
        requests::<K>(meta).patch_subresource("status", name(meta), &PatchParams::default(), &patch);
    client.request(request.map_err(Error::BuildRequest)?).await
}

/// A strategic merge patch that only holds for the object with this uid.
pub async fn patch_strategic<K: Kind>(
    client: &Client,
    meta: &ObjectMeta,
    mut change: Value,
) -> Result<K, Error> {
    change["metadata"]["uid"] = meta.uid.clone().into();
    let patch = Patch::Strategic(change);
    let request = requests::<K>(meta).patch(name(meta), &PatchParams::default(), &patch);
    client.request(request.map_err(Error::BuildRequest)?).await
}

/// [`patch_strategic`] of the status subresource.
pub async fn patch_status_strategic<K: Kind>(
    client: &Client,
    meta: &ObjectMeta,
    status: Value,
) -> Result<K, Error> {
    let patch = Patch::Strategic(json!({ "metadata": { "uid": meta.uid }, "status": status }));
    let request =
        requests::<K>(meta).patch_subresource("status", name(meta), &PatchParams::default(), &patch);
    client.request(request.map_err(Error::BuildRequest)?).await
}

fn guarded(meta: &ObjectMeta, mut change: Value) -> Value {
    change["metadata"]["resourceVersion"] = meta.resource_version.clone().into();
    if meta.uid.is_some() {
        change["metadata"]["uid"] = meta.uid.clone().into();
    }
    change
}

/// Deletes the object with this uid in the background. That it is gone already is no error.
pub async fn delete<K: Kind>(client: &Client, meta: &ObjectMeta) -> Result<(), Error> {
    delete_with::<K>(client, meta, DeleteParams::default()).await
}

/// [`delete`] with more wishes.
pub async fn delete_with<K: Kind>(
    client: &Client,
    meta: &ObjectMeta,
    mut params: DeleteParams,
) -> Result<(), Error> {
    if params.preconditions.is_none() && meta.uid.is_some() {
        params.preconditions = Some(Preconditions { uid: meta.uid.clone(), ..Default::default() });
    }
    if params.propagation_policy.is_none() {
        params.propagation_policy = Some(PropagationPolicy::Background);
    }
    let request = requests::<K>(meta).delete(name(meta), &params).map_err(Error::BuildRequest)?;
    match client.request_text(request).await {
        Ok(_) => Ok(()),
        Err(err) if err.is_not_found() => Ok(()),
        Err(err) => Err(err),
    }
}

/// Takes owner references out of an object (strategic merge patch by uid).
pub async fn remove_owners<K: Kind>(
    client: &Client,
    meta: &ObjectMeta,
    owners: &[&str],
) -> Result<(), Error> {
    let owners: Vec<Value> = owners.iter().map(|uid| json!({ "$patch": "delete", "uid": uid })).collect();
    let change = json!({ "metadata": { "ownerReferences": owners } });
    match patch_strategic::<K>(client, meta, change).await {
        Ok(_) => Ok(()),
        // Gone, or another object of that name (the uid in the patch does not fit).
        Err(err) if err.is_not_found() || err.is_invalid() || err.is_conflict() => Ok(()),
        Err(err) => Err(err),
    }
}

/// Adds the controller reference to an object.
pub async fn adopt<K: Kind>(client: &Client, meta: &ObjectMeta, owner: &OwnerReference) -> Result<K, Error> {
    patch_strategic(client, meta, json!({ "metadata": { "ownerReferences": [owner] } })).await
}
