//! A custom resource definition, read once: what is served, in which versions, with which schemas.

use std::cmp::Ordering;
use std::sync::Arc;

use api::Value;
use api::kinds::{Kind, Kinds, Served, Subresource, compare_versions};
use api::schema::{GroupVersionKind, Name, StructId};

use crate::schema::Schema;
use crate::types::{self, Types};

/// `subresources.scale`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scale {
    /// Path of the wanted number, without its leading dot.
    pub replicas: String,
    /// Path of the observed number.
    pub status: String,
    /// Path of the selector's text.
    pub selector: Option<String>,
}

/// One version.
#[derive(Clone, Debug)]
pub struct Version {
    /// Its name.
    pub name: String,
    /// Whether clients reach it.
    pub served: bool,
    /// The schema, if it has one.
    pub schema: Option<Schema>,
    /// Whether it has the status subresource.
    pub status: bool,
    /// Its scale subresource.
    pub scale: Option<Scale>,
    /// `additionalPrinterColumns`.
    pub columns: Vec<Value>,
    /// Paths of `selectableFields`, without their leading dots.
    pub selectable: Vec<String>,
    /// What clients are warned with.
    pub warning: Option<String>,
}

/// A definition.
#[derive(Clone, Debug)]
pub struct Definition {
    /// Its name, `things.example.com`.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// The group.
    pub group: String,
    /// The kind.
    pub kind: String,
    /// Unknown fields are kept everywhere (definitions from before schemas).
    pub preserve_unknown: bool,
    /// The versions as the definition lists them.
    pub versions: Vec<Version>,
    /// The row of the kind table: the stored version first, then every other one.
    pub row: Arc<Kind>,
    /// The served versions with their types, for OpenAPI.
    pub types: Arc<Types>,
    /// Types of `row`'s versions.
    pub schemas: Arc<api::schema::Schemas>,
}

const VERBS: [&str; 8] = ["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"];

fn text<'a>(value: &'a Value, path: &[&str]) -> &'a str {
    path.iter().try_fold(value, |v, step| v.get(step)).and_then(Value::as_str).unwrap_or_default()
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn undotted(path: &str) -> String {
    path.strip_prefix('.').unwrap_or(path).to_owned()
}

fn names(of: &Value, field: &str) -> Vec<Name> {
    list(of, field).iter().filter_map(|v| v.as_str().map(|s| Name::Owned(s.to_owned()))).collect()
}

fn verbs(all: &[&'static str]) -> Vec<Name> {
    all.iter().map(|v| Name::Borrowed(*v)).collect()
}

/// The condition of a definition.
pub fn condition<'a>(definition: &'a Value, kind: &str) -> Option<&'a Value> {
    let conditions = definition.get("status")?.get("conditions")?.as_array()?;
    conditions.iter().find(|c| c.get("type").and_then(Value::as_str) == Some(kind))
}

/// Whether a condition is `True`.
pub fn is_true(definition: &Value, kind: &str) -> bool {
    condition(definition, kind).is_some_and(|c| c.get("status").and_then(Value::as_str) == Some("True"))
}

/// What clients of a deprecated version are told: the newest served version that is not, if it is newer.
fn deprecation(group: &str, name: &str, kind: &str, all: &[Value]) -> String {
    let is = |version: &Value, field: &str| version.get(field).and_then(Value::as_bool) == Some(true);
    let served = all.iter().filter(|v| is(v, "served") && !is(v, "deprecated")).map(|v| text(v, &["name"]));
    let newer = served.filter(|other| compare_versions(other, name) == Ordering::Greater);
    let hint = newer.max_by(|a, b| compare_versions(a, b)).map(|v| format!("; use {group}/{v} {kind}"));
    format!("{group}/{name} {kind} is deprecated{}", hint.unwrap_or_default())
}

