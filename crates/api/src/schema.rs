//! The types of the API as data: what OpenAPI says, and what only upstream's Go types say.
//!
//! Built-in types come from `data/schemas.txt` (see `tools/derive-api-data`); custom resource definitions build a
//! [`Schemas`] of their own with the same parts.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::OnceLock;

mod parse;

/// A name that is part of the binary, or owned where a custom resource definition brought it.
pub type Name = Cow<'static, str>;

/// The place of a [`Struct`] in its [`Schemas`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StructId(pub u32);

/// What a JSON value may be.
#[derive(Clone, Debug, PartialEq)]
pub enum Type {
    /// Any JSON value: nothing below it is known.
    Any,
    /// Upstream's `runtime.RawExtension`: any object, kept as it is.
    RawExtension,
    /// A string; the Go type's name where it has one (`v1.PodPhase`), else empty.
    String(Name),
    /// Base64 of bytes.
    Bytes,
    /// An integer of 32 bits.
    Int32,
    /// An integer of 64 bits.
    Int64,
    /// A floating point number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// Upstream's `intstr.IntOrString`.
    IntOrString,
    /// Upstream's `resource.Quantity`.
    Quantity,
    /// An RFC 3339 time in seconds.
    Time,
    /// An RFC 3339 time with microseconds.
    MicroTime,
    /// A Go duration in a string, `1h0m0s`.
    Duration,
    /// An object with known fields.
    Struct(StructId),
    /// A list.
    List(Box<List>),
    /// An object whose keys are data.
    Map(Box<Map>),
    /// Upstream's `JSONSchemaPropsOrBool`.
    SchemaOrBool(StructId),
    /// Upstream's `JSONSchemaPropsOrArray`.
    SchemaOrArray(StructId),
    /// Upstream's `JSONSchemaPropsOrStringArray`.
    SchemaOrStrings(StructId),
}

impl Type {
    /// Whether the Go type is a struct, which `omitempty` does not omit.
    pub fn is_go_struct(&self) -> bool {
        matches!(
            self,
            Type::Struct(_)
                | Type::Any
                | Type::RawExtension
                | Type::IntOrString
                | Type::Quantity
                | Type::Time
                | Type::MicroTime
                | Type::SchemaOrBool(_)
                | Type::SchemaOrArray(_)
                | Type::SchemaOrStrings(_)
        )
    }
}

/// A list's type.
#[derive(Clone, Debug, PartialEq)]
pub struct List {
    /// The type of its items.
    pub item: Type,
    /// How appliers merge it.
    pub kind: ListType,
    /// Whether the API declares `kind` (`x-kubernetes-list-type`), or it is the default.
    pub declared: bool,
    /// The name of the Go type, where the list has one.
    pub go_type: Option<Name>,
}

/// `x-kubernetes-list-type` with `x-kubernetes-list-map-keys`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListType {
    /// Replaced as a whole.
    Atomic,
    /// Scalars, each at most once.
    Set,
    /// Objects, told apart by these fields.
    Map(Vec<Name>),
}

/// A map's type.
#[derive(Clone, Debug, PartialEq)]
pub struct Map {
    /// The type of its values.
    pub value: Type,
    /// Replaced as a whole by appliers (`x-kubernetes-map-type: atomic`).
    pub atomic: bool,
    /// The Go type of the keys, empty for `string`.
    pub key_go_type: Name,
    /// The name of the Go type, where the map has one.
    pub go_type: Option<Name>,
}

/// How strategic merge patches treat a field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PatchStrategy {
    /// Lists are merged instead of replaced.
    pub merge: bool,
    /// An object is replaced instead of being merged.
    pub replace: bool,
    /// `$retainKeys` may be used (a union).
    pub retain_keys: bool,
}

