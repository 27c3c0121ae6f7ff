//! What the JSON library of servers until 1.22 says of a body that does not fit its type.
//!
//! That library (`json-iterator/go`) quotes a window of the text around the place where it stopped, and the way from
//! the root to it. It reads on after an error while it finds commas, and each field that it reads then stands in the
//! way too: so the text is made by reading as it does.

mod astray;

use super::{scalar, typed};
use crate::kinds::Era;
use crate::schema::{Field, Schemas, Struct, StructId, Type};

/// The error for `text`, which is JSON but does not fit the type `id`; `None` where that library takes it.
pub fn error(schemas: &Schemas, id: StructId, text: &[u8], era: Era) -> Option<String> {
    let mut iter =
        Iter { text, head: 0, error: None, schemas, early: era == Era::Early, depth: 0, lost: false };
    iter.structure(id);
    iter.error.filter(|_| !iter.lost)
}

/// Bodies that are nested deeper get today's words.
const DEPTH_MAX: usize = 200;
/// So do those whose way would be longer: each field behind an error lengthens it.
const TEXT_MAX: usize = 16 * 1024;

struct Iter<'a> {
    text: &'a [u8],
    head: usize,
    error: Option<String>,
    schemas: &'a Schemas,
    /// The library of 1.10, which names some things otherwise.
    early: bool,
    depth: usize,
    lost: bool,
}

const BEFORE: usize = 10;
const CONTEXT: usize = 50;

