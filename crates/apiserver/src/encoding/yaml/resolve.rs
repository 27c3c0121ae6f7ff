//! A tree of nodes to JSON: what plain words mean (YAML 1.1, as Go's library has it), aliases, merge keys, keys that occur
//! twice.

use api::{Object, Value};
use base64::Engine as _;

use super::fault::{Fault, Result};
use super::parse::{Id, Kind, Node, Tree};
use super::{DEPTH_MAX, TOO_DEEP};

const TAGS: &str = "tag:yaml.org,2002:";

/// A document as JSON.
#[derive(Debug, Default)]
pub(super) struct Resolved {
    pub(super) value: Value,
    /// `line 7: key "a" already set in map`
    pub(super) twice: Vec<String>,
}

/// Makes JSON of a tree.
pub(super) fn resolve(tree: &Tree) -> Result<Resolved> {
    let mut resolver = Resolver { tree, twice: Vec::new(), open: Vec::new(), made: 0, by_alias: 0, depth: 0 };
    let value = tree.root.map_or(Ok(Value::Null), |root| resolver.value(root))?;
    Ok(Resolved { value, twice: resolver.twice })
}

struct Resolver<'a> {
    tree: &'a Tree,
    twice: Vec<String>,
    /// Aliases that are being read.
    open: Vec<Id>,
    /// How many nodes were read, and how many of them through aliases.
    made: usize,
    by_alias: usize,
    depth: usize,
}

impl Resolver<'_> {
    fn count(&mut self) -> Result<()> {
        self.made += 1;
        if !self.open.is_empty() {
            self.by_alias += 1;
        }
        let (made, by_alias) = (self.made as f64, self.by_alias as f64);
        if self.by_alias > 100 && self.made > 1000 && by_alias / made > allowed_share(made) {
            return Err(Fault::anywhere("document contains excessive aliasing"));
        }
        Ok(())
    }

    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(Fault::anywhere(TOO_DEEP));
        }
        let result = read(self);
        self.depth -= 1;
        result
    }

    fn value(&mut self, id: Id) -> Result<Value> {
        self.count()?;
        let node = &self.tree.nodes[id];
        match &node.kind {
            Kind::Scalar { text, plain } => scalar(node, text, *plain),
            Kind::Sequence(items) => self.deeper(|r| {
                let values: Result<Vec<Value>> = items.iter().map(|item| r.value(*item)).collect();
                values.map(Value::Array)
            }),
            Kind::Mapping(_) => {
                let mut out = Object::new();
                self.mapping(id, &mut out)?;
                Ok(Value::Object(out))
            }
            Kind::Alias { name, of } => self.alias(id, name, |r| r.value(*of)),
        }
    }

    fn alias<T>(&mut self, id: Id, name: &str, read: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.open.contains(&id) {
            return Err(Fault::anywhere(format!("anchor '{name}' value contains itself")));
        }
        self.open.push(id);
        let result = self.deeper(read);
        self.open.pop();
        result
    }

    /// Adds the entries of a mapping to those that are there.
    fn mapping(&mut self, id: Id, out: &mut Object) -> Result<()> {
        let tree = self.tree;
        let Kind::Mapping(pairs) = &tree.nodes[id].kind else { return Ok(()) };
        self.deeper(|r| {
            for (key, value) in pairs {
                if is_merge(&tree.nodes[*key]) {
                    r.merge(*value, out)?;
                    continue;
                }
                let key = r.value(*key)?;
                let (name, shown) = key_text(&key)?;
                let entry = r.value(*value)?;
                if out.insert(name, entry).is_some() {
                    let line = tree.nodes[*value].line + 1;
                    r.twice.push(format!("line {line}: key {shown} already set in map"));
                }
            }
            Ok(())
        })
    }

    /// `<<`: the entries of one mapping or of several, the first of which counts.
    fn merge(&mut self, id: Id, out: &mut Object) -> Result<()> {
        let tree = self.tree;
        let wrong = || Fault::anywhere("map merge requires map or sequence of maps as the value");
        match &tree.nodes[id].kind {
            Kind::Mapping(_) => {
                self.count()?;
                self.mapping(id, out)
            }
            Kind::Alias { name, of } if matches!(tree.nodes[*of].kind, Kind::Mapping(_)) => {
                self.count()?;
                self.alias(id, name, |r| r.mapping(*of, out))
            }
            Kind::Sequence(items) => self.deeper(|r| {
                for item in items.iter().rev() {
                    if matches!(tree.nodes[*item].kind, Kind::Sequence(_)) {
                        return Err(wrong());
                    }
                    r.merge(*item, out)?;
                }
                Ok(())
            }),
            _ => Err(wrong()),
        }
    }
}

/// How much of a document may come from aliases: nearly all of a small one, little of a large one.
fn allowed_share(made: f64) -> f64 {
    const SMALL: f64 = 400_000.0;
    const LARGE: f64 = 4_000_000.0;
    let large = ((made - SMALL) / (LARGE - SMALL)).clamp(0.0, 1.0);
    0.99 - 0.89 * large
}

