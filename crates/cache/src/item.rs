//! One object as the cache holds it.

use std::ops::Range;
use std::sync::Arc;

use api::json::Wanted;
use bytes::Bytes;
use store::Revision;

use crate::stored::{self, REVISION, Stored};

/// Whether the items of a list carry `kind` and `apiVersion`: custom resources do, built-in kinds do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ItemForm {
    /// Without: `{"metadata":…}`.
    BuiltIn,
    /// With: `{"apiVersion":…,"kind":…,"metadata":…}`.
    Custom,
}

/// Gives the values of a kind's selectable fields.
pub type ReadFields = Arc<dyn Fn(&api::Value) -> Vec<String> + Send + Sync>;

/// Reads the values of a kind's selectable fields (those beyond `metadata.name` and `metadata.namespace`).
#[derive(Clone)]
pub struct Fields {
    /// The fields' names, `spec.nodeName` for instance.
    pub names: Arc<[String]>,
    /// What `read` looks at: paths of field names, each with everything below it.
    pub paths: Vec<String>,
    /// Their values in the same order.
    pub read: ReadFields,
}

impl Default for Fields {
    fn default() -> Self {
        Fields { names: Arc::from([]), paths: Vec::new(), read: Arc::new(|_| Vec::new()) }
    }
}

/// How the objects of one kind become items.
#[derive(Clone)]
pub(crate) struct Shape {
    pub(crate) form: ItemForm,
    pub(crate) fields: Fields,
    pub(crate) namespaced: bool,
    /// What of an object is looked at when it becomes an item.
    pub(crate) wanted: Wanted,
}

impl Shape {
    pub(crate) fn new(form: ItemForm, fields: Fields, namespaced: bool) -> Shape {
        let wanted = Wanted::of(fields.paths.iter().map(String::as_str).chain(["metadata.labels"]));
        Shape { form, fields, namespaced, wanted }
    }
}

/// One object: its encoded bytes and the few parsed texts that selectors look at.
///
/// About 250 bytes are held beside the JSON. All texts share one allocation, each followed by a zero byte: the values of
/// the selectable fields, then the labels as key, value, key, value.
pub struct Item {
    key: Box<str>,
    revision: Revision,
    bytes: Bytes,
    /// Where the digits of `metadata.resourceVersion` stand.
    revision_at: u32,
    /// Behind the metadata's closing brace.
    metadata_end: u32,
    /// Where the value of `metadata.managedFields` stands; nowhere when there is none.
    managed: Range<u32>,
    texts: Box<str>,
    /// Where the labels begin in `texts`.
    labels_at: u32,
    shape: Arc<Shape>,
}

impl std::fmt::Debug for Item {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}@{}", self.key, self.revision)
    }
}

impl Item {
    /// Makes an item of a stored value. `key` is what follows the kind's prefix.
    pub(crate) fn build(
        shape: &Arc<Shape>,
        key: &str,
        revision: Revision,
        stored: &[u8],
    ) -> Result<Arc<Item>, String> {
        let Stored { bytes, revision_at, metadata_end, managed, seen } =
            stored::read(stored, revision, shape).map_err(|e| e.to_string())?;
        let mut texts = String::new();
        let mut values = (shape.fields.read)(&seen);
        values.resize(shape.fields.names.len(), String::new());
        for value in &values {
            push_text(&mut texts, value);
        }
        let labels_at = texts.len();
        for (name, value) in seen["metadata"]["labels"].as_object().into_iter().flatten() {
            push_text(&mut texts, name);
            push_text(&mut texts, value.as_str().unwrap_or_default());
        }
        let at = |place: usize| u32::try_from(place).map_err(|e| e.to_string());
        Ok(Arc::new(Item {
            key: key.into(),
            revision,
            bytes: Bytes::from(bytes),
            revision_at: at(revision_at)?,
            metadata_end: at(metadata_end)?,
            managed: at(managed.start)?..at(managed.end)?,
            texts: texts.into_boxed_str(),
            labels_at: at(labels_at)?,
            shape: shape.clone(),
        }))
    }

    /// The same object at another revision: what a watch tells of an object that is gone.
    pub(crate) fn at_revision(&self, revision: Revision) -> Arc<Item> {
        let at = self.revision_at as usize;
        let (old, new) = (self.revision.to_string(), revision.to_string());
        let mut bytes = Vec::with_capacity(self.bytes.len() + 2);
        bytes.extend_from_slice(&self.bytes[..at]);
        bytes.extend_from_slice(new.as_bytes());
        bytes.extend_from_slice(&self.bytes[at + old.len()..]);
        let longer = i32::try_from(bytes.len() as i64 - self.bytes.len() as i64).unwrap_or(0);
        let moved = |place: u32| place.saturating_add_signed(longer);
        Arc::new(Item {
            key: self.key.clone(),
            revision,
            bytes: Bytes::from(bytes),
            revision_at: self.revision_at,
            metadata_end: moved(self.metadata_end),
            managed: if self.managed.is_empty() {
                0..0
            } else {
                moved(self.managed.start)..moved(self.managed.end)
            },
            texts: self.texts.clone(),
            labels_at: self.labels_at,
            shape: self.shape.clone(),
        })
    }

    /// What follows the kind's prefix in the store's key: `namespace/name` or `name`.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The namespace; empty for a cluster-scoped object.
    pub fn namespace(&self) -> &str {
        if self.shape.namespaced {
            self.key.split_once('/').map_or("", |(namespace, _)| namespace)
        } else {
            ""
        }
    }

    /// The name.
    pub fn name(&self) -> &str {
        if self.shape.namespaced {
            self.key.split_once('/').map_or(&self.key, |(_, name)| name)
        } else {
            &self.key
        }
    }

