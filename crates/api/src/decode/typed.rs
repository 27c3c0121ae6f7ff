//! JSON bytes to a [`Value`] against a schema in one pass, with Go's semantics: what `encoding/json` would store
//! in the Go struct and write again. Unknown fields go away, nulls mean "not set", empty fields are written or not
//! as their tags say.

use std::fmt::Write as _;

use super::scalar;
use super::zero;
use crate::json::{MAX_VALUE_DEPTH, Malformed, Reader};
use crate::schema::{Field, Schemas, Struct, StructId, Type};
use crate::{Object, Value};

/// How many strict errors upstream collects.
const MAX_STRICT_ERRORS: usize = 100;

/// Why decoding stopped at once.
#[derive(Debug)]
pub(super) enum Fatal {
    /// No JSON.
    Malformed,
    /// A value's own decoder refused; the text is complete.
    Value(String),
}

impl From<Malformed> for Fatal {
    fn from(_: Malformed) -> Fatal {
        Fatal::Malformed
    }
}

/// Where we are: frames on the stack, turned into texts only for errors.
#[derive(Clone, Copy)]
pub(super) enum At<'a> {
    Root,
    Field { parent: &'a At<'a>, of: &'a Struct, field: &'a Field },
    Index { parent: &'a At<'a>, index: usize },
    Key { parent: &'a At<'a>, key: &'a str },
}

impl At<'_> {
    /// `spec.containers[0].name`
    fn write_path(&self, out: &mut String) {
        let (parent, name) = match self {
            At::Root => return,
            At::Index { parent, index } => {
                parent.write_path(out);
                let _ = write!(out, "[{index}]");
                return;
            }
            At::Field { parent, field, .. } => (parent, field.name.as_ref()),
            At::Key { parent, key } => (parent, *key),
        };
        parent.write_path(out);
        if !out.is_empty() {
            out.push('.');
        }
        out.push_str(name);
    }

    /// Go's field stack: no indices and keys, embedded structs named.
    fn write_go_path(&self, out: &mut String) {
        match self {
            At::Root => {}
            At::Index { parent, .. } | At::Key { parent, .. } => parent.write_go_path(out),
            At::Field { parent, field, .. } => {
                parent.write_go_path(out);
                for part in [&field.extras().inline, &field.name].into_iter().filter(|p| !p.is_empty()) {
                    if !out.is_empty() {
                        out.push('.');
                    }
                    out.push_str(part);
                }
            }
        }
    }

    /// The struct whose field we are in.
    fn go_struct(&self) -> Option<&str> {
        match self {
            At::Root => None,
            At::Index { parent, .. } | At::Key { parent, .. } => parent.go_struct(),
            At::Field { of, .. } => Some(of.go_name()),
        }
    }

    /// Go's `UnmarshalTypeError`.
    pub(super) fn type_error(&self, found: &str, go_type: &str) -> String {
        match self.go_struct() {
            None => format!("json: cannot unmarshal {found} into Go value of type {go_type}"),
            Some(name) => {
                let mut path = String::new();
                self.write_go_path(&mut path);
                format!("json: cannot unmarshal {found} into Go struct field {name}.{path} of type {go_type}")
            }
        }
    }
}

/// What a JSON value is called in Go's errors; numbers get their text where Go says it.
pub(super) fn found(first: u8) -> &'static str {
    match first {
        b'{' => "object",
        b'[' => "array",
        b'"' => "string",
        b't' | b'f' => "bool",
        b'n' => "null",
        _ => "number",
    }
}

pub(super) struct Decoder<'a> {
    pub(super) reader: Reader<'a>,
    pub(super) schemas: &'a Schemas,
    /// The first type error; decoding goes on, as in Go.
    pub(super) saved: Option<String>,
    /// Unknown and duplicate fields, when somebody wants to know.
    pub(super) strict: Option<Vec<String>>,
    /// Whether empty lists or maps were kept that the store takes for missing ones.
    pub(super) empties: bool,
    depth: usize,
}

type Result<T> = std::result::Result<T, Fatal>;