fn is_merge(node: &Node) -> bool {
    let tag = node.tag.strip_prefix(TAGS);
    matches!(&node.kind, Kind::Scalar { text, plain } if text == "<<" && (*plain || tag == Some("merge")))
}

/// A key as JSON has it and as Go's `%#v` shows it.
fn key_text(key: &Value) -> Result<(String, String)> {
    Ok(match key {
        Value::String(text) => (text.clone(), api::field::go_quote(text)),
        Value::Number(_) | Value::Bool(_) => (key.to_string(), key.to_string()),
        Value::Null => {
            return Err(Fault::anywhere("unsupported map key of type: %!s(<nil>), key: <nil>, value: <nil>"));
        }
        Value::Array(_) | Value::Object(_) => {
            let key = api::printf::go_syntax(key, "map[interface {}]interface {}");
            return Err(Fault::anywhere(format!("invalid map key: {key}")));
        }
    })
}

/// What a scalar means.
fn scalar(node: &Node, text: &str, plain: bool) -> Result<Value> {
    let tag = match node.tag.strip_prefix(TAGS) {
        Some(tag) => tag,
        None if node.tag.is_empty() && plain => "",
        // Quoted, or of a tag that only its owner knows.
        None => return Ok(text.into()),
    };
    let (found, value) = match tag {
        "str" => return Ok(text.into()),
        "binary" => {
            let bytes = base64::engine::general_purpose::STANDARD.decode(text);
            let bytes = bytes.map_err(|_| Fault::anywhere("!!binary value contains invalid base64 data"))?;
            return Ok(String::from_utf8_lossy(&bytes).into_owned().into());
        }
        "" | "bool" | "int" | "float" | "null" | "timestamp" => meaning(text)?,
        _ => return Ok(text.into()),
    };
    let fits = match tag {
        "" => true,
        // Times stay texts.
        "timestamp" => found == "str",
        "float" => found == "float" || found == "int",
        tag => found == tag,
    };
    if !fits {
        return Err(Fault::anywhere(format!("cannot decode !!{found} `{text}` as a !!{tag}")));
    }
    Ok(value)
}

/// What a plain word means, and the name of its type.
fn meaning(text: &str) -> Result<(&'static str, Value)> {
    Ok(match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            ("bool", true.into())
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            ("bool", false.into())
        }
        "" | "~" | "null" | "Null" | "NULL" => ("null", Value::Null),
        ".nan" | ".NaN" | ".NAN" => return Err(no_json("NaN")),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => return Err(no_json("+Inf")),
        "-.inf" | "-.Inf" | "-.INF" => return Err(no_json("-Inf")),
        _ => match number(text) {
            Some(value) if value.is_f64() => ("float", value),
            Some(value) => ("int", value),
            None => ("str", text.into()),
        },
    })
}

/// What JSON cannot say.
fn no_json(shown: &str) -> Fault {
    Fault::of_json(format!("json: unsupported value: {shown}"))
}

fn number(text: &str) -> Option<Value> {
    match text.bytes().next()? {
        b'.' => float(text),
        b'+' | b'-' | b'0'..=b'9' => {
            let bare = text.replace('_', "");
            integer(&bare).or_else(|| float(&bare))
        }
        _ => None,
    }
}

/// Go's `ParseInt` and `ParseUint` with base 0.
fn integer(text: &str) -> Option<Value> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let prefixed = |at: usize| digits.get(at..).filter(|d| !d.is_empty());
    let lower = digits.to_ascii_lowercase();
    let (radix, digits) = if lower.starts_with("0x") {
        (16, prefixed(2)?)
    } else if lower.starts_with("0o") {
        (8, prefixed(2)?)
    } else if lower.starts_with("0b") {
        (2, prefixed(2)?)
    } else if digits.len() > 1 && digits.starts_with('0') {
        (8, prefixed(1)?)
    } else {
        (10, digits)
    };
    if !digits.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    let size = u64::from_str_radix(digits, radix).ok()?;
    if negative {
        return i64::try_from(-i128::from(size)).ok().map(Value::from);
    }
    // `ParseUint` knows no signs.
    (size <= i64::MAX.unsigned_abs() || !text.starts_with('+')).then(|| size.into())
}

/// A decimal number with a point or an exponent, or digits that are no integer.
fn float(text: &str) -> Option<Value> {
    let bare = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match bare.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (bare, None),
    };
    let digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
    let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let good = digits(whole)
        && digits(part)
        && !(whole.is_empty() && part.is_empty())
        && exponent.is_none_or(|e| {
            let e = e.strip_prefix(['+', '-']).unwrap_or(e);
            !e.is_empty() && digits(e)
        });
    let value: f64 = if good { text.parse().ok()? } else { return None };
    value.is_finite().then(|| api::json::float(value))
}
