//! The cache behind an informer: objects by namespace and name, shared by reference counts.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use parking_lot::RwLock;

/// Namespace and name of an object; the namespace is empty for cluster-scoped ones.
/// Keys sort by namespace, so that one namespace is a range.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct ObjectKey {
    /// The namespace, or an empty string.
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl ObjectKey {
    /// A key from its two parts.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }

    /// The key of a cluster-scoped object.
    pub fn cluster(name: impl Into<String>) -> Self {
        Self::new("", name)
    }

    /// The key of the object with this metadata.
    pub fn of(meta: &ObjectMeta) -> Self {
        Self::new(meta.namespace.clone().unwrap_or_default(), meta.name.clone().unwrap_or_default())
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            f.write_str(&self.name)
        } else {
            write!(f, "{}/{}", self.namespace, self.name)
        }
    }
}

/// Values under which an object can be found in an index.
pub type IndexFn<K> = Arc<dyn Fn(&K) -> Vec<String> + Send + Sync>;

/// Objects of one resource as the informer last saw them. Cheap to clone; all clones see the same objects.
pub struct Store<K> {
    inner: Arc<RwLock<Inner<K>>>,
}

struct Inner<K> {
    objects: BTreeMap<ObjectKey, Arc<K>>,
    indexes: HashMap<&'static str, Index<K>>,
}

struct Index<K> {
    values: IndexFn<K>,
    keys: HashMap<String, BTreeSet<ObjectKey>>,
}

impl<K> Clone for Store<K> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone() }
    }
}

impl<K> Default for Store<K> {
    fn default() -> Self {
        Self { inner: Arc::new(RwLock::new(Inner { objects: BTreeMap::new(), indexes: HashMap::new() })) }
    }
}

impl<K> Store<K> {
    /// The object of this key.
    pub fn get(&self, key: &ObjectKey) -> Option<Arc<K>> {
        self.inner.read().objects.get(key).cloned()
    }

    /// All objects, sorted by namespace and name.
    pub fn list(&self) -> Vec<Arc<K>> {
        self.inner.read().objects.values().cloned().collect()
    }

    /// The objects of one namespace, sorted by name.
    pub fn in_namespace(&self, namespace: &str) -> Vec<Arc<K>> {
        let inner = self.inner.read();
        let from = ObjectKey::new(namespace, "");
        let range = inner.objects.range(from..).take_while(|(key, _)| key.namespace == namespace);
        range.map(|(_, object)| object.clone()).collect()
    }

    /// Objects that an index (see [`Store::add_index`]) holds under `value`.
    pub fn by_index(&self, index: &str, value: &str) -> Vec<Arc<K>> {
        let inner = self.inner.read();
        let keys = inner.indexes.get(index).and_then(|index| index.keys.get(value));
        keys.into_iter().flatten().filter_map(|key| inner.objects.get(key).cloned()).collect()
    }

    /// All keys.
    pub fn keys(&self) -> Vec<ObjectKey> {
        self.inner.read().objects.keys().cloned().collect()
    }

    /// How many objects there are.
    pub fn len(&self) -> usize {
        self.inner.read().objects.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds an index; objects that are here already are indexed at once. A second index of the same name is ignored.
    pub fn add_index(&self, name: &'static str, values: impl Fn(&K) -> Vec<String> + Send + Sync + 'static) {
        let mut inner = self.inner.write();
        if inner.indexes.contains_key(name) {
            return;
        }
        let mut index = Index { values: Arc::new(values), keys: HashMap::new() };
        for (key, object) in &inner.objects {
            index.insert(key, object);
        }
        inner.indexes.insert(name, index);
    }

    /// Puts an object in and gives back what was there. Informers do this; tests may.
    pub fn insert(&self, key: ObjectKey, object: Arc<K>) -> Option<Arc<K>> {
        let mut inner = self.inner.write();
        let old = inner.objects.insert(key.clone(), object.clone());
        for index in inner.indexes.values_mut() {
            if let Some(old) = &old {
                index.remove(&key, old);
            }
            index.insert(&key, &object);
        }
        old
    }

    /// Takes an object out.
    pub fn remove(&self, key: &ObjectKey) -> Option<Arc<K>> {
        let mut inner = self.inner.write();
        let old = inner.objects.remove(key)?;
        for index in inner.indexes.values_mut() {
            index.remove(key, &old);
        }
        Some(old)
    }
}

impl<K> Index<K> {
    fn insert(&mut self, key: &ObjectKey, object: &K) {
        for value in (self.values)(object) {
            self.keys.entry(value).or_default().insert(key.clone());
        }
    }

    fn remove(&mut self, key: &ObjectKey, object: &K) {
        for value in (self.values)(object) {
            if let Some(keys) = self.keys.get_mut(&value) {
                keys.remove(key);
                if keys.is_empty() {
                    self.keys.remove(&value);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespaces_and_indexes() {
        let store = Store::<u32>::default();
        store.insert(ObjectKey::new("a", "x"), Arc::new(1));
        store.add_index("parity", |n| vec![(n % 2).to_string()]);
        store.insert(ObjectKey::new("a", "y"), Arc::new(2));
        store.insert(ObjectKey::new("ab", "z"), Arc::new(3));
        assert_eq!(store.in_namespace("a").len(), 2);
        assert_eq!(store.by_index("parity", "1").len(), 2);
        store.insert(ObjectKey::new("a", "x"), Arc::new(4));
        assert_eq!(store.by_index("parity", "1").len(), 1);
        store.remove(&ObjectKey::new("a", "x"));
        assert_eq!(store.by_index("parity", "0").len(), 1);
        assert_eq!(store.keys().len(), 2);
    }
}
