//! The JSON paths of `additionalPrinterColumns` (`k8s.io/client-go/util/jsonpath`, without templates): fields, quoted
//! keys, indexes, slices, unions, wildcards, recursive descent, filters.

use api::Value;

/// So many values are looked at in one step at most; a path that leads to more leads nowhere. Unions can double what they
/// find with each step.
const FOUND_MAX: usize = 100_000;

/// A parsed path.
#[derive(Clone, Debug, PartialEq)]
pub struct JsonPath {
    steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq)]
enum Step {
    Field(String),
    Wildcard,
    Recursive,
    /// `[start:end:step]`; `[n]` is `[n:n+1]`.
    Slice {
        start: Option<i64>,
        end: Option<i64>,
        by: Option<i64>,
        single: bool,
    },
    Union(Vec<JsonPath>),
    Filter {
        left: Operand,
        test: Option<(Operator, Operand)>,
    },
}

#[derive(Clone, Debug, PartialEq)]
enum Operand {
    Path(JsonPath),
    Literal(Value),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Operator {
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

/// A path that cannot be read: what and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError(pub String);

impl std::fmt::Display for ParseError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

fn error<T>(text: impl Into<String>) -> Result<T, ParseError> {
    Err(ParseError(text.into()))
}

impl JsonPath {
    /// Reads a path such as `.spec.replicas` or `.status.conditions[?(@.type=="Ready")].status`.
    pub fn parse(text: &str) -> Result<JsonPath, ParseError> {
        let mut steps = Vec::new();
        let mut rest = text;
        loop {
            if rest.is_empty() {
                return Ok(JsonPath { steps });
            } else if let Some(after) = rest.strip_prefix("[?(") {
                let close = filter_end(after).ok_or(ParseError("unterminated filter".into()))?;
                steps.push(filter(&after[..close])?);
                rest = match after[close + 1..].strip_prefix(']') {
                    Some(after) => after,
                    None => return error("unclosed array expect ]"),
                };
            } else if let Some(after) = rest.strip_prefix("..") {
                if steps.last() == Some(&Step::Recursive) {
                    return error("invalid multiple recursive descent");
                }
                steps.push(Step::Recursive);
                rest = after;
                if rest.starts_with(|c: char| c == '_' || c.is_alphanumeric()) {
                    let (step, after) = field(rest);
                    steps.push(step);
                    rest = after;
                }
            } else if let Some(after) = rest.strip_prefix('.') {
                let (step, after) = field(after);
                steps.push(step);
                rest = after;
            } else if let Some(after) = rest.strip_prefix('[') {
                let close = after.find(']').ok_or(ParseError("unterminated array".into()))?;
                bracket(&after[..close], &mut steps)?;
                rest = &after[close + 1..];
            } else if let Some(after) = rest.strip_prefix(['@', '$', ' ']) {
                rest = after;
            } else {
                return error(format!("unrecognized character in action: {rest}"));
            }
        }
    }

    /// The values that the path leads to; none where something is missing or of the wrong kind.
    pub fn find<'a>(&'a self, value: &'a Value) -> Vec<&'a Value> {
        let mut found = vec![value];
        for step in &self.steps {
            found = match step.apply(found) {
                Some(found) => found,
                None => return Vec::new(),
            };
        }
        found
    }
}

/// A field name up to the next structural character; a backslash escapes one.
fn field(text: &str) -> (Step, &str) {
    let mut name = String::new();
    let mut escaped = false;
    let mut end = text.len();
    for (at, c) in text.char_indices() {
        if !escaped && c == '\\' {
            escaped = true;
            continue;
        }
        if !escaped && matches!(c, ' ' | '\t' | '\r' | '\n' | '.' | ',' | '[' | ']' | '$' | '@' | '{' | '}') {
            end = at;
            break;
        }
        name.push(c);
        escaped = false;
    }
    let step = if name == "*" { Step::Wildcard } else { Step::Field(name) };
    (step, &text[end..])
}

/// What stands between `[` and `]`.
fn bracket(text: &str, steps: &mut Vec<Step>) -> Result<(), ParseError> {
    if text == "*" {
        steps.push(Step::Slice { start: None, end: None, by: None, single: false });
        return Ok(());
    }
    if text.contains(',') {
        let parts = text.split(',').map(|part| JsonPath::parse(&format!("[{}]", part.trim())));
        steps.push(Step::Union(parts.collect::<Result<_, _>>()?));
        return Ok(());
    }
    if let Some(key) = text.strip_prefix('\'').and_then(|t| t.strip_suffix('\'')) {
        if key.contains('\'') {
            return error(format!("invalid array index {text}"));
        }
        steps.extend(JsonPath::parse(&format!(".{key}"))?.steps);
        return Ok(());
    }
    let parts: Vec<&str> = text.split(':').collect();
    let number = |part: Option<&&str>| match part {
        None | Some(&"") => Ok(None),
        Some(part) => match part.parse::<i64>() {
            Ok(number) => Ok(Some(number)),
            Err(_) => error(format!("invalid array index {text}")),
        },
    };
    if parts.len() > 3 || text.is_empty() {
        return error(format!("invalid array index {text}"));
    }
    let (start, end, by) = (number(parts.first())?, number(parts.get(1))?, number(parts.get(2))?);
    steps.push(Step::Slice { start, end, by, single: parts.len() == 1 });
    Ok(())
}

/// Where the filter's closing parenthesis stands; those in quotes do not count.
fn filter_end(text: &str) -> Option<usize> {
    let mut quote = None;
    let mut before = ' ';
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (None, '"' | '\'') => quote = Some(c),
            (Some(q), c) if c == q && before != '\\' => quote = None,
            (None, ')') => return Some(at),
            _ => {}
        }
        before = c;
    }
    None
}