    /// `metadata.resourceVersion`.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// The object as a list's item, `metadata.resourceVersion` included. `{"kind":"Pod","apiVersion":"v1",` and these
    /// bytes without their first make the whole object of a built-in kind.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The value of `metadata` in the object: what a partial object carries.
    pub fn metadata(&self) -> Bytes {
        let start = self.revision_at as usize - REVISION.len();
        self.bytes.slice(start..self.metadata_end as usize)
    }

    /// Where the value of `metadata.managedFields` stands in the bytes; empty when there is none. It is half of many an
    /// object, and mostly passed over.
    pub fn managed_fields(&self) -> Range<usize> {
        self.managed.start as usize..self.managed.end as usize
    }

    /// The object parsed, in item form.
    pub fn value(&self) -> Result<api::Value, serde_json::Error> {
        serde_json::from_slice(&self.bytes)
    }

    /// The labels, ordered by key.
    pub fn labels(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut texts = self.texts[self.labels_at as usize..].split('\0');
        std::iter::from_fn(move || match (texts.next(), texts.next()) {
            (Some(name), Some(value)) => Some((name, value)),
            _ => None,
        })
    }

    /// A label's value.
    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels().find(|(n, _)| *n == name).map(|(_, value)| value)
    }

    /// A selectable field's value; none when the kind has no such field.
    pub fn field(&self, name: &str) -> Option<&str> {
        match name {
            "metadata.name" => Some(self.name()),
            "metadata.namespace" if self.shape.namespaced => Some(self.namespace()),
            _ => self.field_at(self.shape.fields.names.iter().position(|n| n == name)?),
        }
    }

    pub(crate) fn field_at(&self, index: usize) -> Option<&str> {
        self.texts[..self.labels_at as usize].split('\0').nth(index)
    }

    /// What the item costs, roughly: what history is limited by.
    pub(crate) fn size(&self) -> usize {
        self.bytes.len() + self.texts.len() + 2 * self.key.len() + size_of::<Item>() + 16
    }
}

fn push_text(texts: &mut String, text: &str) {
    // A zero byte would end the text early; no selector can ask for one.
    if text.as_bytes().contains(&0) {
        texts.extend(text.split('\0'));
    } else {
        texts.push_str(text);
    }
    texts.push('\0');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(form: ItemForm) -> Arc<Shape> {
        let read = |v: &api::Value| vec![v["spec"]["nodeName"].as_str().unwrap_or_default().to_owned()];
        let (names, paths) = (Arc::from(["spec.nodeName".to_owned()]), vec!["spec.nodeName".to_owned()]);
        Arc::new(Shape::new(form, Fields { names, paths, read: Arc::new(read) }, true))
    }

    #[test]
    fn an_item_carries_its_revision_and_what_selectors_need() {
        let stored = br#"{"apiVersion":"v1","data":{"kind":"x"},"kind":"Pod","metadata":{"labels":{"b":"2","a":"1"},"name":"web","namespace":"default"},"spec":{"nodeName":"n1"}}"#;
        let item = Item::build(&shape(ItemForm::BuiltIn), "default/web", 7, stored).unwrap();
        assert_eq!(
            item.bytes(),
            r#"{"data":{"kind":"x"},"metadata":{"resourceVersion":"7","labels":{"b":"2","a":"1"},"name":"web","namespace":"default"},"spec":{"nodeName":"n1"}}"#
        );
        assert_eq!(item.labels().collect::<Vec<_>>(), [("a", "1"), ("b", "2")]);
        assert_eq!((item.label("b"), item.label("c")), (Some("2"), None));
        assert_eq!((item.namespace(), item.name()), ("default", "web"));
        assert_eq!((item.field("spec.nodeName"), item.field("metadata.name")), (Some("n1"), Some("web")));
        assert_eq!(item.field("spec.other"), None);
        assert!(
            item.metadata().starts_with(br#"{"resourceVersion":"7","labels""#)
                && item.metadata().ends_with(b"}")
        );
        assert!(item.managed_fields().is_empty());
        let gone = item.at_revision(1234);
        assert_eq!(gone.value().unwrap()["metadata"]["resourceVersion"], "1234");
        assert_eq!(gone.value().unwrap()["metadata"]["name"], "web");
        assert!(
            gone.metadata().starts_with(br#"{"resourceVersion":"1234","labels""#)
                && gone.metadata().ends_with(br#""namespace":"default"}"#)
        );
    }

    #[test]
    fn an_item_knows_where_its_managed_fields_stand() {
        let stored = br#"{"metadata":{"labels":{"a":"1"},"managedFields":[{"manager":"x"}],"name":"web"}}"#;
        let item = Item::build(&shape(ItemForm::BuiltIn), "default/web", 7, stored).unwrap();
        for item in [item.clone(), item.at_revision(123_456)] {
            assert_eq!(item.bytes()[item.managed_fields()], *br#"[{"manager":"x"}]"#);
        }
    }

    #[test]
    fn custom_resources_keep_their_type_and_stale_versions_go() {
        let stored =
            br#"{"apiVersion":"x.io/v1","kind":"Foo","metadata":{"name":"f","resourceVersion":"3"}}"#;
        let item = Item::build(&shape(ItemForm::Custom), "ns/f", 9, stored).unwrap();
        assert_eq!(
            item.bytes(),
            r#"{"apiVersion":"x.io/v1","kind":"Foo","metadata":{"resourceVersion":"9","name":"f"}}"#
        );
        assert!(Item::build(&shape(ItemForm::Custom), "ns/f", 9, b"k8s\0protobuf").is_err());
        assert!(Item::build(&shape(ItemForm::Custom), "ns/f", 9, br#"{"kind":"Foo"}"#).is_err());
    }
}
