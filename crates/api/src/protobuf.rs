//! Built-in objects in protobuf (upstream's `generated.proto` of each group version), read as the JSON that says the same.
//!
//! Names and types of fields are those of the schemas; `data/protobuf.txt` adds their numbers. Upstream's messages differ
//! from the JSON in three ways: Go structs that are embedded have a message of their own, a few scalars are messages
//! (times, quantities), and lists inside maps are wrapped in one.

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::json::MAX_VALUE_DEPTH;
use crate::schema::{self, GroupVersionKind, List, StructId, Type};
use crate::time::Timestamp;
use crate::{Object, Value, kinds};

/// What is wrong with a message, in the words of Go's generated code.
pub type Wrong = String;

type Result<T> = std::result::Result<T, Wrong>;

const SHORT: &str = "unexpected EOF";

/// Takes so many bytes from the front.
fn take<'a>(rest: &mut &'a [u8], length: u64) -> Result<&'a [u8]> {
    let length = usize::try_from(length).map_err(|_| SHORT)?;
    let (value, more) = rest.split_at_checked(length).ok_or(SHORT)?;
    *rest = more;
    Ok(value)
}

/// Takes a number of variable length (at most 64 bits) from the front.
fn varint(rest: &mut &[u8]) -> Result<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (&byte, more) = rest.split_first().ok_or(SHORT)?;
        *rest = more;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err("proto: integer overflow".to_owned())
}

/// What a field holds.
#[derive(Clone, Copy, Debug)]
pub enum Wire<'a> {
    /// A number, a truth value.
    Varint(u64),
    /// A double.
    Fixed64([u8; 8]),
    /// Nothing that upstream has.
    Fixed32,
    /// A text, bytes or a message.
    Bytes(&'a [u8]),
}

impl<'a> Wire<'a> {
    fn bytes(self, name: &str) -> Result<&'a [u8]> {
        if let Wire::Bytes(bytes) = self { Ok(bytes) } else { Err(self.wrong(name)) }
    }

    fn number(self, name: &str) -> Result<u64> {
        if let Wire::Varint(number) = self { Ok(number) } else { Err(self.wrong(name)) }
    }

    fn wrong(self, name: &str) -> Wrong {
        let kind = match self {
            Wire::Varint(_) => 0,
            Wire::Fixed64(_) => 1,
            Wire::Bytes(_) => 2,
            Wire::Fixed32 => 5,
        };
        let mut letters = name.chars();
        let first = letters.next().map(|c| c.to_ascii_uppercase());
        let go_name: String = first.into_iter().chain(letters).collect();
        format!("proto: wrong wireType = {kind} for field {go_name}")
    }
}

/// Goes over the fields of a message: each number with what it holds.
///
/// # Errors
/// The message is cut off or none; or what `each` says.
pub fn fields<'a>(mut rest: &'a [u8], mut each: impl FnMut(u64, Wire<'a>) -> Result<()>) -> Result<()> {
    while !rest.is_empty() {
        let tag = varint(&mut rest)?;
        let value = match tag & 7 {
            0 => Wire::Varint(varint(&mut rest)?),
            1 => Wire::Fixed64(take(&mut rest, 8)?.try_into().map_err(|_| SHORT)?),
            2 => {
                let length = varint(&mut rest)?;
                Wire::Bytes(take(&mut rest, length)?)
            }
            5 => {
                take(&mut rest, 4)?;
                Wire::Fixed32
            }
            other => return Err(format!("proto: illegal wireType {other}")),
        };
        if tag >> 3 == 0 {
            return Err(format!("proto: illegal tag 0 (wire type {})", tag & 7));
        }
        each(tag >> 3, value)?;
    }
    Ok(())
}

/// What the numbers of a message stand for, in their order.
#[derive(Debug, Default)]
struct Slots(Vec<(u64, Slot)>);

