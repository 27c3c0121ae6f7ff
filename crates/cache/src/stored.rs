//! From the store's bytes to an item's: one walk that checks, copies and reads what selectors look at.

use std::ops::Range;

use api::json::{Malformed, Reader, Wanted};
use api::{Object, Value};
use store::Revision;

use crate::item::{ItemForm, Shape};

/// How an item's metadata begins.
pub(crate) const REVISION: &[u8] = br#"{"resourceVersion":""#;

/// A stored object as an item has it.
pub(crate) struct Stored {
    /// Without type (for built-in kinds) and with the resource version.
    pub(crate) bytes: Vec<u8>,
    /// Where that version's digits stand.
    pub(crate) revision_at: usize,
    /// Behind the metadata's closing brace.
    pub(crate) metadata_end: usize,
    /// Where the value of `metadata.managedFields` stands; empty when there is none.
    pub(crate) managed: Range<usize>,
    /// What selectors look at.
    pub(crate) seen: Value,
}

/// Reads a stored object; all of it is checked to be JSON.
///
/// # Errors
/// It is no JSON object with metadata.
pub(crate) fn read(stored: &[u8], revision: Revision, shape: &Shape) -> Result<Stored, Malformed> {
    let mut reader = Reader::new(stored);
    let mut out = Vec::with_capacity(stored.len() + 32);
    let mut metadata = None;
    let mut managed = 0..0;
    let mut seen = Object::new();
    reader.members(|reader, start, name| {
        let wanted = shape.wanted.field(&name);
        if name == "metadata" {
            open(&mut out);
            out.extend_from_slice(b"\"metadata\":");
            let found = copy_metadata(&mut out, reader, revision, wanted)?;
            metadata = Some((found.revision_at, out.len()));
            managed = found.managed;
            seen.insert(name.into_owned(), found.seen);
            return Ok(());
        }
        see(&mut seen, &name, wanted, reader)?;
        if shape.form == ItemForm::Custom || !matches!(&*name, "kind" | "apiVersion") {
            open(&mut out);
            out.extend_from_slice(reader.slice(start, reader.offset()));
        }
        Ok(())
    })?;
    reader.end()?;
    out.push(b'}');
    // The cache holds many of these for long.
    out.shrink_to_fit();
    let (revision_at, metadata_end) = metadata.ok_or(Malformed)?;
    Ok(Stored { bytes: out, revision_at, metadata_end, managed, seen: Value::Object(seen) })
}

/// Begins an object, or its next member.
fn open(out: &mut Vec<u8>) {
    out.push(if out.is_empty() { b'{' } else { b',' });
}

/// What is found in metadata.
struct Metadata {
    revision_at: usize,
    managed: Range<usize>,
    seen: Value,
}

/// Copies the metadata behind its resource version.
fn copy_metadata(
    out: &mut Vec<u8>,
    reader: &mut Reader<'_>,
    revision: Revision,
    wanted: Option<&Wanted>,
) -> Result<Metadata, Malformed> {
    out.extend_from_slice(REVISION);
    let revision_at = out.len();
    out.extend_from_slice(revision.to_string().as_bytes());
    out.push(b'"');
    let mut managed = 0..0;
    let mut seen = Object::new();
    reader.members(|reader, start, name| {
        let value = reader.offset();
        see(&mut seen, &name, wanted.and_then(|w| w.field(&name)), reader)?;
        // Other servers' objects may carry a stale one.
        if name != "resourceVersion" {
            out.push(b',');
            let copied = out.len();
            out.extend_from_slice(reader.slice(start, reader.offset()));
            if name == "managedFields" {
                managed = copied + (value - start)..out.len();
            }
        }
        Ok(())
    })?;
    out.push(b'}');
    Ok(Metadata { revision_at, managed, seen: Value::Object(seen) })
}

/// Reads the value of a member; keeps what is wanted of it.
fn see(
    seen: &mut Object,
    name: &str,
    wanted: Option<&Wanted>,
    reader: &mut Reader<'_>,
) -> Result<(), Malformed> {
    match wanted {
        Some(wanted) => drop(seen.insert(name.to_owned(), wanted.read(reader)?)),
        None => reader.skip()?,
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Fields;

    fn item(stored: &str) -> Result<String, Malformed> {
        let shape = Shape::new(ItemForm::BuiltIn, Fields::default(), true);
        read(stored.as_bytes(), 7, &shape).map(|read| String::from_utf8(read.bytes).unwrap())
    }

    #[test]
    fn members_are_copied_whatever_their_values_hold() {
        let stored = r#"{ "a" : "x\"}," , "b":[1,{"c":"]"}],"metadata":{},"d":-1.5e3,"e":{},"f":null}"#;
        let expected = r#"{"a" : "x\"},","b":[1,{"c":"]"}],"metadata":{"resourceVersion":"7"},"d":-1.5e3,"e":{},"f":null}"#;
        assert_eq!(item(stored).unwrap(), expected);
    }

    #[test]
    fn broken_bytes_are_refused() {
        for broken in [
            "",
            "{",
            "[]",
            r#"{"metadata"}"#,
            r#"{"metadata":}"#,
            r#"{"metadata":{},"a":"x}"#,
            r#"{"metadata":{"a":[1}}"#,
            r#"{"metadata":{},}"#,
            r#"{"metadata":{}} x"#,
            r#"{"metadata":"\"#,
            r#"{"metadata":3}"#,
            r#"{"a":{}}"#,
            "k8s\0\n",
        ] {
            assert_eq!(item(broken), Err(Malformed), "{broken}");
        }
    }
}
