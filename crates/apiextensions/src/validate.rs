//! Values against a schema, with the findings and the order of upstream's validator (`kube-openapi/validation/validate`)
//! and its rule that what an update does not touch is not held against it (`apiserver/validation/ratcheting.go`).

use std::collections::{HashMap, HashSet};

use api::Value;
use api::field::{Error, ErrorList, Path, go_quote, go_value};
use api::printf::go_float;

use crate::formats;
use crate::schema::Schema;

/// One finding before it becomes a field error.
struct Finding {
    /// Where; `None` for findings about alternatives, which upstream gives no field.
    at: Option<String>,
    /// Its whole text: equal texts count once.
    text: String,
    what: What,
}

enum What {
    Required,
    NotSupported {
        value: Value,
        allowed: Vec<Value>,
    },
    TooLong(i64),
    TooMany {
        actual: usize,
        max: i64,
    },
    Type(String),
    /// Anything else; the value that is shown.
    Invalid(Option<Value>),
}

/// So much text is made of findings; further ones are left out.
const FINDINGS_MAX_BYTES: usize = 4 << 20;

/// Findings, and how many checks ran: of several alternatives that fail, upstream explains the one with most checks.
#[derive(Default)]
struct Outcome {
    findings: Vec<Finding>,
    /// The texts of `findings`, and how long they are together.
    texts: HashSet<String>,
    bytes: usize,
    checks: usize,
}

impl Outcome {
    fn add(&mut self, finding: Finding) {
        // A list of a hundred thousand wrong items, each with an enumeration as long in its text, is no use to anybody.
        if self.bytes < FINDINGS_MAX_BYTES && self.texts.insert(finding.text.clone()) {
            self.bytes += finding.text.len();
            self.findings.push(finding);
        }
    }

    fn merge(&mut self, other: Outcome) {
        self.checks += other.checks;
        other.findings.into_iter().for_each(|f| self.add(f));
    }

    fn valid(&self) -> bool {
        self.findings.is_empty()
    }
}

/// What is wrong with a value. `at` is the field that the schema describes (`status`), none for a whole resource. `old`
/// is the value before an update.
pub fn validate(schema: &Schema, value: &Value, old: Option<&Value>, at: Option<&str>) -> ErrorList {
    let outcome = node(schema, value, old, "", true);
    outcome.findings.into_iter().map(|f| error(f, at)).collect()
}

fn error(finding: Finding, at: Option<&str>) -> Error {
    let name = finding.at.as_deref().unwrap_or_default().trim_start_matches('.');
    let field = match (at, name) {
        (Some(at), "") => at.to_owned(),
        (Some(at), name) => format!("{at}.{name}"),
        (None, "") => "<nil>".to_owned(),
        (None, name) => name.to_owned(),
    };
    let path = Path::new(&field);
    let size = |n: i64| usize::try_from(n).unwrap_or(0);
    match finding.what {
        What::Required => Error::required(&path, ""),
        What::NotSupported { value, allowed } => {
            let texts: Vec<String> =
                allowed.iter().map(|v| v.as_str().map_or_else(|| go_value(v), str::to_owned)).collect();
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            Error::not_supported(&path, &value, &texts)
        }
        What::TooLong(max) => Error::too_long(&path, size(max)),
        What::TooMany { actual, max } => Error::too_many(&path, actual, size(max)),
        What::Type(found) => Error::type_invalid(&path, &found.into(), finding.text),
        What::Invalid(value) => {
            let shown = value.map_or_else(|| "\"\"".to_owned(), |v| go_value(&v));
            Error::invalid_text(&path, shown, finding.text)
        }
    }
}

/// One place of the value. With `ratchet`, findings about a part that is as it was are dropped.
fn node(schema: &Schema, value: &Value, old: Option<&Value>, path: &str, ratchet: bool) -> Outcome {
    let mut outcome = plain(schema, value, old, path);
    if ratchet && !outcome.valid() && old == Some(value) {
        outcome.findings.clear();
    }
    outcome
}