impl Iter<'_> {
    fn report(&mut self, operation: &str, message: &str) {
        if self.error.is_some() {
            return;
        }
        let window = |size: usize| {
            let start = self.head.saturating_sub(size);
            let end = (self.head + size).min(self.text.len());
            (start, String::from_utf8_lossy(&self.text[start..end]))
        };
        let (start, near) = window(BEFORE);
        self.error = Some(format!(
            "{operation}: {message}, error found in #{} byte of ...|{near}|..., bigger context ...|{}|...",
            self.head - start,
            window(CONTEXT).1
        ));
    }

    fn prefix(&mut self, with: impl FnOnce() -> String) {
        if let Some(error) = self.error.take() {
            self.lost |= error.len() > TEXT_MAX;
            self.error = Some(if self.lost { error } else { with() + &error });
        }
    }

    fn peek(&mut self) -> u8 {
        while self.text.get(self.head).is_some_and(|b| b" \t\r\n".contains(b)) {
            self.head += 1;
        }
        self.text.get(self.head).copied().unwrap_or_default()
    }

    fn next(&mut self) -> u8 {
        let byte = self.peek();
        if self.head < self.text.len() {
            self.head += 1;
        }
        byte
    }

    fn advance(&mut self, bytes: usize) {
        self.head = (self.head + bytes).min(self.text.len());
    }

    /// Reads `null`, where it stands.
    fn null(&mut self) -> bool {
        let is = self.peek() == b'n';
        if is {
            self.advance(4);
        }
        is
    }

    fn expected(&mut self, operation: &str, expected: &str, found: u8) {
        self.report(operation, &format!("expect {expected}, but found {}", char::from(found)));
    }

    /// Whether what follows is misread (see [`astray`]).
    fn is_astray(&self) -> bool {
        !self.early && self.error.is_some()
    }

    /// Skips a value; gives its text.
    fn skip(&mut self) -> &[u8] {
        self.peek();
        let start = self.head;
        let mut depth = 0usize;
        while let Some(byte) = self.text.get(self.head) {
            match byte {
                b'"' => self.skip_string(),
                b'{' | b'[' => {
                    depth += 1;
                    self.head += 1;
                }
                b'}' | b']' | b',' if depth == 0 => break,
                b'}' | b']' => {
                    depth -= 1;
                    self.head += 1;
                }
                b' ' | b'\t' | b'\r' | b'\n' if depth == 0 => break,
                _ => self.head += 1,
            }
            if depth == 0 && matches!(self.text[self.head - 1], b'}' | b']' | b'"') {
                break;
            }
        }
        &self.text[start..self.head]
    }

    fn skip_string(&mut self) {
        self.head += 1;
        while let Some(byte) = self.text.get(self.head) {
            self.head += if *byte == b'\\' { 2 } else { 1 };
            if *byte == b'"' {
                break;
            }
        }
        self.head = self.head.min(self.text.len());
    }

    fn string(&mut self) -> String {
        if self.is_astray() {
            return self.stray_string();
        }
        if self.null() {
            return String::new();
        }
        if self.peek() == b'"' {
            let text = self.skip();
            return serde_json::from_slice(text).unwrap_or_default();
        }
        let found = self.next();
        self.report("ReadString", &format!("expects \" or n, but found {}", char::from(found)));
        String::new()
    }

    fn value(&mut self, ty: &Type) {
        if self.is_astray() {
            return self.stray_value(ty);
        }
        match ty {
            Type::String(_) => drop(self.string()),
            Type::Struct(id) => self.structure(*id),
            Type::List(list) => {
                self.list(&list.item);
                self.prefix_list(ty);
            }
            Type::Any => drop(self.skip()),
            _ if self.null() => {}
            Type::Map(map) => self.map(&map.value),
            Type::Bytes => self.bytes(),
            Type::Boolean => match self.next() {
                b't' => self.advance(3),
                b'f' => self.advance(4),
                found => self.expected("ReadBool", "t or f", found),
            },
            Type::Int32 => self.integer("readUint32", u64::from(u32::MAX)),
            Type::Int64 => self.integer("readUint64", u64::MAX),
            _ => self.own_form(ty),
        }
    }

    fn structure(&mut self, id: StructId) {
        if self.depth == DEPTH_MAX {
            self.lost = true;
            self.skip();
            return;
        }
        self.depth += 1;
        self.fields(id);
        self.depth -= 1;
    }

    fn fields(&mut self, id: StructId) {
        if self.is_astray() {
            return self.stray_structure(id);
        }
        match self.next() {
            b'{' => {}
            b'n' => return self.advance(3),
            found => return self.expected("readObjectStart", "{ or n", found),
        }
        if self.peek() == b'}' {
            self.head += 1;
            return;
        }
        let of = self.schemas.get(id);
        loop {
            if self.is_astray() {
                self.stray_field(of);
            } else {
                let name = self.string();
                if self.next() != b':' {
                    break;
                }
                match of.field(&name) {
                    None => drop(self.skip()),
                    Some(field) => self.field(field),
                }
            }
            if self.next() != b',' {
                break;
            }
        }
        self.prefix_type(of);
    }

    fn field(&mut self, field: &Field) {
        self.value(&field.ty);
        self.prefix_field(field);
    }

    fn prefix_field(&mut self, field: &Field) {
        self.prefix(|| format!("{}: ", go_name(field)));
        for embedded in field.extras().inline.rsplit('.').filter(|name| !name.is_empty()) {
            self.prefix(|| format!("{embedded}: "));
        }
    }

    fn prefix_type(&mut self, of: &Struct) {
        let separator = if self.early { ": " } else { "." };
        self.prefix(|| format!("{}{separator}", type_then(of.go_type())));
    }

    fn prefix_list(&mut self, ty: &Type) {
        let schemas = self.schemas;
        self.prefix(|| {
            let name = schemas.go_type(ty);
            let item = name.strip_prefix("[]").unwrap_or(&name);
            format!("[]{}: ", type_then(item))
        });
    }

    fn list(&mut self, item: &Type) {
        if self.null() {
            return;
        }
        let operation = if self.early { "ReadArrayCB" } else { "decode slice" };
        match self.next() {
            b'[' => {}
            found => return self.expected(operation, "[ or n", found),
        }
        if self.peek() == b']' {
            self.head += 1;
            return;
        }
        loop {
            self.value(item);
            match self.next() {
                b',' => {}
                b']' => return,
                found => return self.expected(operation, "]", found),
            }
        }
    }

    fn map(&mut self, value: &Type) {
        match self.next() {
            b'{' => {}
            found => return self.expected("ReadMapCB", "{ or n", found),
        }
        if self.peek() == b'}' {
            self.head += 1;
            return;
        }
        loop {
            drop(self.string());
            match self.next() {
                b':' => {}
                found => return self.expected("ReadMapCB", ": after object field", found),
            }
            self.value(value);
            match self.next() {
                b',' => {}
                b'}' => return,
                found => return self.expected("ReadMapCB", "}", found),
            }
        }
    }

    fn bytes(&mut self) {
        if self.peek() != b'"' {
            return self.report("base64Codec", "invalid input");
        }
        let text = self.string();
        if let Err(why) = scalar::base64(&text) {
            self.report("decode base64", &why);
        }
    }

    /// An integer of at most `max`, read eight digits at once where more than ten bytes follow.
    fn integer(&mut self, operation: &str, max: u64) {
        if self.peek() == b'-' {
            self.head += 1;
        }
        let first = self.next();
        if !first.is_ascii_digit() {
            // The library prints its mark for "no digit", a byte that is no character.
            return self.report(operation, "unexpected character: \u{fffd}");
        }
        let digit = |byte: Option<&u8>| byte.filter(|b| b.is_ascii_digit()).map(|b| u64::from(b - b'0'));
        let mut value = u64::from(first - b'0');
        let mut at = self.head;
        if value != 0 {
            let at_once = if self.text.len() - self.head > 10 { 7 } else { 0 };
            while let Some(next) = digit(self.text.get(at)) {
                let consumed = at - self.head;
                if value > max / 10 - 1 {
                    // Sums wrap around; only those that become smaller are noticed.
                    let sum = (u128::from(value) * 10 + u128::from(next)) % (u128::from(max) + 1);
                    let sum = u64::try_from(sum).unwrap_or_default();
                    if sum < value {
                        self.head += consumed.min(at_once);
                        return self.report(operation, "overflow");
                    }
                    value = sum;
                } else {
                    value = value * 10 + next;
                }
                at += 1;
            }
        }
        self.head = at;
        if self.text.get(self.head) == Some(&b'.') {
            self.report("assertInteger", "can not decode float as int");
        }
        let name = operation.replace("readUint", "ReadInt");
        if value > max / 2 {
            self.report(&name, &format!("overflow: {value}"));
        }
    }

    /// Types that read themselves.
    fn own_form(&mut self, ty: &Type) {
        let schemas = self.schemas;
        let text = self.skip().to_vec();
        if let Err(why) = typed(schemas, ty, &text, false) {
            self.report("unmarshalerDecoder", &why);
        }
    }
}