fn filter(text: &str) -> Result<Step, ParseError> {
    let Some(at) = text.find(['!', '<', '>', '=']).filter(|at| *at > 0) else {
        return Ok(Step::Filter { left: operand(text)?, test: None });
    };
    let len = text[at..].find(|c| !matches!(c, '!' | '<' | '>' | '=')).unwrap_or(text.len() - at);
    let operator = match &text[at..at + len] {
        "==" => Operator::Equal,
        "!=" => Operator::NotEqual,
        "<" => Operator::Less,
        "<=" => Operator::LessEqual,
        ">" => Operator::Greater,
        ">=" => Operator::GreaterEqual,
        other => return error(format!("unrecognized filter operator {other}")),
    };
    let (left, right) = (operand(&text[..at])?, operand(&text[at + len..])?);
    Ok(Step::Filter { left, test: Some((operator, right)) })
}

fn operand(text: &str) -> Result<Operand, ParseError> {
    let text = text.trim();
    let quoted =
        |q: char| text.len() > 1 && text.strip_prefix(q).is_some_and(|t| t.strip_suffix(q).is_some());
    if quoted('"') || quoted('\'') {
        let inner = &text[1..text.len() - 1];
        return Ok(Operand::Literal(inner.replace("\\\"", "\"").replace("\\'", "'").into()));
    }
    if let Ok(number) = text.parse::<i64>() {
        return Ok(Operand::Literal(number.into()));
    }
    if let (Ok(number), true) =
        (text.parse::<f64>(), text.starts_with(|c: char| c.is_ascii_digit() || c == '-' || c == '+'))
    {
        return Ok(Operand::Literal(number.into()));
    }
    match text {
        "true" => Ok(Operand::Literal(true.into())),
        "false" => Ok(Operand::Literal(false.into())),
        _ => Ok(Operand::Path(JsonPath::parse(text)?)),
    }
}

impl Step {
    fn apply<'a>(&'a self, input: Vec<&'a Value>) -> Option<Vec<&'a Value>> {
        let mut found = Vec::new();
        match self {
            Step::Field(name) => found.extend(input.iter().filter_map(|v| v.get(name.as_str()))),
            Step::Wildcard => found.extend(input.iter().flat_map(|v| children(v))),
            Step::Recursive => {
                for value in input {
                    descend(value, &mut found);
                }
            }
            Step::Union(paths) => {
                for path in paths {
                    for value in &input {
                        found.extend(path.find(value));
                        if found.len() > FOUND_MAX {
                            return None;
                        }
                    }
                }
            }
            Step::Slice { start, end, by, single } => {
                for value in input.into_iter().filter(|v| !v.is_null()) {
                    found.extend(slice(value.as_array()?, *start, *end, *by, *single)?);
                }
            }
            Step::Filter { left, test } => {
                for value in input {
                    for item in value.as_array()? {
                        if passes(item, left, test.as_ref())? {
                            found.push(item);
                        }
                    }
                }
            }
        }
        Some(found)
    }
}

fn children(value: &Value) -> Vec<&Value> {
    match value {
        Value::Object(fields) => fields.values().collect(),
        Value::Array(items) => items.iter().collect(),
        _ => Vec::new(),
    }
}