/// A finding about a named place.
fn at(path: &str, text: String, what: What) -> Finding {
    Finding { at: Some(path.to_owned()), text, what }
}

fn plain(schema: &Schema, value: &Value, old: Option<&Value>, path: &str) -> Outcome {
    let mut outcome = Outcome::default();
    if value.is_null() {
        if !schema.types.is_empty() && !schema.types.iter().any(|t| t == "null") && !schema.nullable {
            outcome.add(wrong_type(path, &schema.types.join(","), "null"));
        } else {
            outcome.checks += 1;
        }
        outcome.merge(common(schema, value, path));
        return outcome;
    }
    let mut step = |found: Outcome| {
        outcome.merge(found);
        outcome.checks += 1;
    };
    if !schema.types.is_empty() || !schema.format.is_empty() {
        step(type_of(schema, value, path));
    }
    step(alternatives(schema, value, old, path));
    match value {
        Value::String(text) => {
            step(string(schema, text, path));
            if !schema.format.is_empty() && formats::supported(&[], &schema.format) == schema.format {
                let mut found = Outcome::default();
                if !formats::holds(&schema.format, text) {
                    found.add(wrong_type(path, &schema.format, text));
                }
                step(found);
            }
        }
        Value::Number(_) => step(number(schema, value, path)),
        Value::Array(items) => step(list(schema, items, old, path)),
        _ => {}
    }
    step(common(schema, value, path));
    if let Value::Object(fields) = value {
        step(object(schema, fields, old, path));
    }
    outcome.checks += 1;
    outcome
}

fn wrong_type(path: &str, wanted: &str, found: &str) -> Finding {
    let text = format!("{path} in body must be of type {wanted}: {}", go_quote(found));
    at(path, text, What::Type(found.to_owned()))
}

/// What a JSON value is called.
fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(n) if n.is_i64() => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// `IsFloat64AJSONInteger`: whole, or so near that it may be meant, and small enough to be exact.
fn is_json_integer(f: f64) -> bool {
    const LARGEST: f64 = 9_007_199_254_740_991.0;
    let rounded = f.round();
    let near = (f - rounded).abs() < 1e-9 * rounded.abs();
    f.abs() <= LARGEST && (f == rounded || (rounded != 0.0 && near))
}

fn type_of(schema: &Schema, value: &Value, path: &str) -> Outcome {
    let mut outcome = Outcome::default();
    let found = type_name(value);
    let has = |t: &str| schema.types.iter().any(|own| own == t);
    let whole = value.as_f64().is_some_and(is_json_integer);
    let fits =
        has(found) || (found == "number" && whole && has("integer")) || (found == "integer" && has("number"));
    let texty = matches!(found, "string" | "array");
    if !schema.format.is_empty() && !texty && !fits {
        let format = match found {
            "integer" => "int64",
            "number" => "float64",
            _ => "",
        };
        outcome.add(wrong_type(path, &schema.format, format));
        return outcome;
    }
    let numeric = has("number") || has("integer");
    if !(numeric || schema.format.is_empty()) && texty {
        outcome.checks += 1;
        return outcome;
    }
    if fits {
        outcome.checks += 1;
    } else {
        outcome.add(wrong_type(path, &schema.types.join(","), found));
    }
    outcome
}

fn about(text: String) -> Finding {
    Finding { at: None, text, what: What::Invalid(None) }
}

