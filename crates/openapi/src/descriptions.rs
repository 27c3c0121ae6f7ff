//! What types and fields are for, in upstream's words.
//!
//! `build.rs` makes the table. It stays compressed in the binary's read-only pages and is unpacked only as long as a
//! document is written: half a megabyte of prose is nothing that an idle server should hold.
//!
//! Unpacked, it is every text once, each ended by NUL, then an index. A line ` NAME` begins a definition, the lines after
//! it are its fields. A line takes the next new text, or that of its number: `NAME=17`.
//!
//! Upstream's newest release describes only what it still serves. A type of an older version borrows the texts of the
//! type that is found in the same place of the hub version.

use std::collections::{HashMap, VecDeque};
use std::io::{self, Read as _};
use std::ops::Range;

use api::kinds::Kinds;
use api::schema::{Schemas, Struct, StructId, Type};
use flate2::read::DeflateDecoder;

static TABLE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptions"));

/// A kind whose `apiVersion`, `kind` and `metadata` are described; they mean the same in every kind.
const ANY_KIND: &str = "io.k8s.api.core.v1.Pod";

/// The unpacked table; [`Table::descriptions`] makes it searchable.
#[derive(Debug)]
pub struct Table(String);

impl Table {
    /// Unpacks the table.
    ///
    /// # Errors
    /// When the binary is damaged.
    pub fn unpack() -> io::Result<Table> {
        let mut text = String::new();
        DeflateDecoder::new(TABLE).read_to_string(&mut text)?;
        Ok(Table(text))
    }

    /// The descriptions of the built-in types.
    pub fn descriptions(&self) -> Descriptions<'_> {
        let (texts, index) = self.0.rsplit_once('\0').unwrap_or_default();
        let texts: Vec<&str> = texts.split('\0').collect();
        let mut definitions: Vec<Definition<'_>> = Vec::new();
        let mut fields: Vec<(&str, &str)> = Vec::new();
        let mut new = 0;
        for line in index.lines() {
            let (name, number) = match line.split_once('=') {
                Some((name, number)) => (name, number.parse().unwrap_or(usize::MAX)),
                None => {
                    new += 1;
                    (line, new - 1)
                }
            };
            let text = texts.get(number).copied().unwrap_or_default();
            if let Some(name) = name.strip_prefix(' ') {
                definitions.push(Definition { name, text, fields: fields.len()..fields.len() });
            } else if let Some(definition) = definitions.last_mut() {
                fields.push((name, text));
                definition.fields.end = fields.len();
            }
        }
        let mut descriptions = Descriptions { definitions, fields, hubs: HashMap::new() };
        descriptions.pair(api::kinds::builtin(), api::schema::builtin());
        descriptions
    }
}

#[derive(Debug)]
struct Definition<'t> {
    name: &'t str,
    text: &'t str,
    /// Its part of [`Descriptions::fields`].
    fields: Range<usize>,
}

/// Texts by definition and field.
#[derive(Debug)]
pub struct Descriptions<'t> {
    /// In alphabetical order.
    definitions: Vec<Definition<'t>>,
    /// Names of fields and their texts; those of one definition stand together in alphabetical order.
    fields: Vec<(&'t str, &'t str)>,
    /// Types that have no texts of their own, and whose they borrow.
    hubs: HashMap<&'static str, &'static str>,
}