#[derive(Debug)]
enum Slot {
    /// The field at this place of the struct.
    Field(usize),
    /// A struct that is embedded: its fields are the outer one's.
    Embedded(Slots),
}

impl Slots {
    /// Reads a line of `data/protobuf.txt`.
    fn parse(line: &str) -> Slots {
        let mut slots = Slots::default();
        let mut place = 0;
        for word in line.split(' ').skip(1) {
            let (path, run) = match word.rsplit_once('.') {
                Some((path, run)) => (path.split('.').filter_map(|n| n.parse().ok()).collect(), run),
                None => (Vec::new(), word),
            };
            let (first, last) = run.split_once('-').unwrap_or((run, run));
            match (first.parse::<u64>(), last.parse::<u64>()) {
                (Ok(first), Ok(last)) => {
                    for number in first..=last {
                        slots.add(&path, number, place);
                        place += 1;
                    }
                }
                // A field that is in no message.
                _ => place += 1,
            }
        }
        slots
    }

    fn add(&mut self, path: &[u64], number: u64, place: usize) {
        let Some((outer, path)) = path.split_first() else {
            return self.insert(number, Slot::Field(place));
        };
        if self.find(*outer).is_none() {
            self.insert(*outer, Slot::Embedded(Slots::default()));
        }
        if let Ok(at) = self.0.binary_search_by_key(outer, |(n, _)| *n)
            && let (_, Slot::Embedded(inner)) = &mut self.0[at]
        {
            inner.add(path, number, place);
        }
    }

    fn insert(&mut self, number: u64, slot: Slot) {
        let at = self.0.partition_point(|(n, _)| *n < number);
        self.0.insert(at, (number, slot));
    }

    fn find(&self, number: u64) -> Option<&Slot> {
        self.0.binary_search_by_key(&number, |(n, _)| *n).ok().map(|at| &self.0[at].1)
    }
}

const DATA: &str = include_str!("../data/protobuf.txt");

/// One for each struct of the built-in schemas. Only who gets protobuf pays for it.
static TABLE: LazyLock<Vec<Slots>> =
    LazyLock::new(|| DATA.lines().filter(|line| !line.starts_with('#')).map(Slots::parse).collect());

/// The built-in type of that kind.
pub fn type_of(group: &str, version: &str, kind: &str) -> Option<StructId> {
    if kind == "DeleteOptions" {
        // Every group version knows it.
        return schema::builtin().by_name("io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions");
    }
    let stored = kinds::builtin().by_kind(group, version, kind).and_then(|resource| resource.ty);
    stored.or_else(|| {
        let is = |of: &GroupVersionKind| of.group == group && of.version == version && of.kind == kind;
        schema::builtin().iter().find(|(_, s)| s.kinds.iter().any(is)).map(|(id, _)| id)
    })
}

/// Reads an object of a built-in type. The kind is not in the message.
///
/// # Errors
/// What Go's generated code says of a message that is none, or not of this type.
pub fn read(id: StructId, message: &[u8]) -> Result<Object> {
    let mut object = Object::new();
    read_struct(id, message, &mut object, 0)?;
    Ok(object)
}

fn read_struct(id: StructId, message: &[u8], object: &mut Object, depth: usize) -> Result<()> {
    if depth > MAX_VALUE_DEPTH {
        return Err("exceeded max depth".to_owned());
    }
    let Some(slots) = usize::try_from(id.0).ok().and_then(|at| TABLE.get(at)) else { return Ok(()) };
    read_slots(id, slots, message, object, depth)
}

fn read_slots(id: StructId, slots: &Slots, message: &[u8], object: &mut Object, depth: usize) -> Result<()> {
    let known = &schema::builtin().get(id).fields;
    fields(message, |number, wire| match slots.find(number) {
        None => Ok(()),
        Some(Slot::Embedded(inner)) => read_slots(id, inner, wire.bytes("embedded")?, object, depth),
        Some(Slot::Field(place)) => match known.get(*place) {
            Some(field) => read_field(&field.name, &field.ty, wire, object, depth + 1),
            None => Ok(()),
        },
    })
}

