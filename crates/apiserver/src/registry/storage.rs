//! Objects in the store: keys, resource versions, and upstream's words for what the store says.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use api::Value;
use api::status::ApiError;
use bytes::Bytes;
use store::lease::LeasePool;
use store::{Change, Entry, Expect, Store, Written};

use super::obj;
use super::resource::Resource;

/// An object as it is stored: of the hub version, with its resource version filled in.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The object.
    pub object: Value,
    /// The revision of its last change.
    pub revision: i64,
    /// Whether the store itself said so. An object of the cache may be old: what is refused because of it is tried
    /// again with the store's.
    pub fresh: bool,
}

/// The objects of all resources.
pub struct Storage {
    /// The store behind it.
    pub store: Arc<dyn Store>,
    prefix: String,
    leases: LeasePool,
    event_ttl: Duration,
    written: AtomicI64,
    /// What this server wrote last.
    pub recent: crate::admission::plugins::Recent,
}

/// What the store says, as upstream's server passes it on.
pub fn store_error(error: &store::Error) -> ApiError {
    match error {
        store::Error::Timeout(_) => {
            ApiError::timeout("request did not complete within requested timeout - context deadline exceeded")
        }
        store::Error::Unavailable(text) if text.starts_with("etcdserver:") => {
            ApiError::new(500, "", text.clone())
        }
        store::Error::Unavailable(text) => {
            ApiError::new(500, "", format!("rpc error: code = Unavailable desc = {text}"))
        }
        store::Error::TooLarge(text) => ApiError::new(413, "RequestEntityTooLarge", text.clone()),
        other => ApiError::new(500, "", other.to_string()),
    }
}

/// Bytes in the store as an object with its resource version.
pub fn decode(bytes: &[u8], revision: i64) -> Result<Value, ApiError> {
    let mut object: Value = serde_json::from_slice(bytes).map_err(ApiError::internal)?;
    obj::metadata_mut(&mut object).insert("resourceVersion".into(), revision.to_string().into());
    Ok(object)
}

/// The fields of metadata that are not stored: the store itself knows the version.
const NOT_STORED: [&str; 2] = ["resourceVersion", "selfLink"];

/// How large objects are, roughly.
const USUAL_SIZE: usize = 4096;

/// An object as bytes, made once for the store and for the answer. Its tree, some twenty times as large, need not be there
/// while the store works: that is when other requests need the memory, and get it while it is still in the processor's cache.
pub struct Encoded {
    bytes: Bytes,
    /// Behind the brace that opens the metadata.
    metadata_at: usize,
}

impl Encoded {
    /// What is stored of an object.
    pub fn of(object: &Value) -> Encoded {
        let mut out = Vec::with_capacity(USUAL_SIZE);
        let metadata_at = obj::write_json(&mut out, object, &NOT_STORED);
        Encoded { bytes: Bytes::from(out), metadata_at }
    }

    /// The object again, without a version.
    pub fn object(&self) -> Result<Value, ApiError> {
        serde_json::from_slice(&self.bytes).map_err(ApiError::internal)
    }

    /// The object with its version, as an answer has it: with the line end that upstream's encoder writes.
    fn answer(&self, revision: i64) -> Bytes {
        let (before, after) = self.bytes.split_at(self.metadata_at);
        let more = if after.starts_with(b"}") { "" } else { "," };
        let version = format!("\"resourceVersion\":\"{revision}\"{more}");
        [before, version.as_bytes(), after, b"\n"].concat().into()
    }
}

/// Whether two objects would be stored as the same bytes.
pub fn stored_alike(a: &Value, b: &Value) -> bool {
    let (Some(a), Some(b)) = (a.as_object(), b.as_object()) else { return a == b };
    let no_version = |meta: &Value, other: &Value| match (meta.as_object(), other.as_object()) {
        (Some(m), Some(o)) => {
            let counted = |m: &api::Object| m.keys().filter(|k| *k != "resourceVersion").count();
            counted(m) == counted(o) && m.iter().all(|(k, v)| k == "resourceVersion" || o.get(k) == Some(v))
        }
        _ => meta == other,
    };
    a.len() == b.len()
        && a.iter().all(|(name, value)| {
            b.get(name).is_some_and(|other| match name.as_str() {
                "metadata" => no_version(value, other),
                _ => value == other,
            })
        })
}