/// What old servers called a type that has another name today.
fn type_then(name: &str) -> &str {
    match name {
        "v1beta1.IngressLoadBalancerStatus" => "v1.LoadBalancerStatus",
        "v1beta1.IngressLoadBalancerIngress" => "v1.LoadBalancerIngress",
        "v1beta1.IngressClassParametersReference" => "v1.TypedLocalObjectReference",
        // Of webhooks: today's v1beta1 has aliases.
        "v1.RuleWithOperations" => "v1beta1.RuleWithOperations",
        "v1.OperationType" => "v1beta1.OperationType",
        _ => name,
    }
}

/// Words that Go writes in capitals at the start of a name.
const CAPITALS: [&str; 20] = [
    "api", "uid", "http", "tcp", "nfs", "fs", "dns", "tls", "url", "ttl", "qos", "rbd", "gce", "aws",
    "iscsi", "csi", "ca", "cidr", "ip", "se",
];

/// A field's name in Go.
fn go_name(field: &Field) -> String {
    let name = field.name.as_ref();
    if name == "metadata" {
        return "ObjectMeta".to_owned();
    }
    if let Some(extension) = name.strip_prefix("x-kubernetes-") {
        let capital = |word: &str| {
            let mut rest = word.chars();
            let first = rest.next().map(|c| c.to_ascii_uppercase());
            first.into_iter().chain(rest).collect::<String>()
        };
        return format!("X{}", extension.split('-').map(capital).collect::<String>());
    }
    let word = CAPITALS.iter().find(|word| {
        let rest = name.strip_prefix(**word);
        rest.is_some_and(|rest| rest.chars().next().is_none_or(|c| c.is_ascii_uppercase()))
    });
    let upper = word.map_or(1, |word| word.len()).min(name.len());
    name[..upper].to_ascii_uppercase() + &name[upper..]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::builtin;

    pub(super) fn said(name: &str, text: &str, era: Era) -> String {
        let id = builtin().by_name(&format!("io.k8s.api.{name}")).unwrap();
        error(builtin(), id, text.as_bytes(), era).unwrap_or_default()
    }

    #[test]
    fn errors_quote_the_text_around_them() {
        assert_eq!(
            said(
                "extensions.v1beta1.Deployment",
                r#"{"kind":"Deployment","apiVersion":"extensions/v1beta1","metadata":{"name":"x"},"spec":{"template":[]}}"#,
                Era::Early
            ),
            "v1beta1.Deployment: Spec: v1beta1.DeploymentSpec: Template: readObjectStart: expect { or n, but found [, \
             error found in #10 byte of ...|emplate\":[]}}|..., bigger context ...|eta1\",\"metadata\":{\"name\":\"x\"},\
             \"spec\":{\"template\":[]}}|..."
        );
        assert_eq!(
            said("coordination.v1beta1.Lease", r#"{"spec":{"renewTime":"x"}}"#, Era::Betas),
            "v1beta1.Lease.Spec: v1beta1.LeaseSpec.RenewTime: unmarshalerDecoder: parsing time \"x\" as \
             \"2006-01-02T15:04:05.000000Z07:00\": cannot parse \"x\" as \"2006\", error found in #10 byte of \
             ...|wTime\":\"x\"}}|..., bigger context ...|{\"spec\":{\"renewTime\":\"x\"}}|..."
        );
    }

    /// It goes on reading after errors, where nothing is certain.
    #[test]
    fn no_text_makes_it_panic() {
        let text = br#"{"metadata":{"labels":{"a":"b"}},"spec":{"replicas":1.5e3,"paused":true,"template":{"spec":{"hostPID":false,
            "containers":[{"ports":[{"containerPort":-12345678901}],"resources":{"limits":{"cpu":"x"}}}]}}},"status":null}"#;
        let id = builtin().by_name("io.k8s.api.extensions.v1beta1.Deployment").unwrap();
        let try_it = |text: &[u8]| {
            for era in [Era::Early, Era::Betas] {
                drop(error(builtin(), id, text, era));
            }
        };
        for at in 0..text.len() {
            try_it(&text[..at]);
            for byte in *b"\"{}[],:tfn-1. x\\" {
                let mut other = text.to_vec();
                other[at] = byte;
                try_it(&other);
            }
        }
    }

    #[test]
    fn deep_bodies_are_left_to_the_decoder() {
        let id = builtin()
            .by_name("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1beta1.JSONSchemaProps")
            .unwrap();
        let nested = |levels: usize| {
            let text = "{\"properties\":{\"a\":".repeat(levels) + "1" + &"}}".repeat(levels);
            error(builtin(), id, text.as_bytes(), Era::Betas)
        };
        assert!(nested(3).is_some_and(|text| text.contains("readObjectStart: expect { or n, but found 1")));
        assert_eq!(nested(100_000), None);
        let wide = "{\"type\":1".to_owned() + &",\"format\":\"a\"".repeat(100_000) + "}";
        assert_eq!(error(builtin(), id, wide.as_bytes(), Era::Betas), None);
    }

    /// It reads on while there are commas: the fields that follow stand in the way of the first error.
    #[test]
    fn later_fields_stand_before_the_first_error() {
        let text = said(
            "core.v1.Pod",
            r#"{"metadata":{"name":"x","creationTimestamp":"yesterday"},"spec":{}}"#,
            Era::Early,
        );
        assert!(text.starts_with(
            "v1.Pod: Spec: ObjectMeta: v1.ObjectMeta: CreationTimestamp: unmarshalerDecoder: parsing time"
        ));
        assert!(text.contains("...|yesterday\"},\"spec\":{|..."), "{text}");
    }

    #[test]
    fn numbers_are_read_by_digits() {
        let of = |replicas: &str| {
            let text = format!(r#"{{"metadata":{{"name":"x"}},"spec":{{"replicas":{replicas}}}}}"#);
            said("apps.v1.Deployment", &text, Era::Early)
        };
        assert!(of("\"3\"").contains("Replicas: readUint32: unexpected character: \u{fffd}, error found in #10 byte of ...|eplicas\":\"3\"}}|"));
        assert!(of("1.5").contains(
            "assertInteger: can not decode float as int, error found in #10 byte of ...|eplicas\":1.5}}|"
        ));
        assert!(
            of("99999999999")
                .contains("readUint32: overflow, error found in #10 byte of ...|\":99999999999}}|")
        );
        assert_eq!(of("3"), "");
    }
}