/// One field of a [`Struct`].
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// The name in JSON.
    pub name: Name,
    /// What it holds.
    pub ty: Type,
    /// OpenAPI calls it required.
    pub required: bool,
    /// `null` is a value of its own (custom resources).
    pub nullable: bool,
    /// Go's `omitempty`: not written when empty.
    pub omit_empty: bool,
    /// Go's `omitzero`: not written when it is the zero value.
    pub omit_zero: bool,
    /// A pointer in Go: an explicit zero differs from nothing.
    pub pointer: bool,
    /// The field's own `x-kubernetes-map-type: atomic` (on an object).
    pub atomic: bool,
    /// The same said the other way, which is the default: `x-kubernetes-map-type: granular`.
    pub granular: bool,
    /// Strategic merge patch.
    pub patch_strategy: PatchStrategy,
    extras: Option<Box<Extras>>,
}

/// What few fields have: apart, since there are five thousand fields.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Extras {
    /// The declared default (JSON text).
    pub default: Option<Name>,
    /// The allowed values, of a list those of its items, where OpenAPI lists them.
    pub enum_values: Vec<Name>,
    /// The key of a list that strategic merge patches merge.
    pub patch_merge_key: Option<Name>,
    /// The Go structs that it is embedded through (`VolumeSource`); decoding errors name them.
    pub inline: Name,
}

impl Field {
    /// An optional field without any extras, as custom resources have.
    pub fn new(name: impl Into<Name>, ty: Type) -> Field {
        Field {
            name: name.into(),
            ty,
            required: false,
            nullable: false,
            omit_empty: true,
            omit_zero: false,
            pointer: true,
            atomic: false,
            granular: false,
            patch_strategy: PatchStrategy::default(),
            extras: None,
        }
    }

    /// What else is said of it.
    pub fn extras(&self) -> &Extras {
        static NONE: Extras = Extras {
            default: None,
            enum_values: Vec::new(),
            patch_merge_key: None,
            inline: Name::Borrowed(""),
        };
        self.extras.as_deref().unwrap_or(&NONE)
    }

    /// Says more of it.
    pub fn set_extras(&mut self, extras: Extras) {
        self.extras = (extras != Extras::default()).then(|| Box::new(extras));
    }

    /// Whether Go writes the field though it was not set: no `omitempty`, or a struct that is no pointer.
    pub fn always_written(&self) -> bool {
        if self.omit_zero {
            return false;
        }
        !self.omit_empty || (!self.pointer && self.ty.is_go_struct())
    }

    /// The list type, for lists.
    pub fn list_type(&self) -> Option<&ListType> {
        match &self.ty {
            Type::List(list) => Some(&list.kind),
            _ => None,
        }
    }

    /// The fields that tell items of an associative list apart; empty for other types.
    pub fn map_keys(&self) -> &[Name] {
        match self.list_type() {
            Some(ListType::Map(keys)) => keys,
            _ => &[],
        }
    }
}

/// A group, a version and a kind.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct GroupVersionKind {
    /// The group, empty for the core group.
    pub group: Name,
    /// The version.
    pub version: Name,
    /// The kind.
    pub kind: Name,
}

/// An object type: its fields in the order of the Go type.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Struct {
    /// The OpenAPI definition's name, `io.k8s.api.core.v1.PodSpec`.
    pub name: Name,
    /// The fields.
    pub fields: Vec<Field>,
    /// The fields in the order of their names: how the name begins, and the place in `fields`. Most names are told apart
    /// without being looked at.
    sorted: Vec<(u32, u16)>,
    always: Vec<u16>,
    /// Replaced as a whole by appliers.
    pub atomic: bool,
    /// The kinds that this is the root of.
    pub kinds: Vec<GroupVersionKind>,
    /// `x-kubernetes-unions` as JSON text.
    pub unions: Option<Name>,
    /// `x-kubernetes-preserve-unknown-fields`: other fields are kept.
    pub preserve_unknown: bool,
    /// `x-kubernetes-embedded-resource`: has apiVersion, kind and metadata.
    pub embedded_resource: bool,
}

/// The first four bytes of a name, as a number that sorts as they do.
fn beginning(name: &str) -> u32 {
    let mut four = [0; 4];
    four.iter_mut().zip(name.bytes()).for_each(|(to, from)| *to = from);
    u32::from_be_bytes(four)
}