impl Storage {
    /// Objects in `store`, all keys below `prefix`.
    pub fn new(store: Arc<dyn Store>, prefix: &str, event_ttl: Duration) -> Storage {
        let prefix = format!("/{}", prefix.trim_matches('/'));
        Storage {
            store,
            prefix,
            leases: LeasePool::new(),
            event_ttl,
            written: AtomicI64::new(0),
            recent: Default::default(),
        }
    }

    /// `/registry`, or what `--etcd-prefix` says.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The prefix of a resource's keys, of one namespace unless that is empty.
    pub fn keys(&self, resource: &Resource, namespace: &str) -> String {
        if namespace.is_empty() || !resource.namespaced {
            format!("{}/{}/", self.prefix, resource.key_prefix)
        } else {
            format!("{}/{}/{namespace}/", self.prefix, resource.key_prefix)
        }
    }

    /// The key of an object.
    pub fn key(&self, resource: &Resource, namespace: &str, name: &str) -> String {
        format!("{}{name}", self.keys(resource, namespace))
    }

    /// One object, read from the store itself.
    pub async fn get(
        &self,
        resource: &Resource,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Stored>, ApiError> {
        let key = self.key(resource, namespace, name);
        let got = self.store.get(&key).await.map_err(|e| store_error(&e))?;
        got.entry.map(|e| stored(&e)).transpose()
    }

    /// Like [`Storage::get`]; 404 when it is not there.
    pub async fn need(&self, resource: &Resource, namespace: &str, name: &str) -> Result<Stored, ApiError> {
        let found = self.get(resource, namespace, name).await?;
        found.ok_or_else(|| ApiError::not_found(resource.group_resource(), name))
    }

    /// All objects of a resource (of one namespace unless that is empty).
    pub async fn all(&self, resource: &Resource, namespace: &str) -> Result<Vec<Stored>, ApiError> {
        let prefix = self.keys(resource, namespace);
        let request = store::RangeRequest { prefix: &prefix, ..Default::default() };
        let range = self.store.range(request).await.map_err(|e| store_error(&e))?;
        range.entries.iter().map(stored).collect()
    }

    /// The revision of this server's last write.
    pub fn last_written(&self) -> i64 {
        self.written.load(Ordering::Acquire)
    }

    /// Nothing of this revision is to be expected any more.
    pub fn forget_written(&self, revision: i64) {
        let _ = self.written.compare_exchange(revision, 0, Ordering::AcqRel, Ordering::Relaxed);
    }

    fn note(&self, key: &str, revision: i64) {
        self.written.fetch_max(revision, Ordering::AcqRel);
        self.recent.note(key.strip_prefix(&self.prefix).unwrap_or(key), revision);
    }

    async fn lease(&self, resource: &Resource) -> Result<i64, ApiError> {
        if resource.key_prefix == "events" {
            self.leases.lease(self.store.as_ref(), self.event_ttl).await.map_err(|e| store_error(&e))
        } else {
            Ok(0)
        }
    }

    async fn write(
        &self,
        key: &str,
        expect: Expect,
        resource: &Resource,
        value: Bytes,
    ) -> Result<Written, ApiError> {
        let lease = self.lease(resource).await?;
        let written = self.store.write(key, expect, Change::Put { value: value.clone(), lease }).await;
        if written == Err(store::Error::LeaseNotFound) {
            self.leases.forget(lease).await;
            let lease = self.lease(resource).await?;
            let again = self.store.write(key, expect, Change::Put { value, lease }).await;
            return again.map_err(|e| store_error(&e));
        }
        written.map_err(|e| store_error(&e))
    }

    /// Stores a new object; gives its JSON with its resource version, or nothing when the key is taken.
    pub async fn create(
        &self,
        resource: &Resource,
        key: &str,
        object: &Encoded,
    ) -> Result<Option<Bytes>, ApiError> {
        match self.write(key, Expect::Absent, resource, object.bytes.clone()).await? {
            Written::Done(revision) => {
                self.note(key, revision);
                Ok(Some(object.answer(revision)))
            }
            Written::Conflict(_) => Ok(None),
        }
    }

    /// Replaces an object that was read at `revision`; gives its JSON with its new version. `Err` in the inner result holds
    /// what is there instead.
    pub async fn replace(
        &self,
        resource: &Resource,
        key: &str,
        revision: i64,
        object: &Encoded,
    ) -> Result<Result<Bytes, Option<Stored>>, ApiError> {
        let written = self.write_at(resource, key, revision, object.bytes.clone()).await?;
        Ok(written.map(|revision| object.answer(revision)))
    }

    /// As [`Storage::replace`], and fills in the object's new version.
    pub async fn update(
        &self,
        resource: &Resource,
        key: &str,
        revision: i64,
        object: &mut Value,
    ) -> Result<Result<(), Option<Stored>>, ApiError> {
        let written = self.write_at(resource, key, revision, Encoded::of(object).bytes).await?;
        Ok(written.map(|revision| set_version(object, revision)))
    }

    async fn write_at(
        &self,
        resource: &Resource,
        key: &str,
        revision: i64,
        value: Bytes,
    ) -> Result<Result<i64, Option<Stored>>, ApiError> {
        match self.write(key, Expect::At(revision), resource, value).await? {
            Written::Done(revision) => {
                self.note(key, revision);
                Ok(Ok(revision))
            }
            Written::Conflict(entry) => Ok(Err(entry.map(|e| stored(&e)).transpose()?)),
        }
    }

    /// Removes an object that was read at `revision`; gives the revision of its removal.
    pub async fn delete(&self, key: &str, revision: i64) -> Result<Result<i64, Option<Stored>>, ApiError> {
        let written = self.store.write(key, Expect::At(revision), Change::Delete).await;
        match written.map_err(|e| store_error(&e))? {
            Written::Done(revision) => {
                self.note(key, revision);
                Ok(Ok(revision))
            }
            Written::Conflict(entry) => Ok(Err(entry.map(|e| stored(&e)).transpose()?)),
        }
    }
}

fn stored(entry: &Entry) -> Result<Stored, ApiError> {
    Ok(Stored {
        object: decode(&entry.value, entry.mod_revision)?,
        revision: entry.mod_revision,
        fresh: true,
    })
}

fn set_version(object: &mut Value, revision: i64) {
    let meta = obj::metadata_mut(object);
    meta.remove("selfLink");
    meta.insert("resourceVersion".into(), revision.to_string().into());
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_answer_is_the_stored_text_with_its_version() {
        let mut object = json!({
            "apiVersion": "v1", "data": {"metadata": "x"}, "kind": "ConfigMap",
            "metadata": {"name": "a", "resourceVersion": "7", "selfLink": "/x"},
        });
        let encoded = Encoded::of(&object);
        let stored: Value = serde_json::from_slice(&encoded.bytes).unwrap();
        assert_eq!(stored["metadata"], json!({"name": "a"}));
        assert_eq!(encoded.object().unwrap(), stored);
        set_version(&mut object, 12);
        assert_eq!(serde_json::from_slice::<Value>(&encoded.answer(12)).unwrap(), object);
        assert!(encoded.answer(12).ends_with(b"}\n"));
        let bare = Encoded::of(&json!({"metadata": {}}));
        assert_eq!(bare.answer(3), "{\"metadata\":{\"resourceVersion\":\"3\"}}\n");
    }
}
