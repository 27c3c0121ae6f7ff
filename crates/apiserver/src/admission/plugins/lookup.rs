//! Other objects that a decision depends on, read from the watch cache.
//!
//! The cache may lag behind what this server itself has just acknowledged: a pod that is created right behind its
//! priority class must find it. So the last writes of the few kinds that plug-ins read are noted, and a read waits for
//! the cache to get there. What another server wrote an instant ago may be missed, as upstream's informers may.

use std::collections::HashMap;
use std::time::Duration;

use api::Value;
use api::status::ApiError;
use cache::{Item, Predicate};
use parking_lot::RwLock;

use crate::Server;

const WAIT: Duration = Duration::from_secs(3);

/// Keys (below the store's prefix) of the kinds that plug-ins read, and of definitions, which this server follows itself.
const READ: [&str; 9] = [
    "apiextensions.k8s.io/customresourcedefinitions/",
    "ingressclasses/",
    "limitranges/",
    "namespaces/",
    "priorityclasses/",
    "resourcequotas/",
    "runtimeclasses/",
    "serviceaccounts/",
    "storageclasses/",
];

/// The revisions of the last writes through this server of the kinds that plug-ins read.
#[derive(Default)]
pub struct Recent(RwLock<HashMap<&'static str, i64>>);

impl Recent {
    /// Notes a write. `key` is below the store's prefix.
    pub fn note(&self, key: &str, revision: i64) {
        let key = key.trim_start_matches('/');
        if let Some(kind) = READ.iter().find(|k| key.starts_with(**k)) {
            let mut revisions = self.0.write();
            let last = revisions.entry(kind).or_default();
            *last = revision.max(*last);
        }
    }

    /// The revision of the last write of a kind.
    fn of(&self, key_prefix: &str) -> i64 {
        let found = READ.iter().find(|k| k.strip_suffix('/') == Some(key_prefix));
        found.and_then(|k| self.0.read().get(k).copied()).unwrap_or_default()
    }
}

/// A kind's part of the cache, with all that this server has written in it.
pub(crate) async fn kind(
    server: &Server,
    group: &str,
    plural: &str,
) -> Result<std::sync::Arc<cache::Resource>, ApiError> {
    let resource = server.registry().builtin(group, plural)?;
    let kind = server.cached(&resource)?;
    let slow = |e: cache::Error| ApiError::internal(e);
    kind.loaded(WAIT).await.map_err(slow)?;
    let recent = server.storage().recent.of(&resource.key_prefix);
    if recent > server.cache().revision() {
        server.cache().wait_until_fresh(recent, WAIT).await.map_err(slow)?;
    }
    Ok(kind)
}

/// All objects of a kind, of one namespace unless that is empty.
pub(crate) async fn all(
    server: &Server,
    group: &str,
    plural: &str,
    namespace: &str,
) -> Result<Vec<Value>, ApiError> {
    chosen(server, group, plural, namespace, |_| true).await
}

/// The same of those that are wanted: reading an object costs far more than a look at its bytes.
pub(crate) async fn chosen(
    server: &Server,
    group: &str,
    plural: &str,
    namespace: &str,
    wanted: impl Fn(&Item) -> bool + Send,
) -> Result<Vec<Value>, ApiError> {
    let kind = kind(server, group, plural).await?;
    if kind.is_empty() {
        return Ok(Vec::new());
    }
    let namespace = (!namespace.is_empty()).then(|| namespace.to_owned());
    let list = kind.list(&Predicate { namespace, ..Predicate::default() }, 0, None);
    let items = list.items.iter().filter(|item| wanted(item));
    items.map(|item| item.value().map_err(ApiError::internal)).collect()
}

/// One object, by `namespace/name` or `name`.
pub(crate) async fn one(
    server: &Server,
    group: &str,
    plural: &str,
    key: &str,
) -> Result<Option<Value>, ApiError> {
    let kind = kind(server, group, plural).await?;
    kind.get(key).map(|item| item.value().map_err(ApiError::internal)).transpose()
}

/// One object, from the cache or else from the store: what another server has just made is found.
pub(crate) async fn find(
    server: &Server,
    group: &str,
    plural: &str,
    namespace: &str,
    name: &str,
) -> Result<Option<Value>, ApiError> {
    let key = if namespace.is_empty() { name.to_owned() } else { format!("{namespace}/{name}") };
    if let Some(found) = one(server, group, plural, &key).await? {
        return Ok(Some(found));
    }
    let resource = server.registry().builtin(group, plural)?;
    Ok(server.storage().get(&resource, namespace, name).await?.map(|s| s.object))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_of_read_kinds_are_noted() {
        let recent = Recent::default();
        recent.note("/priorityclasses/high", 7);
        recent.note("/priorityclasses/low", 5);
        recent.note("/pods/default/a", 9);
        assert_eq!((recent.of("priorityclasses"), recent.of("pods"), recent.of("limitranges")), (7, 0, 0));
    }
}