/// anyOf, oneOf, allOf, not.
fn alternatives(schema: &Schema, value: &Value, old: Option<&Value>, path: &str) -> Outcome {
    let mut outcome = Outcome::default();
    let name = go_quote(path);
    let better = |new: &Outcome, best: &Option<Outcome>| best.as_ref().is_none_or(|b| new.checks > b.checks);
    if !schema.any_of.is_empty() {
        let mut best: Option<Outcome> = None;
        let mut success = None;
        for one in &schema.any_of {
            let result = plain(one, value, old, path);
            if result.valid() {
                success = Some(result);
                break;
            }
            if better(&result, &best) {
                best = Some(result);
            }
        }
        match (success, best) {
            (Some(success), _) => outcome.merge(success),
            (None, best) => {
                outcome.add(about(format!("{name} must validate at least one schema (anyOf)")));
                best.into_iter().for_each(|b| outcome.merge(b));
            }
        }
    }
    if !schema.one_of.is_empty() {
        let mut best: Option<Outcome> = None;
        let mut successes = Vec::new();
        for one in &schema.one_of {
            let result = plain(one, value, old, path);
            if result.valid() {
                successes.push(result);
                best = None;
            } else if successes.is_empty() && better(&result, &best) {
                best = Some(result);
            }
        }
        if successes.len() == 1 {
            successes.into_iter().for_each(|s| outcome.merge(s));
        } else {
            let count = match successes.len() {
                0 => "Found none valid".to_owned(),
                n => format!("Found {n} valid alternatives"),
            };
            outcome.add(about(format!("{name} must validate one and only one schema (oneOf). {count}")));
            best.into_iter().for_each(|b| outcome.merge(b));
        }
    }
    if !schema.all_of.is_empty() {
        let mut validated = 0;
        for one in &schema.all_of {
            let result = plain(one, value, old, path);
            validated += usize::from(result.valid());
            outcome.merge(result);
        }
        if validated != schema.all_of.len() {
            let more = if validated == 0 { ". None validated" } else { "" };
            outcome.add(about(format!("{name} must validate all the schemas (allOf){more}")));
        }
    }
    if let Some(not) = &schema.not
        && plain(not, value, old, path).valid()
    {
        outcome.add(about(format!("{name} must not validate the schema (not)")));
    }
    outcome.checks += 1;
    outcome
}

/// Of several things wrong with a string, upstream tells the first.
fn string(schema: &Schema, text: &str, path: &str) -> Outcome {
    let mut outcome = Outcome::default();
    let length = i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
    if let Some(max) = schema.max_length.filter(|m| length > *m) {
        let said = format!("{path} in body should be at most {max} chars long");
        outcome.add(at(path, said, What::TooLong(max)));
    } else if let Some(min) = schema.min_length.filter(|m| length < *m) {
        let said = format!("{path} in body should be at least {min} chars long");
        outcome.add(at(path, said, What::Invalid(Some(text.into()))));
    } else if let Some(pattern) = &schema.pattern {
        let said = match pattern.regex() {
            Ok(regex) if regex.is_match(text) => return outcome,
            Ok(_) => format!("{path} in body should match '{}'", pattern.text),
            Err(why) => {
                format!("{path} in body should match '{}, but pattern is invalid: {why}'", pattern.text)
            }
        };
        outcome.add(at(path, said, What::Invalid(Some(text.into()))));
    }
    outcome
}

/// Go's conversion of a float to an integer: what does not fit is the least one, as amd64 has it.
fn to_whole(f: f64) -> i64 {
    const BEYOND: f64 = 9_223_372_036_854_775_808.0;
    if (-BEYOND..BEYOND).contains(&f) { f as i64 } else { i64::MIN }
}