fn descend<'a>(value: &'a Value, found: &mut Vec<&'a Value>) {
    let inner = children(value);
    if inner.is_empty() || found.len() > FOUND_MAX {
        return;
    }
    found.push(value);
    for child in inner {
        descend(child, found);
    }
}

/// None when an index is out of bounds: upstream gives up on the whole path then.
fn slice(
    items: &[Value],
    start: Option<i64>,
    end: Option<i64>,
    by: Option<i64>,
    single: bool,
) -> Option<Vec<&Value>> {
    let len = i64::try_from(items.len()).ok()?;
    let from = match start.unwrap_or(0) {
        n if n < 0 => n + len,
        n => n,
    };
    let to = match end {
        _ if single => from.saturating_add(1),
        None => len,
        Some(n) if n < 0 => n + len,
        Some(n) => n,
    };
    if from == to {
        return Some(Vec::new());
    }
    if from < 0 || from >= len || to < 0 || to > len || from > to {
        return None;
    }
    let by = usize::try_from(by.unwrap_or(1)).ok().filter(|by| *by > 0)?;
    let (from, to) = (usize::try_from(from).ok()?, usize::try_from(to).ok()?);
    Some(items[from..to].iter().step_by(by).collect())
}

fn passes(item: &Value, left: &Operand, test: Option<&(Operator, Operand)>) -> Option<bool> {
    let values = |operand: &Operand| match operand {
        Operand::Literal(value) => vec![value.clone()],
        Operand::Path(path) => path.find(item).into_iter().cloned().collect(),
    };
    let lefts = values(left);
    let Some((operator, right)) = test else { return Some(!lefts.is_empty()) };
    let rights = values(right);
    let (left, right) = match (lefts.as_slice(), rights.as_slice()) {
        ([], _) | (_, []) => return Some(false),
        ([left], [right]) => (left, right),
        _ => return None,
    };
    let order = match (left, right) {
        (Value::Number(a), Value::Number(b)) => a.as_f64()?.partial_cmp(&b.as_f64()?)?,
        (Value::String(a), Value::String(b)) => a.cmp(b),
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        _ => return None,
    };
    Some(match operator {
        Operator::Equal => order.is_eq(),
        Operator::NotEqual => order.is_ne(),
        Operator::Less => order.is_lt(),
        Operator::LessEqual => order.is_le(),
        Operator::Greater => order.is_gt(),
        Operator::GreaterEqual => order.is_ge(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn paths_lead_where_upstreams_do() {
        let object = json!({
            "spec": {"l": [{"x": "a", "n": 1}, {"x": "b", "n": 2}, {"x": "c"}], "a.b": "dotted", "m": {"k": "v"}},
            "status": {"conditions": [{"type": "Ready", "status": "True"}, {"type": "Other(s)", "status": "False"}]},
        });
        let cases: &[(&str, Value)] = &[
            (".spec.l[*].x", json!(["a", "b", "c"])),
            (".spec.l[0].x", json!(["a"])),
            (".spec.l[-1].x", json!(["c"])),
            (".spec.l[1:].x", json!(["b", "c"])),
            (".spec.l[0:3:2].x", json!(["a", "c"])),
            (".spec.l[0,2].x", json!(["a", "c"])),
            (".spec.l[7].x", json!([])),
            (".spec['m'].k", json!(["v"])),
            (r".spec.a\.b", json!(["dotted"])),
            (".spec.m.*", json!(["v"])),
            ("..k", json!(["v"])),
            (".spec.l[?(@.n>1)].x", json!(["b"])),
            (".spec.l[?(@.n)].x", json!(["a", "b"])),
            (r#".status.conditions[?(@.type=="Ready")].status"#, json!(["True"])),
            (".status.conditions[?(@.type=='Other(s)')].status", json!(["False"])),
            (".spec.l[?(@.x==1)].x", json!([])),
            (".nope.deeper", json!([])),
            (".spec.m[0]", json!([])),
        ];
        for (path, expected) in cases {
            let parsed = JsonPath::parse(path).unwrap();
            assert_eq!(json!(parsed.find(&object)), *expected, "{path}");
        }
        for broken in [".spec.l[", ".spec[x]", "....a", ".l[?(@.x=b", ".l[?(@.x=~b)]", "spec", ".a}"] {
            assert!(JsonPath::parse(broken).is_err(), "{broken}");
        }
    }
}