impl Version {
    fn parse(group: &str, kind: &str, value: &Value, all: &[Value]) -> Version {
        let name = text(value, &["name"]).to_owned();
        let schema = value.get("schema").and_then(|s| s.get("openAPIV3Schema")).filter(|s| s.is_object());
        let subresources = value.get("subresources");
        let scale = subresources.and_then(|s| s.get("scale")).filter(|s| s.is_object());
        let deprecated = value.get("deprecated").and_then(Value::as_bool) == Some(true);
        let own_warning = value.get("deprecationWarning").and_then(Value::as_str).map(str::to_owned);
        Version {
            served: value.get("served").and_then(Value::as_bool).unwrap_or(false),
            schema: schema.map(Schema::parse),
            status: subresources.and_then(|s| s.get("status")).is_some_and(|s| !s.is_null()),
            scale: scale.map(|s| Scale {
                replicas: undotted(text(s, &["specReplicasPath"])),
                status: undotted(text(s, &["statusReplicasPath"])),
                selector: Some(undotted(text(s, &["labelSelectorPath"]))).filter(|p| !p.is_empty()),
            }),
            columns: list(value, "additionalPrinterColumns").to_vec(),
            selectable: list(value, "selectableFields")
                .iter()
                .map(|f| undotted(text(f, &["jsonPath"])))
                .collect(),
            warning: deprecated.then(|| own_warning.unwrap_or_else(|| deprecation(group, &name, kind, all))),
            name,
        }
    }

    fn subresources(&self, kind: &str) -> Vec<Subresource> {
        let mut all = Vec::new();
        let writes = ["get", "patch", "update"];
        if self.status {
            all.push(Subresource {
                name: "status".into(),
                group_version: None,
                kind: Name::Owned(kind.to_owned()),
                verbs: verbs(&writes),
                ty: None,
            });
        }
        if self.scale.is_some() {
            let builtin = api::schema::builtin().by_name("io.k8s.api.autoscaling.v1.Scale");
            all.push(Subresource {
                name: "scale".into(),
                group_version: Some(("autoscaling".into(), "v1".into())),
                kind: "Scale".into(),
                verbs: verbs(&writes),
                ty: builtin,
            });
        }
        all
    }
}

impl Definition {
    /// Reads a definition of the hub version, with the names that were accepted.
    ///
    /// # Errors
    /// When it has no stored version.
    pub fn parse(crd: &Value) -> Result<Definition, String> {
        let spec = crd.get("spec").unwrap_or(&Value::Null);
        let accepted = crd.get("status").and_then(|s| s.get("acceptedNames")).unwrap_or(&Value::Null);
        let group = text(spec, &["group"]).to_owned();
        let kind = text(accepted, &["kind"]).to_owned();
        let plural = text(accepted, &["plural"]).to_owned();
        let list_kind = match text(accepted, &["listKind"]) {
            "" => format!("{kind}List"),
            named => named.to_owned(),
        };
        let singular = match text(accepted, &["singular"]) {
            "" => kind.to_lowercase(),
            named => named.to_owned(),
        };
        let raw = list(spec, "versions");
        let versions: Vec<Version> = raw.iter().map(|v| Version::parse(&group, &kind, v, raw)).collect();
        let stored = raw.iter().position(|v| v.get("storage").and_then(Value::as_bool) == Some(true));
        let stored = stored.ok_or("no version is stored")?;

        let built = types::build(&group, &kind, &list_kind, &versions);
        let hash = storage_hash(&group, &versions[stored].name, &kind);
        let served = |at: usize, ty: Option<StructId>, scale: Option<StructId>| {
            let version = &versions[at];
            let mut subresources = version.subresources(&kind);
            for sub in &mut subresources {
                sub.ty = if sub.name == "status" { ty } else { scale.or(sub.ty) };
            }
            Served {
                group: Name::Owned(group.clone()),
                version: Name::Owned(version.name.clone()),
                kind: Name::Owned(kind.clone()),
                verbs: verbs(&VERBS),
                ty,
                deprecation: None,
                subresources,
            }
        };
        let mut order: Vec<usize> = (0..versions.len()).filter(|i| *i != stored).collect();
        order.insert(0, stored);
        let row = |keep: &dyn Fn(&usize) -> bool, scale: Option<StructId>| Kind {
            group: Name::Owned(group.clone()),
            version: Name::Owned(versions[stored].name.clone()),
            kind: Name::Owned(kind.clone()),
            list_kind: Name::Owned(list_kind.clone()),
            plural: Name::Owned(plural.clone()),
            singular: Name::Owned(singular.clone()),
            short_names: names(accepted, "shortNames"),
            categories: names(accepted, "categories"),
            namespaced: text(spec, &["scope"]) != "Cluster",
            etcd_prefix: Some(Name::Owned(format!("{group}/{plural}"))),
            storage_version_hash: Name::Owned(hash.clone()),
            served: order
                .iter()
                .filter(|i| keep(i))
                .map(|i| served(*i, Some(built.roots[*i]), scale))
                .collect(),
        };
        let preserve_unknown = spec.get("preserveUnknownFields").and_then(Value::as_bool).unwrap_or(false);
        let mut published = Vec::new();
        for (version, raw) in versions.iter().zip(raw).filter(|(v, _)| v.served) {
            let names = openapi::custom::Names {
                kind: GroupVersionKind {
                    group: Name::Owned(group.clone()),
                    version: Name::Owned(version.name.clone()),
                    kind: Name::Owned(kind.clone()),
                },
                list_kind: list_kind.clone(),
                plural: plural.clone(),
            };
            let schema = raw.get("schema").and_then(|s| s.get("openAPIV3Schema")).unwrap_or(&Value::Null);
            let selectable = version.selectable.clone();
            published.push(
                openapi::Published::new(names, schema, selectable, preserve_unknown)
                    .map_err(|e| e.to_string())?,
            );
        }
        let full = row(&|_| true, None);
        let open = row(&|i| versions[*i].served, Some(built.scale));
        let schemas = Arc::new(built.schemas);
        Ok(Definition {
            name: text(crd, &["metadata", "name"]).to_owned(),
            uid: text(crd, &["metadata", "uid"]).to_owned(),
            preserve_unknown,
            row: Arc::new(full),
            types: Arc::new(Types {
                kinds: Kinds::new(&[], vec![open]),
                schemas: Arc::clone(&schemas),
                published,
            }),
            schemas,
            group,
            kind,
            versions,
        })
    }