fn number(schema: &Schema, value: &Value, path: &str) -> Outcome {
    let mut outcome = Outcome::default();
    let kind = match schema.types.as_slice() {
        [one] if matches!(one.as_str(), "integer" | "number") => one.as_str(),
        _ => "",
    };
    let format = match (kind, schema.format.as_str()) {
        ("integer", format @ ("int32" | "int64")) | ("number", format @ ("float" | "double")) => format,
        _ => "",
    };
    let whole = value.as_i64();
    let float = value.as_f64().unwrap_or(0.0);
    let in_range = |whole: Option<i64>, float: f64| match (kind, format) {
        ("integer", "int32") => whole.is_some_and(|w| i32::try_from(w).is_ok()),
        ("integer", _) => whole.is_some(),
        ("number", "float") => float.abs() <= f64::from(f32::MAX),
        _ => true,
    };
    // A float that is whole prints without a fraction, which Go then reads as an integer.
    let as_whole = |f: f64| (f.fract() == 0.0 && f.abs() < 9.2e18).then_some(f as i64);
    let checked = |prefix: &str, fits: bool| {
        let form =
            if format.is_empty() { "(default format)".to_owned() } else { format!("with format {format}") };
        (!fits).then(|| about(format!("{prefix} value must be of type {kind} {form} in {path}")))
    };
    outcome.findings.extend(checked("Checked", in_range(whole.or_else(|| as_whole(float)), float)));
    let shown = || What::Invalid(Some(value.clone()));
    if let Some(factor) = schema.multiple_of {
        let fits = in_range(as_whole(factor), factor);
        outcome.findings.extend(checked("MultipleOf", fits));
        // A factor that has the type's form is compared in the value's own type, any other one as a float.
        let (factor, shown_factor, multiple) = match whole.filter(|_| fits) {
            Some(w) => {
                let f = to_whole(factor);
                (f as f64, Value::from(f), f > 0 && w % f == 0)
            }
            None => {
                let times = if factor < 1.0 { 1.0 / factor * float } else { float / factor };
                (factor, Value::from(factor), is_json_integer(times))
            }
        };
        let text = go_float(factor);
        if factor <= 0.0 {
            let said = format!("factor MultipleOf declared for {path} must be positive: {text}");
            outcome.findings.push(at(path, said, What::Invalid(Some(shown_factor))));
        } else if !multiple {
            let said = format!("{path} in body should be a multiple of {text}");
            outcome.findings.push(at(path, said, shown()));
        }
    }
    let bounds = [
        (schema.minimum, "Minimum boundary", "greater than", true),
        (schema.maximum, "Maximum boundary", "less than", false),
    ];
    for (bound, prefix, words, low) in bounds {
        let Some((bound, exclusive)) = bound else { continue };
        let fits = in_range(as_whole(bound), bound);
        outcome.findings.extend(checked(prefix, fits));
        let whole = whole.filter(|_| fits);
        let outside = match whole {
            Some(w) => {
                let b = to_whole(bound);
                if low { w < b || (exclusive && w == b) } else { w > b || (exclusive && w == b) }
            }
            None => {
                let same = float == bound;
                (if low { float < bound } else { float > bound }) || (exclusive && same)
            }
        };
        if outside {
            let or_equal = if exclusive { "" } else { " or equal to" };
            let limit = if whole.is_some() { to_whole(bound).to_string() } else { go_float(bound) };
            let said = format!("{path} in body should be {words}{or_equal} {limit}");
            outcome.add(at(path, said, shown()));
        }
    }
    outcome.checks += 1;
    outcome
}

fn list(schema: &Schema, items: &[Value], old: Option<&Value>, path: &str) -> Outcome {
    let mut outcome = Outcome::default();
    if let Some(below) = &schema.items {
        let known = keyed(schema, old);
        for (index, item) in items.iter().enumerate() {
            let before = known.as_ref().and_then(|known| known.get(&keys(schema, item)).copied());
            outcome.merge(node(below, item, before, &format!("{path}[{index}]"), before.is_some()));
        }
    }
    let size = i64::try_from(items.len()).unwrap_or(i64::MAX);
    if let Some(min) = schema.min_items.filter(|m| size < *m) {
        let said = format!("{path} in body should have at least {min} items");
        outcome.add(at(path, said, What::Invalid(Some(size.into()))));
    }
    if let Some(max) = schema.max_items.filter(|m| size > *m) {
        let said = format!("{path} in body should have at most {max} items");
        outcome.add(at(path, said, What::TooMany { actual: items.len(), max }));
    }
    outcome.checks += 1;
    outcome
}