impl<'t> Descriptions<'t> {
    fn own(&self, name: &str) -> Option<&Definition<'t>> {
        let at = self.definitions.binary_search_by(|d| d.name.cmp(name)).ok()?;
        self.definitions.get(at)
    }

    fn definition(&self, name: &str) -> Option<&Definition<'t>> {
        self.own(name).or_else(|| self.own(self.hubs.get(name)?))
    }

    fn field(&self, of: &Definition<'t>, name: &str) -> Option<&'t str> {
        let fields = self.fields.get(of.fields.clone())?;
        let at = fields.binary_search_by(|(field, _)| (*field).cmp(name)).ok()?;
        fields.get(at).map(|(_, text)| *text).filter(|text| !text.is_empty())
    }

    /// What a type is, if that is known.
    pub fn of(&self, name: &str) -> Option<&'t str> {
        self.definition(name).map(|d| d.text).filter(|text| !text.is_empty())
    }

    /// What a field of a type is, if that is known.
    pub fn of_field(&self, s: &Struct, field: &str) -> Option<&'t str> {
        let own = self.definition(&s.name).and_then(|d| self.field(d, field));
        let common = || self.of_any_kind(field).filter(|_| !s.kinds.is_empty() && !is_list_meta(s, field));
        own.or_else(common)
    }

    /// What `apiVersion`, `kind` and `metadata` are in any kind.
    pub fn of_any_kind(&self, field: &str) -> Option<&'t str> {
        let known = matches!(field, "apiVersion" | "kind" | "metadata");
        self.own(ANY_KIND).filter(|_| known).and_then(|d| self.field(d, field))
    }

    /// Walks from each kind of an older version and its hub at once, by the names of fields.
    fn pair(&mut self, kinds: &Kinds, schemas: &'static Schemas) {
        let mut open: VecDeque<(StructId, StructId)> = VecDeque::new();
        for kind in kinds.iter() {
            let Some((hub, older)) = kind.served.split_first() else { continue };
            for served in older {
                open.extend(served.ty.zip(hub.ty));
                for sub in &served.subresources {
                    open.extend(sub.ty.zip(hub.subresource(&sub.name).and_then(|s| s.ty)));
                }
            }
        }
        while let Some((id, hub)) = open.pop_front() {
            let (s, hub) = (schemas.get(id), schemas.get(hub));
            if self.own(&s.name).is_some() || self.hubs.contains_key(&*s.name) {
                continue;
            }
            self.hubs.insert(&s.name, &hub.name);
            for field in &s.fields {
                let below = hub.field(&field.name).and_then(|f| struct_of(&f.ty));
                open.extend(struct_of(&field.ty).zip(below));
            }
        }
    }
}

/// The metadata of a list is no object's.
fn is_list_meta(s: &Struct, field: &str) -> bool {
    field == "metadata" && s.field("items").is_some()
}

/// The object type of a field, of its items or its values.
fn struct_of(ty: &Type) -> Option<StructId> {
    match ty {
        Type::Struct(id) => Some(*id),
        Type::List(list) => struct_of(&list.item),
        Type::Map(map) => struct_of(&map.value),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field_text(descriptions: &Descriptions<'_>, name: &str, field: &str) -> String {
        let schemas = api::schema::builtin();
        let s = schemas.get(schemas.by_name(name).unwrap());
        descriptions.of_field(s, field).unwrap_or_default().to_owned()
    }

    #[test]
    fn kinds_and_fields_are_described_in_every_version() {
        let table = Table::unpack().unwrap();
        let d = table.descriptions();
        assert!(d.of("io.k8s.api.core.v1.Pod").unwrap().starts_with("Pod is a collection of containers"));
        let new = field_text(&d, "io.k8s.api.apps.v1.DeploymentSpec", "minReadySeconds");
        assert!(new.starts_with("Minimum number of seconds"), "{new}");
        for old in ["apps.v1beta1", "apps.v1beta2", "extensions.v1beta1"] {
            assert_eq!(field_text(&d, &format!("io.k8s.api.{old}.DeploymentSpec"), "minReadySeconds"), new);
        }
        // A type that only older versions have still says what all kinds say.
        let kind = field_text(&d, "io.k8s.api.policy.v1beta1.PodSecurityPolicy", "kind");
        assert!(kind.starts_with("Kind is a string value"), "{kind}");
    }

    /// A new kind has to be added to `build.rs`.
    #[test]
    fn every_kind_of_a_hub_version_is_described() {
        let table = Table::unpack().unwrap();
        let d = table.descriptions();
        let schemas = api::schema::builtin();
        let mut missing = Vec::new();
        for kind in api::kinds::builtin().iter() {
            let Some(s) = kind.served[0].ty.map(|id| schemas.get(id)) else { continue };
            let unknown = s.fields.iter().filter(|f| d.of_field(s, &f.name).is_none());
            missing.extend(unknown.map(|f| format!("{}.{}", s.name, f.name)));
        }
        missing.retain(|name| !name.contains("PodSecurityPolicy"));
        assert!(missing.is_empty(), "{missing:?}");
    }

    #[test]
    fn the_table_is_small() {
        assert!(TABLE.len() < 200_000, "{}", TABLE.len());
    }
}
