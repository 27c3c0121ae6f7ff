//! JSONPath in kubectl's dialect (upstream: `client-go/util/jsonpath`): text around `{…}`, `range`,
//! filters, unions, slices, `..`.

use serde_json::Value;

use crate::value::plain;

/// A parsed template.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Template {
    nodes: Vec<Node>,
    /// The text, for errors.
    text: String,
    /// May fields be missing?
    pub(crate) allow_missing: bool,
}

#[derive(Clone, Debug, PartialEq)]
enum Node {
    Text(String),
    /// `{.a.b}`: one or more steps.
    Path(Vec<Step>),
    /// `{range …}…{end}`.
    Range(Vec<Step>, Vec<Node>),
}

#[derive(Clone, Debug, PartialEq)]
enum Step {
    Field(String),
    Wildcard,
    Recursive,
    /// start, end, step; `single` when it was one index.
    Slice {
        start: Option<i64>,
        end: Option<i64>,
        step: i64,
        single: bool,
    },
    Union(Vec<Vec<Step>>),
    Filter(Operand, Option<(String, Operand)>),
}

#[derive(Clone, Debug, PartialEq)]
enum Operand {
    Path(Vec<Step>),
    Literal(Value),
}

type Parsed<T> = Result<T, String>;

/// Parses a template: text with `{…}` in it.
pub(crate) fn parse(text: &str) -> Parsed<Template> {
    let mut p = Parser { chars: text.chars().collect(), at: 0 };
    let nodes = p.nodes(false)?;
    Ok(Template { nodes, text: text.to_string(), allow_missing: true })
}

/// Reads `.a`, `a`, `{.a}` and `{a}` alike (upstream: `RelaxedJSONPathExpression`).
pub(crate) fn relaxed(text: &str) -> Parsed<String> {
    let inner = match (text.strip_prefix('{'), text.strip_suffix('}')) {
        (Some(_), Some(_)) => &text[1..text.len() - 1],
        (None, None) => text,
        _ => {
            return Err("unexpected path string, expected a 'name1.name2' or '.name1.name2' or '{name1.name2}' or '{.name1.name2}'".into());
        }
    };
    let inner = inner.strip_prefix('.').unwrap_or(inner);
    if inner.is_empty() {
        return Err("unexpected path string, expected a 'name1.name2' or '.name1.name2' or '{name1.name2}' or '{.name1.name2}'".into());
    }
    Ok(format!("{{.{inner}}}"))
}

struct Parser {
    chars: Vec<char>,
    at: usize,
}

impl Parser {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn rest_starts(&self, s: &str) -> bool {
        s.chars().enumerate().all(|(i, c)| self.chars.get(self.at + i) == Some(&c))
    }

    fn nodes(&mut self, in_range: bool) -> Parsed<Vec<Node>> {
        let mut nodes = Vec::new();
        let mut text = String::new();
        while let Some(c) = self.peek() {
            self.at += 1;
            if c != '{' {
                text.push(c);
                continue;
            }
            if !text.is_empty() {
                nodes.push(Node::Text(std::mem::take(&mut text)));
            }
            self.spaces();
            if self.rest_starts("range") && self.chars.get(self.at + 5).is_some_and(|c| c.is_whitespace()) {
                self.at += 5;
                self.spaces();
                let steps = self.steps("}")?;
                self.close()?;
                nodes.push(Node::Range(steps, self.nodes(true)?));
                continue;
            }
            if self.rest_starts("end") {
                self.at += 3;
                self.spaces();
                self.close()?;
                if !in_range {
                    return Err("not in range, nothing to end".into());
                }
                return Ok(nodes);
            }
            loop {
                self.spaces();
                match self.peek() {
                    None => return Err("unclosed action".into()),
                    Some('}') => {
                        self.at += 1;
                        break;
                    }
                    Some('"' | '\'') => nodes.push(Node::Text(self.quoted()?)),
                    Some(_) => nodes.push(Node::Path(self.steps("} ")?)),
                }
            }
        }
        if in_range {
            return Err("unclosed action".into());
        }
        if !text.is_empty() {
            nodes.push(Node::Text(text));
        }
        Ok(nodes)
    }