/// The items of the old list by their keys, in lists that have such; the first of equal ones.
fn keyed<'a>(
    schema: &'a Schema,
    old: Option<&'a Value>,
) -> Option<HashMap<Vec<Option<&'a Value>>, &'a Value>> {
    let items = old.filter(|_| schema.list_type.as_deref() == Some("map"))?.as_array()?;
    let mut known = HashMap::with_capacity(items.len());
    for item in items {
        known.entry(keys(schema, item)).or_insert(item);
    }
    Some(known)
}

/// What tells an item of a list from others.
fn keys<'a>(schema: &'a Schema, item: &'a Value) -> Vec<Option<&'a Value>> {
    let default = |key: &String| schema.items.as_ref()?.properties.get(key)?.default.as_ref();
    schema.list_map_keys.iter().map(|key| item.get(key).or_else(|| default(key))).collect()
}

/// `enum`.
fn common(schema: &Schema, value: &Value, path: &str) -> Outcome {
    let mut outcome = Outcome::default();
    // Numbers are converted to the type of the allowed one before they are compared, as Go does.
    let same = |allowed: &Value| match (allowed, value) {
        (Value::Number(a), Value::Number(b)) => match (a.as_i64(), b.as_i64()) {
            (Some(a), Some(b)) => a == b,
            (Some(a), None) => b.as_f64().is_some_and(|b| b as i64 == a),
            (None, _) => a.as_f64() == b.as_f64(),
        },
        _ => allowed == value,
    };
    if schema.allowed.is_empty() || schema.allowed.iter().any(|a| !value.is_null() && same(a)) {
        return outcome;
    }
    let said = format!("{path} in body should be one of {}", Value::from(schema.allowed.clone()));
    outcome.add(at(path, said, What::NotSupported { value: value.clone(), allowed: schema.allowed.clone() }));
    outcome
}

fn object(schema: &Schema, fields: &api::Object, old: Option<&Value>, path: &str) -> Outcome {
    let mut outcome = Outcome::default();
    let size = i64::try_from(fields.len()).unwrap_or(i64::MAX);
    if let Some(min) = schema.min_properties.filter(|m| size < *m) {
        let said = format!("{path} in body should have at least {min} properties");
        outcome.add(at(path, said, What::Invalid(Some(size.into()))));
    }
    if let Some(max) = schema.max_properties.filter(|m| size > *m) {
        let said = format!("{path} in body should have at most {max} properties");
        outcome.add(at(path, said, What::TooMany { actual: fields.len(), max }));
    }
    let correlates = schema.map_type.as_deref() != Some("atomic");
    let before = |name: &str| {
        let hidden = path.is_empty() && matches!(name, "kind" | "apiVersion");
        old.filter(|_| correlates && !hidden).and_then(|o| o.get(name))
    };
    let others = || fields.iter().filter(|(name, _)| !schema.properties.contains_key(*name));
    match &schema.additional {
        Some(additional) if !additional.allows => {
            for (name, _) in others() {
                let said = format!("{path}.{name} in body is a forbidden property");
                outcome.add(at(path, said, What::Invalid(Some(name.as_str().into()))));
            }
        }
        Some(additional) => {
            for (name, value) in others() {
                let Some(below) = &additional.schema else { continue };
                let was = before(name);
                outcome.merge(node(below, value, was, &format!("{path}.{name}"), was.is_some()));
            }
        }
        None => {}
    }
    for (name, below) in &schema.properties {
        let Some(value) = fields.get(name) else { continue };
        let place = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let was = before(name);
        outcome.merge(node(below, value, was, &place, was.is_some()));
    }
    for name in schema.required.iter().filter(|n| !fields.contains_key(*n)) {
        let place = format!("{path}.{name}");
        outcome.add(at(&place, format!("{place} in body is required"), What::Required));
    }
    outcome
}