impl Struct {
    /// A struct with these fields.
    pub fn new(name: impl Into<Name>, fields: Vec<Field>) -> Struct {
        let mut s = Struct { name: name.into(), ..Struct::default() };
        s.set_fields(fields);
        s
    }

    /// Replaces the fields.
    pub fn set_fields(&mut self, fields: Vec<Field>) {
        let mut sorted: Vec<(u32, u16)> = (0..).zip(&fields).map(|(i, f)| (beginning(&f.name), i)).collect();
        sorted.sort_unstable();
        self.always = (0..fields.len() as u16).filter(|i| fields[usize::from(*i)].always_written()).collect();
        self.fields = fields;
        self.sorted = sorted;
    }

    /// The fields that Go writes even when nothing was set.
    pub fn always_written(&self) -> impl Iterator<Item = &Field> {
        self.always.iter().map(|i| &self.fields[usize::from(*i)])
    }

    /// The place of a field in [`Struct::fields`]; names are case sensitive.
    pub fn position(&self, name: &str) -> Option<usize> {
        let wanted = beginning(name);
        let first = self.sorted.partition_point(|(begins, _)| *begins < wanted);
        let alike = self.sorted[first..].iter().take_while(|(begins, _)| *begins == wanted);
        alike.map(|(_, i)| usize::from(*i)).find(|i| *self.fields[*i].name == *name)
    }

    /// A field by its JSON name.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.position(name).map(|i| &self.fields[i])
    }

    /// The Go type's name without its package: `PodSpec`.
    pub fn go_name(&self) -> &str {
        self.name.rsplit('.').next().unwrap_or_default()
    }

    /// The Go type's name with its package: `v1.PodSpec`.
    pub fn go_type(&self) -> &str {
        let mut dots = self.name.rmatch_indices('.').map(|(i, _)| i);
        match (dots.next(), dots.next()) {
            (Some(_), Some(second)) => &self.name[second + 1..],
            _ => &self.name,
        }
    }
}

/// A set of types that refer to each other.
#[derive(Clone, Debug, Default)]
pub struct Schemas {
    structs: Vec<Struct>,
    by_name: HashMap<Name, StructId>,
}

impl Schemas {
    /// An empty set.
    pub fn new() -> Schemas {
        Schemas::default()
    }

    /// An empty set with room for so many types.
    pub(crate) fn with_capacity(types: usize) -> Schemas {
        Schemas { structs: Vec::with_capacity(types), by_name: HashMap::with_capacity(types) }
    }

    /// Adds a struct; a later one of the same name hides the earlier from [`Schemas::by_name`].
    pub fn add(&mut self, s: Struct) -> StructId {
        let id = StructId(self.structs.len() as u32);
        if !s.name.is_empty() {
            self.by_name.insert(s.name.clone(), id);
        }
        self.structs.push(s);
        id
    }

    /// The struct with this id. An id of another set gives an empty struct.
    pub fn get(&self, id: StructId) -> &Struct {
        static EMPTY: OnceLock<Struct> = OnceLock::new();
        self.structs.get(id.0 as usize).unwrap_or_else(|| EMPTY.get_or_init(Struct::default))
    }

    /// To fill in a struct that was added before the types it refers to.
    pub fn get_mut(&mut self, id: StructId) -> Option<&mut Struct> {
        self.structs.get_mut(id.0 as usize)
    }

    /// A struct by its OpenAPI definition name.
    pub fn by_name(&self, name: &str) -> Option<StructId> {
        self.by_name.get(name).copied()
    }

    /// All structs.
    pub fn iter(&self) -> impl Iterator<Item = (StructId, &Struct)> {
        self.structs.iter().enumerate().map(|(i, s)| (StructId(i as u32), s))
    }

    /// The type of a field, through structs and maps; `None` where nothing is known.
    pub fn field_type<'a>(&'a self, ty: &'a Type, name: &str) -> Option<&'a Type> {
        match ty {
            Type::Struct(id) => self.get(*id).field(name).map(|f| &f.ty),
            Type::Map(map) => Some(&map.value),
            _ => None,
        }
    }

