//! Reads `data/schemas.txt`. The format is described in its first line; strings are borrowed from the text.

use std::collections::HashMap;

use super::{Extras, Field, GroupVersionKind, List, ListType, Map, Name, Schemas, Struct, StructId, Type};

/// All structs of the text. Two passes: names first, since types refer to each other.
pub(super) fn schemas(text: &'static str) -> Schemas {
    let mut prefixes: HashMap<&'static str, &'static str> = HashMap::new();
    let mut ids: HashMap<&'static str, StructId> = HashMap::new();
    let mut out = Schemas::with_capacity(text.lines().filter(|line| line.starts_with("S ")).count());
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("P ") {
            if let Some((alias, prefix)) = rest.split_once(' ') {
                prefixes.insert(alias, prefix);
            }
        } else if let Some(rest) = line.strip_prefix("S ") {
            let mut words = rest.split(' ');
            let short = words.next().unwrap_or_default();
            let mut s = Struct { name: full_name(short, &prefixes), ..Struct::default() };
            for word in words {
                header(word, &mut s);
            }
            s.kinds.shrink_to_fit();
            ids.insert(short, out.add(s));
        }
    }
    let mut at: Option<StructId> = None;
    let mut fields: Vec<Field> = Vec::new();
    for line in text.lines().filter(|l| !l.starts_with("P ") && !l.starts_with('#')) {
        match line.strip_prefix("S ") {
            Some(rest) => {
                flush(&mut out, at, &mut fields);
                at = ids.get(rest.split(' ').next().unwrap_or_default()).copied();
            }
            None => fields.extend(field(line, &ids)),
        }
    }
    flush(&mut out, at, &mut fields);
    out
}

fn flush(out: &mut Schemas, at: Option<StructId>, fields: &mut Vec<Field>) {
    if let Some(s) = at.and_then(|id| out.get_mut(id)) {
        let mut own = std::mem::take(fields);
        own.shrink_to_fit();
        s.set_fields(own);
    }
}

fn full_name(short: &'static str, prefixes: &HashMap<&'static str, &'static str>) -> Name {
    let (alias, name) = short.rsplit_once('.').unwrap_or(("", short));
    // These types live as long as the process: their names need not be copied with them.
    Name::Borrowed(format!("{}.{name}", prefixes.get(alias).copied().unwrap_or(alias)).leak())
}

fn header(word: &'static str, s: &mut Struct) {
    if word == "A" {
        s.atomic = true;
    } else if let Some(gvk) = word.strip_prefix("G=") {
        let mut parts = gvk.split('/');
        if let (Some(group), Some(version), Some(kind)) = (parts.next(), parts.next(), parts.next()) {
            s.kinds.push(GroupVersionKind {
                group: group.into(),
                version: version.into(),
                kind: kind.into(),
            });
        }
    } else if let Some(unions) = word.strip_prefix("U=") {
        s.unions = Some(unions.into());
    }
}

fn field(line: &'static str, ids: &HashMap<&'static str, StructId>) -> Option<Field> {
    let mut columns = line.split('\t');
    let name = columns.next()?;
    let mut f = Field { omit_empty: false, pointer: false, ..Field::new(name, ty(columns.next()?, ids)) };
    for flag in columns.next().unwrap_or_default().bytes() {
        match flag {
            b'p' => f.pointer = true,
            b'o' => f.omit_empty = true,
            b'z' => f.omit_zero = true,
            b'r' => f.required = true,
            b'n' => f.nullable = true,
            _ => {}
        }
    }
    let mut list_type = None;
    let mut keys: Vec<Name> = Vec::new();
    let mut extras = Extras::default();
    for extra in columns {
        let Some((key, value)) = extra.split_once('=') else { continue };
        match key {
            "patch" => {
                for word in value.split(',') {
                    f.patch_strategy.merge |= word == "merge";
                    f.patch_strategy.replace |= word == "replace";
                    f.patch_strategy.retain_keys |= word == "retainKeys";
                }
            }
            "merge" => extras.patch_merge_key = Some(value.into()),
            "list" => list_type = Some(value),
            "keys" => keys = value.split(',').map(Name::from).collect(),
            "inline" => extras.inline = value.into(),
            "map" => {
                f.atomic = value == "atomic";
                f.granular = value == "granular";
            }
            "default" => extras.default = Some(value.into()),
            "enum" => extras.enum_values = value.split('|').map(Name::from).collect(),
            _ => {}
        }
    }
    f.set_extras(extras);
    if let Type::List(list) = &mut f.ty {
        list.declared = list_type.is_some();
        list.kind = match list_type {
            Some("map") => ListType::Map(keys),
            Some("set") => ListType::Set,
            _ => ListType::Atomic,
        };
    }
    if let Type::Map(map) = &mut f.ty {
        map.atomic = f.atomic;
    }
    Some(f)
}

fn ty(text: &'static str, ids: &HashMap<&'static str, StructId>) -> Type {
    // In a map of lists the lists have the name: `{}[]string@v1.ExtraValue`.
    if let Some((key, lists)) = text.strip_prefix('{').and_then(|rest| rest.split_once('}'))
        && lists.starts_with("[]")
    {
        let value = ty(lists, ids);
        return Type::Map(Box::new(Map { value, atomic: false, key_go_type: key.into(), go_type: None }));
    }
    let (text, go_type) = match text.split_once('@') {
        Some((text, go)) => (text, Some(Name::Borrowed(go))),
        None => (text, None),
    };
    if let Some(item) = text.strip_prefix("[]") {
        return Type::List(Box::new(List {
            item: ty(item, ids),
            kind: ListType::Atomic,
            declared: false,
            go_type,
        }));
    }
    if let Some((key, value)) = text.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
        let value = ty(value, ids);
        return Type::Map(Box::new(Map { value, atomic: false, key_go_type: key.into(), go_type }));
    }
    let id = |name: &str| ids.get(name).copied().unwrap_or(StructId(u32::MAX));
    match text.split_once(':') {
        Some(("string", go)) => return Type::String(go.into()),
        Some(("orbool", s)) => return Type::SchemaOrBool(id(s)),
        Some(("orarray", s)) => return Type::SchemaOrArray(id(s)),
        Some(("orstrings", s)) => return Type::SchemaOrStrings(id(s)),
        _ => {}
    }
    match text {
        "any" => Type::Any,
        "raw" => Type::RawExtension,
        "string" => Type::String(Name::Borrowed("")),
        "bytes" => Type::Bytes,
        "int32" => Type::Int32,
        "int64" => Type::Int64,
        "number" => Type::Number,
        "bool" => Type::Boolean,
        "intorstring" => Type::IntOrString,
        "quantity" => Type::Quantity,
        "time" => Type::Time,
        "microtime" => Type::MicroTime,
        "duration" => Type::Duration,
        name => Type::Struct(id(name)),
    }
}