    fn spaces(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.at += 1;
        }
    }

    fn close(&mut self) -> Parsed<()> {
        self.spaces();
        if self.peek() != Some('}') {
            return Err("unclosed action".into());
        }
        self.at += 1;
        Ok(())
    }

    fn quoted(&mut self) -> Parsed<String> {
        let quote = self.peek();
        self.at += 1;
        let mut s = String::new();
        while let Some(c) = self.peek() {
            self.at += 1;
            if Some(c) == quote {
                return Ok(s);
            }
            if c == '\\' {
                let e = self.peek().ok_or("unterminated quoted string")?;
                self.at += 1;
                s.push(match e {
                    'n' => '\n',
                    't' => '\t',
                    'r' => '\r',
                    '0' => '\0',
                    other => other,
                });
            } else {
                s.push(c);
            }
        }
        Err("unterminated quoted string".into())
    }

    /// Steps up to one of the stop characters.
    fn steps(&mut self, stop: &str) -> Parsed<Vec<Step>> {
        let mut steps = Vec::new();
        while let Some(c) = self.peek() {
            if stop.contains(c) {
                break;
            }
            match c {
                '@' | '$' => self.at += 1,
                '.' => {
                    self.at += 1;
                    if self.peek() == Some('.') {
                        self.at += 1;
                        steps.push(Step::Recursive);
                        if self.peek().is_some_and(|c| c != '[' && !stop.contains(c)) {
                            self.field(stop, &mut steps)?;
                        }
                    } else if self.peek().is_some_and(|c| c != '[' && c != '.' && !stop.contains(c)) {
                        self.field(stop, &mut steps)?;
                    }
                }
                '[' => {
                    self.at += 1;
                    steps.push(self.bracket()?);
                }
                c if c.is_whitespace() => self.at += 1,
                c if c.is_alphanumeric() || c == '_' || c == '*' || c == '-' => {
                    self.field(stop, &mut steps)?
                }
                c => return Err(format!("unrecognized character in action: U+{:04X} '{c}'", c as u32)),
            }
        }
        if self.peek().is_none() && !stop.is_empty() && stop.contains('}') {
            return Err("unclosed action".into());
        }
        Ok(steps)
    }

    fn field(&mut self, stop: &str, steps: &mut Vec<Step>) -> Parsed<()> {
        let mut name = String::new();
        while let Some(c) = self.peek() {
            if c == '\\' {
                self.at += 1;
                if let Some(e) = self.peek() {
                    name.push(e);
                    self.at += 1;
                }
                continue;
            }
            if c == '.' || c == '[' || c.is_whitespace() || stop.contains(c) || "=<>!)]".contains(c) {
                break;
            }
            name.push(c);
            self.at += 1;
        }
        steps.push(if name == "*" { Step::Wildcard } else { Step::Field(name) });
        Ok(())
    }

    fn bracket(&mut self) -> Parsed<Step> {
        self.spaces();
        if self.peek() == Some('?') {
            self.at += 1;
            self.spaces();
            if self.peek() != Some('(') {
                return Err("unexpected character in filter".into());
            }
            self.at += 1;
            let left = self.operand()?;
            self.spaces();
            let mut operator = String::new();
            while let Some(c) = self.peek().filter(|c| "=!<>".contains(*c)) {
                operator.push(c);
                self.at += 1;
            }
            let right = if operator.is_empty() { None } else { Some((operator, self.operand()?)) };
            self.spaces();
            if self.peek() != Some(')') {
                return Err("unterminated filter".into());
            }
            self.at += 1;
            self.spaces();
            if self.peek() != Some(']') {
                return Err("unclosed array expect ]".into());
            }
            self.at += 1;
            return Ok(Step::Filter(left, right));
        }
        let mut parts: Vec<Vec<Step>> = Vec::new();
        loop {
            self.spaces();
            let step = match self.peek() {
                Some('"' | '\'') => Step::Field(self.quoted()?),
                Some('*') => {
                    self.at += 1;
                    Step::Wildcard
                }
                _ => {
                    let mut text = String::new();
                    while let Some(c) = self.peek().filter(|c| !",]".contains(*c)) {
                        text.push(c);
                        self.at += 1;
                    }
                    index(text.trim())?
                }
            };
            parts.push(vec![step]);
            self.spaces();
            match self.peek() {
                Some(',') => self.at += 1,
                Some(']') => {
                    self.at += 1;
                    break;
                }
                _ => return Err("unterminated array".into()),
            }
        }
        if parts.len() == 1 { Ok(parts.remove(0).remove(0)) } else { Ok(Step::Union(parts)) }
    }

    fn operand(&mut self) -> Parsed<Operand> {
        self.spaces();
        match self.peek() {
            Some('"' | '\'') => Ok(Operand::Literal(Value::String(self.quoted()?))),
            Some('@' | '$' | '.') => {
                let mut steps = Vec::new();
                let part = self.steps("=!<>) ")?;
                steps.extend(part);
                Ok(Operand::Path(steps))
            }
            _ => {
                let mut text = String::new();
                while let Some(c) = self.peek().filter(|c| !"=!<>)".contains(*c)) {
                    text.push(c);
                    self.at += 1;
                }
                let value = serde_json::from_str(text.trim()).unwrap_or(Value::String(text.trim().into()));
                Ok(Operand::Literal(value))
            }
        }
    }
}