impl<'a> Decoder<'a> {
    pub(super) fn new(text: &'a [u8], schemas: &'a Schemas, strict: bool) -> Decoder<'a> {
        let strict = strict.then(Vec::new);
        Decoder { reader: Reader::new(text), schemas, saved: None, strict, empties: false, depth: 0 }
    }

    pub(super) fn save(&mut self, at: &At<'_>, found: &str, ty: &Type) {
        if self.saved.is_none() {
            self.saved = Some(at.type_error(found, &self.schemas.go_type(ty)));
        }
    }

    pub(super) fn save_text(&mut self, text: String) {
        self.saved.get_or_insert(text);
    }

    fn report(&mut self, what: &str, at: &At<'_>, name: &str) {
        let Some(list) = self.strict.as_mut().filter(|list| list.len() < MAX_STRICT_ERRORS) else { return };
        let mut path = String::new();
        at.write_path(&mut path);
        if !path.is_empty() {
            path.push('.');
        }
        path.push_str(name);
        let text = format!("{what} field {}", crate::field::go_quote(&path));
        if !list.contains(&text) {
            list.push(text);
        }
    }

    fn mismatch(&mut self, at: &At<'_>, first: u8, ty: &Type) -> Result<Option<Value>> {
        self.save(at, found(first), ty);
        self.reader.skip()?;
        Ok(None)
    }

    /// A value of a type. `None` is null or a mismatch (which is saved): the Go value stays unset.
    pub(super) fn value(&mut self, ty: &Type, at: &At<'_>) -> Result<Option<Value>> {
        let first = self.reader.peek()?;
        match ty {
            Type::Any | Type::RawExtension => {
                // Defaults of schemas are compared as they were sent.
                let value = self.reader.value_with_floats(self.depth)?;
                return Ok((!value.is_null()).then_some(value));
            }
            Type::IntOrString | Type::Quantity | Type::Time | Type::MicroTime | Type::Duration => {
                return self.own_decoder(ty, first, at);
            }
            _ => {}
        }
        if first == b'n' {
            self.reader.literal("null")?;
            return Ok(None);
        }
        match (ty, first) {
            (Type::Struct(id), b'{') => Ok(Some(self.structure(*id, at)?)),
            (Type::List(list), b'[') => Ok(Some(self.list(&list.item, at)?)),
            (Type::Map(map), b'{') => Ok(Some(self.map(&map.value, at)?)),
            (Type::String(_), b'"') => Ok(Some(Value::String(self.reader.string()?.into_owned()))),
            (Type::Boolean, b't') => {
                self.reader.literal("true")?;
                Ok(Some(Value::Bool(true)))
            }
            (Type::Boolean, b'f') => {
                self.reader.literal("false")?;
                Ok(Some(Value::Bool(false)))
            }
            (Type::Int32 | Type::Int64 | Type::Number, b'-' | b'0'..=b'9') => {
                let text = self.reader.number()?;
                let value = scalar::number(ty, text);
                if value.is_none() {
                    self.save(at, &format!("number {text}"), ty);
                }
                Ok(value)
            }
            (Type::Bytes, b'"') => {
                let text = self.reader.string()?;
                match scalar::base64(&text) {
                    Ok(value) => Ok(Some(value)),
                    Err(error) => {
                        self.save_text(error);
                        Ok(None)
                    }
                }
            }
            (Type::Bytes, b'[') => self.byte_list(at).map(Some),
            (Type::SchemaOrBool(id), _) => self.schema_or(*id, Or::Bool, first, at),
            (Type::SchemaOrArray(id), _) => self.schema_or(*id, Or::Array, first, at),
            (Type::SchemaOrStrings(id), _) => self.schema_or(*id, Or::Strings, first, at),
            _ => self.mismatch(at, first, ty),
        }
    }

    /// Types that decode themselves in Go: their errors end everything.
    fn own_decoder(&mut self, ty: &Type, first: u8, at: &At<'_>) -> Result<Option<Value>> {
        if first == b'"' {
            let text = self.reader.string()?;
            return scalar::from_text(ty, text).map(Some).map_err(Fatal::Value);
        }
        let start = self.reader.offset();
        self.reader.skip()?;
        let raw = self.reader.slice(start, self.reader.offset());
        if first == b'n' {
            return Ok(None);
        }
        scalar::from_other(ty, first, raw, at).map(Some).map_err(Fatal::Value)
    }

    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.depth += 1;
        if self.depth > MAX_VALUE_DEPTH {
            return Err(Fatal::Malformed);
        }
        let out = read(self);
        self.depth -= 1;
        out
    }

    fn structure(&mut self, id: StructId, at: &At<'_>) -> Result<Value> {
        self.deeper(|d| d.structure_at_depth(id, at))
    }

    fn structure_at_depth(&mut self, id: StructId, at: &At<'_>) -> Result<Value> {
        let schemas = self.schemas;
        let of = schemas.get(id);
        let mut seen = Seen::default();
        let mut out = Object::new();
        self.reader.expect(b'{')?;
        let mut first = true;
        while self.reader.more(first, b'}')? {
            first = false;
            let key = self.reader.key()?;
            let Some(position) = of.position(&key) else {
                self.unknown(of, key.into_owned(), at, &mut out)?;
                continue;
            };
            if seen.again(position) {
                self.report("duplicate", at, &key);
            }
            let field = &of.fields[position];
            let here = At::Field { parent: at, of, field };
            match self.value(&field.ty, &here)? {
                Some(value) if zero::is_written(field, &value) => {
                    out.insert(key.into_owned(), value);
                }
                // Not nil in Go: defaults and validation see the difference, the store does not.
                Some(value) if matches!(field.ty, Type::List(_) | Type::Map(_)) => {
                    self.empties = true;
                    out.insert(key.into_owned(), value);
                }
                Some(_) => {
                    out.remove(key.as_ref());
                }
                // Null unsets what is a pointer, a list or a map; other values stay.
                None if field.pointer || matches!(field.ty, Type::List(_) | Type::Map(_) | Type::Bytes) => {
                    out.remove(key.as_ref());
                }
                None => {}
            }
        }
        zero::fill(schemas, of, &mut out);
        Ok(Value::Object(out))
    }

    fn unknown(&mut self, of: &Struct, key: String, at: &At<'_>, out: &mut Object) -> Result<()> {
        if of.preserve_unknown {
            let value = self.reader.value(self.depth)?;
            out.insert(key, value);
            return Ok(());
        }
        self.report("unknown", at, &key);
        Ok(self.reader.skip()?)
    }

    fn list(&mut self, item: &Type, at: &At<'_>) -> Result<Value> {
        self.deeper(|d| {
            let mut out = Vec::new();
            d.reader.expect(b'[')?;
            while d.reader.more(out.is_empty(), b']')? {
                let here = At::Index { parent: at, index: out.len() };
                let value = d.value(item, &here)?;
                out.push(value.unwrap_or_else(|| zero::value(d.schemas, item)));
            }
            Ok(Value::Array(out))
        })
    }

    /// Bytes as a list of numbers, which Go reads as well as base64.
    fn byte_list(&mut self, at: &At<'_>) -> Result<Value> {
        const TYPE: &str = "uint8";
        let (mut bytes, mut first) = (Vec::new(), true);
        self.reader.expect(b'[')?;
        while self.reader.more(first, b']')? {
            first = false;
            let begin = self.reader.peek()?;
            let mut byte = 0;
            if matches!(begin, b'-' | b'0'..=b'9') {
                let text = self.reader.number()?;
                match text.parse() {
                    Ok(number) => byte = number,
                    Err(_) => self.save_text(at.type_error(&format!("number {text}"), TYPE)),
                }
            } else {
                self.reader.skip()?;
                if begin != b'n' {
                    self.save_text(at.type_error(found(begin), TYPE));
                }
            }
            bytes.push(byte);
        }
        Ok(scalar::bytes_text(&bytes))
    }

    fn map(&mut self, value_type: &Type, at: &At<'_>) -> Result<Value> {
        self.deeper(|d| {
            let mut out = Object::new();
            d.reader.expect(b'{')?;
            let mut first = true;
            while d.reader.more(first, b'}')? {
                first = false;
                let key = d.reader.key()?;
                if d.strict.is_some() && out.contains_key(key.as_ref()) {
                    d.report("duplicate", at, &key);
                }
                let here = At::Key { parent: at, key: &key };
                let value = d.value(value_type, &here)?;
                let value = value.unwrap_or_else(|| zero::map_value(d.schemas, value_type));
                out.insert(key.into_owned(), value);
            }
            Ok(Value::Object(out))
        })
    }

    /// `JSONSchemaProps` or something short. Nested decoders of upstream are not strict.
    fn schema_or(&mut self, id: StructId, or: Or, first: u8, at: &At<'_>) -> Result<Option<Value>> {
        let strict = self.strict.take();
        let schema = Type::Struct(id);
        let out = match (or, first) {
            (_, b'{') => self.value(&schema, at),
            (Or::Bool, b't' | b'f') => self.value(&Type::Boolean, at),
            (Or::Bool, _) => Err(Fatal::Value("boolean or JSON schema expected".to_owned())),
            (Or::Array, b'[') => self.list(&schema, at).map(Some),
            (Or::Strings, b'[') => self.list(&Type::String(crate::schema::Name::Borrowed("")), at).map(Some),
            // Their decoders look at the first character and take what they do not know for nothing.
            (Or::Array | Or::Strings, _) => {
                self.reader.skip()?;
                Ok(None)
            }
        };
        self.strict = strict;
        out
    }
}

#[derive(Clone, Copy)]
enum Or {
    Bool,
    Array,
    Strings,
}

/// Which fields of a struct were read: enough bits for the largest one, without an allocation.
#[derive(Default)]
struct Seen([u64; 2]);

impl Seen {
    /// Marks; true when it was marked before.
    fn again(&mut self, position: usize) -> bool {
        let Some(word) = self.0.get_mut(position / 64) else { return false };
        let bit = 1 << (position % 64);
        let before = *word & bit != 0;
        *word |= bit;
        before
    }
}