    /// The Go type's name, as decoding errors print it: `[]v1.Container`, `map[string]string`, `int32`.
    pub fn go_type(&self, ty: &Type) -> String {
        match ty {
            Type::Any => "interface {}".to_owned(),
            Type::RawExtension => "runtime.RawExtension".to_owned(),
            Type::String(name) if name.is_empty() => "string".to_owned(),
            Type::String(name) => name.to_string(),
            Type::Bytes => "[]uint8".to_owned(),
            Type::Int32 => "int32".to_owned(),
            Type::Int64 => "int64".to_owned(),
            Type::Number => "float64".to_owned(),
            Type::Boolean => "bool".to_owned(),
            Type::IntOrString => "intstr.IntOrString".to_owned(),
            Type::Quantity => "resource.Quantity".to_owned(),
            Type::Time => "v1.Time".to_owned(),
            Type::MicroTime => "v1.MicroTime".to_owned(),
            Type::Duration => "v1.Duration".to_owned(),
            Type::Struct(id) => self.get(*id).go_type().to_owned(),
            Type::List(list) => match &list.go_type {
                Some(name) => name.to_string(),
                None => format!("[]{}", self.go_type(&list.item)),
            },
            Type::Map(map) => match &map.go_type {
                Some(name) => name.to_string(),
                None => {
                    let key = if map.key_go_type.is_empty() { "string" } else { &map.key_go_type };
                    format!("map[{key}]{}", self.go_type(&map.value))
                }
            },
            Type::SchemaOrBool(_) => "v1.JSONSchemaPropsOrBool".to_owned(),
            Type::SchemaOrArray(_) => "v1.JSONSchemaPropsOrArray".to_owned(),
            Type::SchemaOrStrings(_) => "v1.JSONSchemaPropsOrStringArray".to_owned(),
        }
    }
}

/// The types of all built-in group versions.
pub fn builtin() -> &'static Schemas {
    static BUILTIN: OnceLock<Schemas> = OnceLock::new();
    BUILTIN.get_or_init(|| parse::schemas(include_str!("../data/schemas.txt")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_carry_what_go_and_openapi_say() {
        let s = builtin();
        let pod_spec = s.get(s.by_name("io.k8s.api.core.v1.PodSpec").unwrap());
        assert_eq!((pod_spec.go_name(), pod_spec.go_type()), ("PodSpec", "v1.PodSpec"));
        let containers = pod_spec.field("containers").unwrap();
        assert!(containers.required && !containers.omit_empty);
        assert_eq!(containers.map_keys(), ["name"]);
        assert_eq!(containers.extras().patch_merge_key.as_deref(), Some("name"));
        assert_eq!(s.go_type(&containers.ty), "[]v1.Container");
        let volumes = pod_spec.field("volumes").unwrap();
        assert!(volumes.patch_strategy.merge && volumes.patch_strategy.retain_keys);
        let overhead = pod_spec.field("overhead").unwrap();
        assert_eq!(s.go_type(&overhead.ty), "v1.ResourceList");
        assert!(matches!(&overhead.ty, Type::Map(m) if m.value == Type::Quantity));
        assert!(pod_spec.field("Containers").is_none());
        // The name of the lists was taken for that of the map.
        let user = s.get(s.by_name("io.k8s.api.authentication.v1.UserInfo").unwrap());
        let extra = &user.field("extra").unwrap().ty;
        assert_eq!(s.go_type(extra), "map[string]v1.ExtraValue");
        assert!(matches!(extra, Type::Map(m) if s.go_type(&m.value) == "v1.ExtraValue"));
    }

    #[test]
    fn every_reference_resolves() {
        fn check(s: &Schemas, ty: &Type) {
            match ty {
                Type::Struct(id) | Type::SchemaOrBool(id) => assert!(!s.get(*id).name.is_empty()),
                Type::List(list) => check(s, &list.item),
                Type::Map(map) => check(s, &map.value),
                _ => {}
            }
        }
        for (_, one) in builtin().iter() {
            one.fields.iter().for_each(|f| check(builtin(), &f.ty));
        }
        assert!(builtin().by_name("io.k8s.api.extensions.v1beta1.Deployment").is_some());
    }
}
