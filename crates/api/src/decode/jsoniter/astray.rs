//! How the library of 1.19 reads on behind an error: it cannot step back any more, so each look at what comes next eats
//! it. A pointer loses the first byte of its value, a list the first one of its first item; most values end at once.

use super::{DEPTH_MAX, Iter};
use crate::schema::{Struct, StructId, Type};

/// Structs of so many fields are read by the hashes of names, larger ones by the names.
const HASHED_MAX: usize = 10;

impl Iter<'_> {
    /// One byte, whatever it is.
    fn byte(&mut self) -> Option<u8> {
        let byte = self.text.get(self.head).copied();
        self.head += usize::from(byte.is_some());
        byte
    }

    /// The rest of a literal, as far as it is one.
    fn literal(&mut self, rest: &[u8]) {
        let _ = rest.iter().all(|wanted| self.byte() == Some(*wanted));
    }

    fn stray_null(&mut self) -> bool {
        let is = self.next() == b'n';
        if is {
            self.literal(b"ull");
        }
        is
    }

    /// Whether a list or an object begins here that has something in it. Null and what is empty are read.
    fn stray_begins(&mut self, open: u8, close: u8) -> bool {
        let first = self.next();
        if first == b'n' {
            self.literal(b"ull");
        }
        first == open && self.next() != close
    }

    pub(super) fn stray_string(&mut self) -> String {
        match self.next() {
            b'n' => self.literal(b"ull"),
            b'"' => {
                let rest = &self.text[self.head..];
                let end = rest.iter().position(|b| matches!(b, b'"' | b'\\')).unwrap_or(rest.len());
                // Texts with escapes are not read at all.
                if rest.get(end) == Some(&b'"') {
                    self.head += end + 1;
                    return String::from_utf8_lossy(&rest[..end]).into_owned();
                }
            }
            _ => {}
        }
        String::new()
    }

    pub(super) fn stray_value(&mut self, ty: &Type) {
        match ty {
            Type::String(_) => drop(self.stray_string()),
            Type::Struct(id) => self.structure(*id),
            Type::List(list) => {
                self.stray_list(&list.item);
                self.prefix_list(ty);
            }
            Type::Map(map) => self.stray_map(&map.value),
            Type::Boolean | Type::Int32 | Type::Int64 if self.stray_null() => {}
            Type::Boolean => match self.next() {
                b't' => self.literal(b"rue"),
                b'f' => self.literal(b"alse"),
                _ => {}
            },
            Type::Int32 | Type::Int64 => {
                let first = self.next();
                let first = if first == b'-' { self.byte() } else { Some(first) };
                if first.is_some_and(|b| matches!(b, b'1'..=b'9')) {
                    self.digits();
                }
            }
            Type::Bytes => {
                if !self.stray_null() {
                    self.next();
                }
            }
            _ => {
                self.next();
                self.stray_skip();
            }
        }
    }

    fn digits(&mut self) {
        while self.text.get(self.head).is_some_and(|b| b.is_ascii_digit() || *b == b'.') {
            self.head += 1;
        }
    }

    pub(super) fn stray_structure(&mut self, id: StructId) {
        let of = self.schemas.get(id);
        if !self.stray_begins(b'{', b'}') {
            return;
        }
        loop {
            self.stray_field(of);
            if self.next() != b',' {
                break;
            }
        }
        self.prefix_type(of);
    }

    pub(super) fn stray_field(&mut self, of: &Struct) {
        let field = if of.fields.len() > HASHED_MAX {
            let name = self.stray_string();
            self.next();
            of.field(&name)
        } else {
            if self.next() != b'"' {
                return self.stray_skip();
            }
            let rest = &self.text[self.head..];
            let end = rest.iter().position(|b| *b == b'"').unwrap_or(rest.len());
            self.advance(end + 1);
            let name = String::from_utf8_lossy(&rest[..end]);
            if self.next() != b':' {
                return self.stray_skip();
            }
            of.field(&name)
        };
        let Some(field) = field else { return self.stray_skip() };
        if field.pointer && self.stray_null() {
            return self.prefix_field(field);
        }
        self.field(field);
    }

    fn stray_list(&mut self, item: &Type) {
        if !self.stray_begins(b'[', b']') {
            return;
        }
        loop {
            self.value(item);
            if self.next() != b',' {
                return;
            }
        }
    }

    fn stray_map(&mut self, value: &Type) {
        if !self.stray_begins(b'{', b'}') {
            return;
        }
        loop {
            drop(self.stray_string());
            if self.next() != b':' {
                return;
            }
            self.value(value);
            if self.next() != b',' {
                return;
            }
        }
    }

    /// Skips a value.
    fn stray_skip(&mut self) {
        match self.next() {
            b'"' => {
                let rest = &self.text[self.head..];
                match rest.iter().position(|b| matches!(b, b'"' | b'\\')) {
                    Some(end) if rest[end] == b'"' => self.head += end + 1,
                    _ => drop(self.stray_string()),
                }
            }
            b'n' => self.literal(b"ull"),
            b't' => self.literal(b"rue"),
            b'f' => self.literal(b"alse"),
            b'-' | b'1'..=b'9' => self.digits(),
            b'0' | b'{' => drop(self.next()),
            b'[' if self.next() == b'[' => self.stray_items(),
            _ => {}
        }
    }

    /// The items of a list in a list, whose first bracket was lost.
    fn stray_items(&mut self) {
        if self.depth == DEPTH_MAX {
            self.lost = true;
            return;
        }
        if self.next() == b']' {
            return;
        }
        self.depth += 1;
        loop {
            self.stray_skip();
            if self.next() != b',' {
                break;
            }
        }
        self.depth -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::said;
    use crate::kinds::Era;

    /// The way to the first error, as it was said.
    fn way(name: &str, text: &str) -> String {
        let said = said(name, text, Era::Betas);
        said.split("ReadString").next().unwrap_or_default().to_owned()
    }

    #[test]
    fn lists_behind_an_error_end_at_their_first_item() {
        let text = r#"{"roleRef":{"kind":5,"name":"r"},"subjects":[{"kind":"User","name":"u"}],"kind":"RoleBinding"}"#;
        assert_eq!(
            way("rbac.v1beta1.RoleBinding", text),
            "v1beta1.RoleBinding.Subjects: []v1beta1.Subject: RoleRef: v1beta1.RoleRef.Name: Kind: "
        );
    }

    #[test]
    fn pointers_lose_their_first_byte() {
        let text = r#"{"spec":{"metrics":[{"type":5,"resource":{"name":"cpu"}}],"maxReplicas":1}}"#;
        assert_eq!(
            way("autoscaling.v2beta2.HorizontalPodAutoscaler", text),
            "v2beta2.HorizontalPodAutoscaler.Spec: v2beta2.HorizontalPodAutoscalerSpec.Metrics: []v2beta2.MetricSpec: \
             v2beta2.MetricSpec.Resource: Type: "
        );
    }

    #[test]
    fn types_have_the_names_of_their_time() {
        let text = r#"{"webhooks":[{"rules":[{"operations":[5]}]}]}"#;
        assert_eq!(
            way("admissionregistration.v1beta1.MutatingWebhookConfiguration", text),
            "v1beta1.MutatingWebhookConfiguration.Webhooks: []v1beta1.MutatingWebhook: v1beta1.MutatingWebhook.Rules: \
             []v1beta1.RuleWithOperations: v1beta1.RuleWithOperations.Operations: []v1beta1.OperationType: "
        );
    }

    #[test]
    fn fields_behind_an_error_are_still_named() {
        let text = r#"{"spec":{"holderIdentity":5,"leaseDurationSeconds":1},"kind":"Lease"}"#;
        assert_eq!(
            way("coordination.v1beta1.Lease", text),
            "v1beta1.Lease.Spec: v1beta1.LeaseSpec.LeaseDurationSeconds: HolderIdentity: "
        );
    }
}