    /// A version by its name.
    pub fn version(&self, name: &str) -> Option<&Version> {
        self.versions.iter().find(|v| v.name == name)
    }
}

/// Discovery's `storageVersionHash` (`discovery.StorageVersionHash`).
fn storage_hash(group: &str, version: &str, kind: &str) -> String {
    use base64::Engine;
    use sha2::Digest;
    let hash = sha2::Sha256::digest(format!("{group}/{version}/{kind}"));
    base64::engine::general_purpose::STANDARD.encode(&hash[..8])
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_definition_becomes_a_row_of_the_kind_table() {
        let names =
            json!({"plural": "things", "singular": "thing", "kind": "Thing", "listKind": "ThingList"});
        let crd = json!({"metadata": {"name": "things.read.crd.example.com"},
            "spec": {"group": "read.crd.example.com", "scope": "Namespaced", "names": names, "versions": [
                {"name": "v1beta1", "served": false, "storage": false, "schema": {"openAPIV3Schema": {"type": "object"}}},
                {"name": "v1", "served": true, "storage": true, "subresources": {"status": {}},
                 "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": {"type": "object"}}}}}]},
            "status": {"acceptedNames": names}});
        let definition = Definition::parse(&crd).unwrap();
        let row = &definition.row;
        assert_eq!((&*row.served[0].version, &*row.served[1].version), ("v1", "v1beta1"));
        assert_eq!(row.storage_version_hash, "/+C6jBIDPKg=");
        assert_eq!(row.etcd_prefix.as_deref(), Some("read.crd.example.com/things"));
        assert_eq!(row.served[0].subresources[0].name, "status");
        let types = &definition.types;
        assert!(types.kinds.lookup("read.crd.example.com", "v1beta1", "things").is_none());
        let root = types
            .schemas
            .get(types.kinds.lookup("read.crd.example.com", "v1", "things").unwrap().ty.unwrap());
        assert_eq!(root.name, "com.example.crd.read.v1.Thing");
        assert!(root.field("metadata").is_some() && root.field("spec").is_some());
    }

    /// The newer version was not named.
    #[test]
    fn clients_of_a_deprecated_version_are_told_of_a_newer_one() {
        let version =
            |name: &str, deprecated: bool| json!({"name": name, "served": true, "deprecated": deprecated});
        let all = [
            version("v1beta1", true),
            version("v1alpha1", false),
            version("v1", false),
            version("v2beta1", false),
        ];
        let said = deprecation("g", "v1beta1", "Thing", &all);
        assert_eq!(said, "g/v1beta1 Thing is deprecated; use g/v1 Thing");
        assert_eq!(deprecation("g", "v2", "Thing", &all), "g/v2 Thing is deprecated");
        assert_eq!(compare_versions("v10", "v9"), Ordering::Greater);
        assert_eq!(compare_versions("foo", "bar"), Ordering::Less);
    }
}