/// A field that may come several times: lists and maps grow by each, messages are merged, of others the last one counts.
fn read_field(name: &str, ty: &Type, wire: Wire<'_>, object: &mut Object, depth: usize) -> Result<()> {
    let place = object.entry(name).or_insert(Value::Null);
    match ty {
        Type::List(list) => {
            if !place.is_array() {
                *place = Value::Array(Vec::new());
            }
            let Value::Array(items) = place else { return Ok(()) };
            read_item(name, list, wire, items, depth + 1)
        }
        Type::Map(map) => {
            if !place.is_object() {
                *place = Value::Object(Object::new());
            }
            let Value::Object(entries) = place else { return Ok(()) };
            let (mut key, mut value) = (String::new(), None);
            fields(wire.bytes(name)?, |number, wire| {
                match number {
                    1 => key = text(wire.bytes(name)?),
                    2 => value = Some(map_value(name, &map.value, wire, depth + 1)?),
                    _ => {}
                }
                Ok(())
            })?;
            let value = match value {
                Some(value) => value,
                None => map_value(name, &map.value, Wire::Bytes(&[]), depth + 1).unwrap_or(Value::Null),
            };
            entries.insert(key, value);
            Ok(())
        }
        Type::Struct(id) => {
            if !place.is_object() {
                *place = Value::Object(Object::new());
            }
            let Value::Object(inner) = place else { return Ok(()) };
            read_struct(*id, wire.bytes(name)?, inner, depth)
        }
        other => {
            *place = scalar(name, other, wire, depth)?;
            Ok(())
        }
    }
}

fn read_item(name: &str, list: &List, wire: Wire<'_>, items: &mut Vec<Value>, depth: usize) -> Result<()> {
    match (&list.item, wire) {
        // Numbers may come packed.
        (Type::Int32 | Type::Int64 | Type::Boolean, Wire::Bytes(mut packed)) => {
            while !packed.is_empty() {
                let number = varint(&mut packed)?;
                items.push(scalar(name, &list.item, Wire::Varint(number), depth)?);
            }
        }
        (item, wire) => items.push(value(name, item, wire, depth)?),
    }
    Ok(())
}

fn map_value(name: &str, ty: &Type, wire: Wire<'_>, depth: usize) -> Result<Value> {
    let Type::List(list) = ty else { return value(name, ty, wire, depth) };
    let mut items = Vec::new();
    fields(wire.bytes(name)?, |number, wire| match number {
        1 => read_item(name, list, wire, &mut items, depth + 1),
        _ => Ok(()),
    })?;
    Ok(Value::Array(items))
}

fn value(name: &str, ty: &Type, wire: Wire<'_>, depth: usize) -> Result<Value> {
    let Type::Struct(id) = ty else { return scalar(name, ty, wire, depth) };
    let mut object = Object::new();
    read_struct(*id, wire.bytes(name)?, &mut object, depth)?;
    Ok(Value::Object(object))
}