/// `0`, `-1`, `0:2`, `::2`.
fn index(text: &str) -> Parsed<Step> {
    let number = |s: &str| -> Parsed<Option<i64>> {
        if s.is_empty() {
            return Ok(None);
        }
        s.parse().map(Some).map_err(|_| format!("invalid array index {text}"))
    };
    let parts: Vec<&str> = text.split(':').collect();
    match parts.as_slice() {
        [one] => {
            let n = number(one)?.ok_or("invalid array index")?;
            Ok(Step::Slice { start: Some(n), end: None, step: 1, single: true })
        }
        [a, b] => Ok(Step::Slice { start: number(a)?, end: number(b)?, step: 1, single: false }),
        [a, b, c] => Ok(Step::Slice {
            start: number(a)?,
            end: number(b)?,
            step: number(c)?.unwrap_or(1).max(1),
            single: false,
        }),
        _ => Err(format!("invalid array index {text}")),
    }
}

impl Template {
    /// Fills in the template.
    pub(crate) fn print(&self, data: &Value) -> Parsed<String> {
        let mut out = String::new();
        self.run(&self.nodes, data, &mut out)?;
        Ok(out)
    }

    /// The values that the template's paths find.
    pub(crate) fn find<'a>(&self, data: &'a Value) -> Parsed<Vec<&'a Value>> {
        let mut found = Vec::new();
        for n in &self.nodes {
            if let Node::Path(steps) = n {
                found.extend(self.walk(steps, data)?);
            }
        }
        Ok(found)
    }

    fn run(&self, nodes: &[Node], data: &Value, out: &mut String) -> Parsed<()> {
        for n in nodes {
            match n {
                Node::Text(t) => out.push_str(t),
                Node::Path(steps) => {
                    let found = self.walk(steps, data)?;
                    let texts: Vec<String> = found.into_iter().map(show).collect();
                    out.push_str(&texts.join(" "));
                }
                Node::Range(steps, body) => {
                    for v in self.walk(steps, data)? {
                        self.run(body, v, out)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn walk<'a>(&self, steps: &[Step], data: &'a Value) -> Parsed<Vec<&'a Value>> {
        let mut now = vec![data];
        for step in steps {
            let mut next = Vec::new();
            for v in now {
                self.step(step, v, &mut next)?;
            }
            now = next;
        }
        Ok(now)
    }

    fn step<'a>(&self, step: &Step, v: &'a Value, next: &mut Vec<&'a Value>) -> Parsed<()> {
        match step {
            Step::Field(name) => match v.get(name) {
                Some(x) => next.push(x),
                None if self.allow_missing => {}
                None => return Err(format!("{name} is not found")),
            },
            Step::Wildcard => match v {
                Value::Array(a) => next.extend(a),
                Value::Object(m) => next.extend(m.values()),
                _ => {}
            },
            Step::Recursive => descend(v, next),
            Step::Slice { start, end, step, single } => {
                let Value::Array(a) = v else {
                    return if self.allow_missing && v.is_null() {
                        Ok(())
                    } else {
                        Err(format!("{} is not array or slice", plain(v)))
                    };
                };
                let len = a.len() as i64;
                let fix = |n: i64| if n < 0 { n + len } else { n };
                let from = fix(start.unwrap_or(0));
                if *single && (from < 0 || from >= len) {
                    return Err(format!("array index out of bounds: index {from}, length {len}"));
                }
                let to = if *single { from + 1 } else { end.map_or(len, fix) };
                let mut i = from.max(0);
                while i < to.min(len) {
                    next.push(&a[i as usize]);
                    i += step;
                }
            }
            Step::Union(parts) => {
                for p in parts {
                    next.extend(self.walk(p, v)?);
                }
            }
            Step::Filter(left, right) => {
                let elements: Vec<&Value> = match v {
                    Value::Array(a) => a.iter().collect(),
                    Value::Object(m) => m.values().collect(),
                    _ => Vec::new(),
                };
                for e in elements {
                    if self.matches(left, right.as_ref(), e)? {
                        next.push(e);
                    }
                }
            }
        }
        Ok(())
    }

    fn matches(&self, left: &Operand, right: Option<&(String, Operand)>, e: &Value) -> Parsed<bool> {
        let lenient = Template { nodes: Vec::new(), text: String::new(), allow_missing: true };
        let value = |o: &Operand| -> Parsed<Option<Value>> {
            Ok(match o {
                Operand::Literal(v) => Some(v.clone()),
                Operand::Path(steps) => lenient.walk(steps, e)?.first().map(|v| (*v).clone()),
            })
        };
        let l = value(left)?;
        let Some((operator, right)) = right else { return Ok(l.is_some()) };
        let (Some(l), Some(r)) = (l, value(right)?) else { return Ok(false) };
        let order = match (&l, &r) {
            (Value::Number(a), Value::Number(b)) => a.as_f64().partial_cmp(&b.as_f64()),
            _ => Some(plain(&l).cmp(&plain(&r))),
        };
        Ok(match operator.as_str() {
            "==" => order == Some(std::cmp::Ordering::Equal),
            "!=" => order != Some(std::cmp::Ordering::Equal),
            "<" => order == Some(std::cmp::Ordering::Less),
            ">" => order == Some(std::cmp::Ordering::Greater),
            "<=" => order.is_some_and(|o| o != std::cmp::Ordering::Greater),
            ">=" => order.is_some_and(|o| o != std::cmp::Ordering::Less),
            other => return Err(format!("unrecognized filter operator {other}")),
        })
    }

    /// The text that it was parsed from.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}

fn descend<'a>(v: &'a Value, out: &mut Vec<&'a Value>) {
    out.push(v);
    match v {
        Value::Array(a) => a.iter().for_each(|x| descend(x, out)),
        Value::Object(m) => m.values().for_each(|x| descend(x, out)),
        _ => {}
    }
}

/// How a value prints: maps and lists as Go's `%v` of them.
pub(crate) fn show(v: &Value) -> String {
    match v {
        Value::Null => "<nil>".into(),
        Value::Object(m) => {
            let parts: Vec<String> = m.iter().map(|(k, v)| format!("{k}:{}", show(v))).collect();
            format!("map[{}]", parts.join(" "))
        }
        Value::Array(a) => format!("[{}]", a.iter().map(show).collect::<Vec<_>>().join(" ")),
        other => plain(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn go(t: &str) -> String {
        let data = json!({"items": [
            {"name": "a", "n": 1, "l": {"x.y": "p"}, "addresses": [{"type": "Hostname", "address": "h0"}]},
            {"name": "b", "n": 2, "addresses": [{"type": "InternalIP", "address": "i1"}, {"type": "Hostname", "address": "h1"}]}]});
        parse(t).and_then(|t| t.print(&data)).unwrap_or_else(|e| format!("error: {e}"))
    }

    #[test]
    fn paths() {
        assert_eq!(go("{.items[*].name}"), "a b");
        assert_eq!(go("{.items[*].addresses[?(@.type==\"Hostname\")].address}"), "h0 h1");
        assert_eq!(go("{.items[0:1].name}"), "a");
        assert_eq!(go("{.items[-1].name}"), "b");
        assert_eq!(go("{range .items[*]}{.name}{\"\\t\"}{.n}{\"\\n\"}{end}"), "a\t1\nb\t2\n");
        assert_eq!(go("{.items[?(@.n>1)].name}"), "b");
        assert_eq!(go("{.items[0].l.x\\.y}"), "p");
        assert_eq!(go("{.items[0]['l']['x.y']}"), "p");
        assert_eq!(go("{.items[*]['name','n']}"), "a 1 b 2");
        assert_eq!(go("{..address}"), "h0 i1 h1");
        assert_eq!(go("{.nope}x"), "x");
        assert_eq!(go("{.items"), "error: unclosed action");
        assert_eq!(go("{.items[9].name}"), "error: array index out of bounds: index 9, length 2");
    }

    #[test]
    fn relaxed_paths() {
        for t in [".a.b", "a.b", "{.a.b}", "{a.b}"] {
            assert_eq!(relaxed(t).unwrap(), "{.a.b}");
        }
    }
}