/// Go does not look whether texts are UTF-8; its JSON has this sign where they are not.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What is one value in JSON.
fn scalar(name: &str, ty: &Type, wire: Wire<'_>, depth: usize) -> Result<Value> {
    Ok(match ty {
        Type::String(_) => text(wire.bytes(name)?).into(),
        Type::Bytes => STANDARD.encode(wire.bytes(name)?).into(),
        // The low half, as Go's conversion takes it.
        Type::Int32 => (wire.number(name)? as u32).cast_signed().into(),
        Type::Int64 => wire.number(name)?.cast_signed().into(),
        Type::Boolean => (wire.number(name)? != 0).into(),
        Type::Number => match wire {
            Wire::Fixed64(bits) => f64::from_le_bytes(bits).into(),
            other => return Err(other.wrong(name)),
        },
        Type::Quantity => {
            let amount =
                first(wire.bytes(name)?, 1)?.map_or(Ok(String::new()), |w| w.bytes(name).map(text))?;
            if amount.is_empty() { "0".into() } else { amount.into() }
        }
        Type::Time | Type::MicroTime => time(name, wire.bytes(name)?, *ty == Type::MicroTime)?,
        Type::Duration => {
            let nanos = first(wire.bytes(name)?, 1)?.map_or(Ok(0), |w| w.number(name))?;
            crate::decode::format_duration(nanos.cast_signed()).into()
        }
        Type::IntOrString => int_or_string(name, wire.bytes(name)?)?,
        Type::Any | Type::RawExtension => match first(wire.bytes(name)?, 1)? {
            None | Some(Wire::Bytes([])) => Value::Null,
            Some(raw) => serde_json::from_slice(raw.bytes(name)?).map_err(|e| e.to_string())?,
        },
        Type::SchemaOrBool(id) | Type::SchemaOrArray(id) | Type::SchemaOrStrings(id) => {
            schema_or(name, ty, *id, wire.bytes(name)?, depth)?
        }
        Type::Struct(_) | Type::List(_) | Type::Map(_) => return Err(wire.wrong(name)),
    })
}

/// The last field of this number.
fn first(message: &[u8], wanted: u64) -> Result<Option<Wire<'_>>> {
    let mut found = None;
    fields(message, |number, wire| {
        if number == wanted {
            found = Some(wire);
        }
        Ok(())
    })?;
    Ok(found)
}

fn time(name: &str, message: &[u8], micro: bool) -> Result<Value> {
    if message.is_empty() {
        return Ok(Value::Null);
    }
    let number = |of| first(message, of)?.map_or(Ok(0), |w| w.number(name));
    let (seconds, nanos) = (number(1)?.cast_signed(), number(2)?.cast_signed());
    let nanos = u32::try_from(nanos).ok().filter(|n| *n < 1_000_000_000);
    let nanos = nanos.ok_or_else(|| format!("proto: {name}: nanos out of range"))?;
    let at = Timestamp { seconds, micros: nanos / 1000 };
    Ok(match micro {
        _ if at.is_zero() => Value::Null,
        true => at.to_rfc3339_micro().into(),
        false => at.to_rfc3339().into(),
    })
}

fn int_or_string(name: &str, message: &[u8]) -> Result<Value> {
    let number = |of| first(message, of)?.map_or(Ok(0), |w| w.number(name));
    match number(1)? {
        0 => Ok((number(2)? as u32).cast_signed().into()),
        1 => Ok(first(message, 3)?.map_or(Ok(String::new()), |w| w.bytes(name).map(text))?.into()),
        _ => Err("impossible IntOrString.Type".to_owned()),
    }
}

/// A schema, or something else where there is none.
fn schema_or(name: &str, ty: &Type, id: StructId, message: &[u8], depth: usize) -> Result<Value> {
    let (mut schema, mut others, mut allows) = (None, Vec::new(), false);
    let (schema_at, other_at) = if matches!(ty, Type::SchemaOrBool(_)) { (2, 1) } else { (1, 2) };
    fields(message, |number, wire| {
        if number == schema_at {
            schema = Some(value(name, &Type::Struct(id), wire, depth + 1)?);
        } else if number == other_at {
            match ty {
                Type::SchemaOrBool(_) => allows = wire.number(name)? != 0,
                Type::SchemaOrArray(_) => others.push(value(name, &Type::Struct(id), wire, depth + 1)?),
                _ => others.push(text(wire.bytes(name)?).into()),
            }
        }
        Ok(())
    })?;
    Ok(match (schema, ty) {
        (Some(schema), _) => schema,
        (None, Type::SchemaOrBool(_)) => allows.into(),
        (None, _) if others.is_empty() => Value::Null,
        (None, _) => others.into(),
    })
}

#[cfg(test)]
mod tests;
