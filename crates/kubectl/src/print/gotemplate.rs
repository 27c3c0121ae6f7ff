//! `-o go-template=…`: the part of Go's text/template that scripts use: fields, variables, pipelines,
//! `if`, `range`, `with`, comparisons, `index`, `len`, `printf`. Templates in templates are refused.

use std::cmp::Ordering;

use serde_json::{Value, json};

type Parsed<T> = Result<T, String>;

/// A parsed template.
#[derive(Debug)]
pub(crate) struct Template(Vec<Node>);

#[derive(Debug)]
enum Node {
    Text(String),
    Print(Pipeline),
    /// Branches with their conditions, and what is left.
    If(Vec<(Pipeline, Vec<Node>)>, Vec<Node>),
    With(Pipeline, Vec<Node>, Vec<Node>),
    Range(Pipeline, Vec<Node>, Vec<Node>),
}

/// Variables that it sets, and commands; each passes its value on to the next.
#[derive(Debug, Default)]
struct Pipeline {
    variables: Vec<String>,
    commands: Vec<Vec<Operand>>,
}

#[derive(Debug)]
enum Operand {
    Literal(Value),
    /// The dot, or a variable, and the fields below it.
    Path(Option<String>, Vec<String>),
    Nested(Pipeline, Vec<String>),
    Function(String),
}

#[derive(Debug, PartialEq)]
enum Piece {
    Text(String),
    Action(Vec<String>),
}

/// Parses a template.
pub(crate) fn parse(text: &str) -> Parsed<Template> {
    let pieces = pieces(text)?;
    let mut at = 0;
    let (nodes, end) = nodes(&pieces, &mut at, false)?;
    match end.first() {
        None => Ok(Template(nodes)),
        Some(word) => Err(format!("template: output:1: unexpected {{{{{word}}}}}")),
    }
}

fn pieces(text: &str) -> Parsed<Vec<Piece>> {
    let mut all = Vec::new();
    let (mut rest, mut trim) = (text, false);
    loop {
        let (mut before, inside) = match rest.split_once("{{") {
            Some((b, i)) => (b, Some(i)),
            None => (rest, None),
        };
        if trim {
            before = before.trim_start();
        }
        let cut = inside.is_some_and(|i| i.starts_with("- "));
        if cut {
            before = before.trim_end();
        }
        if !before.is_empty() {
            all.push(Piece::Text(before.to_string()));
        }
        let Some(inside) = inside else { return Ok(all) };
        let inside = if cut { &inside[1..] } else { inside };
        let end = end_of_action(inside).ok_or("template: output:1: unclosed action")?;
        let mut action = &inside[..end];
        rest = &inside[end + 2..];
        trim = action.ends_with(" -");
        if trim {
            action = &action[..action.len() - 1];
        }
        if !action.trim().starts_with("/*") {
            all.push(Piece::Action(words(action)?));
        }
    }
}

/// Where `}}` is, outside of quotes.
fn end_of_action(text: &str) -> Option<usize> {
    let mut quote = None;
    let mut escaped = false;
    for (i, c) in text.char_indices() {
        match quote {
            Some(q) => {
                if escaped {
                    escaped = false;
                } else if c == '\\' && q == '"' {
                    escaped = true;
                } else if c == q {
                    quote = None;
                }
            }
            None if c == '"' || c == '`' => quote = Some(c),
            None if text[i..].starts_with("}}") => return Some(i),
            None => {}
        }
    }
    None
}

/// Splits an action into words; quoted ones keep their quotes.
fn words(text: &str) -> Parsed<Vec<String>> {
    let chars: Vec<char> = text.chars().collect();
    let (mut all, mut i) = (Vec::new(), 0);
    while i < chars.len() {
        let c = chars[i];
        if c.is_whitespace() {
            i += 1;
        } else if c == '"' || c == '`' {
            let mut word = String::from(c);
            i += 1;
            loop {
                let d = *chars.get(i).ok_or("template: output:1: unterminated quoted string")?;
                word.push(d);
                i += 1;
                if d == '\\' && c == '"' {
                    word.extend(chars.get(i));
                    i += 1;
                } else if d == c {
                    break;
                }
            }
            all.push(word);
        } else if "()|,".contains(c) {
            // A field may follow a closing bracket at once: `(index .a 0).b`.
            all.push(c.to_string());
            i += 1;
        } else {
            let from = i;
            while i < chars.len() && !chars[i].is_whitespace() && !"()|,\"`".contains(chars[i]) {
                i += 1;
            }
            let word: String = chars[from..i].iter().collect();
            let glued = from > 0 && chars[from - 1] == ')' && word.starts_with('.');
            all.push(if glued { format!("){word}") } else { word });
        }
    }
    Ok(all)
}

/// Nodes up to `end` or `else`; its words are returned.
fn nodes(pieces: &[Piece], at: &mut usize, inside: bool) -> Parsed<(Vec<Node>, Vec<String>)> {
    let mut all = Vec::new();
    while let Some(piece) = pieces.get(*at) {
        *at += 1;
        let action = match piece {
            Piece::Text(t) => {
                all.push(Node::Text(t.clone()));
                continue;
            }
            Piece::Action(a) => a,
        };
        match action.first().map(String::as_str) {
            Some("end" | "else") => return Ok((all, action.clone())),
            Some("if") => all.push(if_node(pieces, at, &action[1..])?),
            Some(word @ ("range" | "with")) => {
                let pipeline = pipeline(&action[1..])?;
                let (body, end) = nodes(pieces, at, true)?;
                let mut otherwise = Vec::new();
                if end.first().is_some_and(|w| w == "else") {
                    otherwise = nodes(pieces, at, true)?.0;
                }
                all.push(match word {
                    "range" => Node::Range(pipeline, body, otherwise),
                    _ => Node::With(pipeline, body, otherwise),
                });
            }
            Some(word @ ("define" | "template" | "block")) => {
                return Err(format!("template: output:1: {word} is not supported"));
            }
            Some(_) => all.push(Node::Print(pipeline(action)?)),
            None => return Err("template: output:1: missing value for command".into()),
        }
    }
    if inside {
        return Err("template: output:1: unexpected EOF".into());
    }
    Ok((all, Vec::new()))
}

fn if_node(pieces: &[Piece], at: &mut usize, condition: &[String]) -> Parsed<Node> {
    let mut branches = Vec::new();
    let mut condition = pipeline(condition)?;
    loop {
        let (body, end) = nodes(pieces, at, true)?;
        branches.push((condition, body));
        if end.first().is_none_or(|w| w != "else") {
            return Ok(Node::If(branches, Vec::new()));
        }
        if end.get(1).is_some_and(|w| w == "if") {
            condition = pipeline(&end[2..])?;
            continue;
        }
        return Ok(Node::If(branches, nodes(pieces, at, true)?.0));
    }
}

fn pipeline(words: &[String]) -> Parsed<Pipeline> {
    let mut p = Pipeline::default();
    let mut words = words;
    if let Some(i) = words.iter().position(|w| w == ":=" || w == "=") {
        p.variables = words[..i].iter().filter(|w| *w != ",").cloned().collect();
        words = &words[i + 1..];
    }
    let mut at = 0;
    p.commands = commands(words, &mut at, false)?.0;
    Ok(p)
}

/// Commands up to the end, or to a closing bracket; its fields are returned.
fn commands(words: &[String], at: &mut usize, nested: bool) -> Parsed<(Vec<Vec<Operand>>, Vec<String>)> {
    let mut all = vec![Vec::new()];
    while let Some(word) = words.get(*at) {
        *at += 1;
        let last = all.len() - 1;
        match word.as_str() {
            "|" => all.push(Vec::new()),
            "(" => {
                let (inner, fields) = commands(words, at, true)?;
                all[last].push(Operand::Nested(Pipeline { variables: Vec::new(), commands: inner }, fields));
            }
            ")" => {
                if !nested {
                    return Err("template: output:1: unexpected right paren".into());
                }
                let fields = match words.get(*at).and_then(|w| w.strip_prefix(").")) {
                    Some(f) => {
                        *at += 1;
                        f.split('.').map(str::to_string).collect()
                    }
                    None => Vec::new(),
                };
                return Ok((all, fields));
            }
            w => all[last].push(operand(w)?),
        }
    }
    if nested {
        return Err("template: output:1: unclosed left paren".into());
    }
    if all.iter().any(Vec::is_empty) {
        return Err("template: output:1: missing value for command".into());
    }
    Ok((all, Vec::new()))
}

fn operand(word: &str) -> Parsed<Operand> {
    let fields =
        |t: &str| -> Vec<String> { t.split('.').filter(|f| !f.is_empty()).map(str::to_string).collect() };
    if let Some(raw) = word.strip_prefix('`') {
        return Ok(Operand::Literal(raw.trim_end_matches('`').into()));
    }
    if word.starts_with('"') {
        return serde_json::from_str(word)
            .map(Operand::Literal)
            .map_err(|e| format!("template: output:1: {e}"));
    }
    if word.starts_with('.') {
        return Ok(Operand::Path(None, fields(word)));
    }
    if word.starts_with('$') {
        let (name, rest) = word.split_once('.').unwrap_or((word, ""));
        return Ok(Operand::Path(Some(name.into()), fields(rest)));
    }
    match word {
        "true" | "false" => Ok(Operand::Literal(json!(word == "true"))),
        "nil" => Ok(Operand::Literal(Value::Null)),
        _ => match serde_json::from_str::<Value>(word) {
            Ok(n @ Value::Number(_)) => Ok(Operand::Literal(n)),
            _ if FUNCTIONS.contains(&word) => Ok(Operand::Function(word.into())),
            _ => Err(format!("template: output:1: function \"{word}\" not defined")),
        },
    }
}

const FUNCTIONS: &[&str] = &[
    "and",
    "or",
    "not",
    "len",
    "index",
    "print",
    "println",
    "printf",
    "eq",
    "ne",
    "lt",
    "le",
    "gt",
    "ge",
    "exists",
    "base64decode",
];

impl Template {
    /// Fills in the template.
    pub(crate) fn print(&self, data: &Value) -> Parsed<String> {
        let mut run = Run { out: String::new(), variables: vec![("$".into(), data.clone())] };
        run.nodes(&self.0, data)?;
        Ok(run.out)
    }
}

struct Run {
    out: String,
    variables: Vec<(String, Value)>,
}

impl Run {
    fn nodes(&mut self, nodes: &[Node], dot: &Value) -> Parsed<()> {
        let scope = self.variables.len();
        for n in nodes {
            match n {
                Node::Text(t) => self.out.push_str(t),
                Node::Print(p) => {
                    let v = self.pipeline(p, dot)?;
                    if p.variables.is_empty() {
                        self.out.push_str(&v.as_ref().map_or("<no value>".into(), show));
                    }
                }
                Node::If(branches, otherwise) => {
                    let mut chosen: &[Node] = otherwise;
                    for (p, body) in branches {
                        if truth(self.pipeline(p, dot)?.as_ref()) {
                            chosen = body;
                            break;
                        }
                    }
                    self.nodes(chosen, dot)?;
                }
                Node::With(p, body, otherwise) => match self.pipeline(p, dot)? {
                    Some(v) if truth(Some(&v)) => self.nodes(body, &v)?,
                    _ => self.nodes(otherwise, dot)?,
                },
                Node::Range(p, body, otherwise) => self.range(p, body, otherwise, dot)?,
            }
        }
        self.variables.truncate(scope.max(1));
        Ok(())
    }

    fn range(&mut self, p: &Pipeline, body: &[Node], otherwise: &[Node], dot: &Value) -> Parsed<()> {
        let quiet = self.commands(&p.commands, dot)?;
        let items: Vec<(Value, Value)> = match quiet {
            Some(Value::Array(a)) => a.into_iter().enumerate().map(|(i, v)| (json!(i), v)).collect(),
            Some(Value::Object(m)) => m.into_iter().map(|(k, v)| (json!(k), v)).collect(),
            None | Some(Value::Null) => Vec::new(),
            Some(v) => return Err(format!("range can't iterate over {}", show(&v))),
        };
        if items.is_empty() {
            return self.nodes(otherwise, dot);
        }
        for (k, v) in items {
            let scope = self.variables.len();
            match p.variables.as_slice() {
                [one] => self.variables.push((one.clone(), v.clone())),
                [key, value] => {
                    self.variables.push((key.clone(), k));
                    self.variables.push((value.clone(), v.clone()));
                }
                _ => {}
            }
            self.nodes(body, &v)?;
            self.variables.truncate(scope);
        }
        Ok(())
    }

    fn pipeline(&mut self, p: &Pipeline, dot: &Value) -> Parsed<Option<Value>> {
        let v = self.commands(&p.commands, dot)?;
        if let [name] = p.variables.as_slice() {
            let value = v.clone().unwrap_or_default();
            match self.variables.iter_mut().rev().find(|(n, _)| n == name) {
                Some((_, old)) => *old = value,
                None => self.variables.push((name.clone(), value)),
            }
        }
        Ok(v)
    }

    fn commands(&mut self, commands: &[Vec<Operand>], dot: &Value) -> Parsed<Option<Value>> {
        let mut last: Option<Option<Value>> = None;
        for c in commands {
            let (first, rest) = c.split_first().ok_or("missing value for command")?;
            let mut arguments = Vec::new();
            for o in rest {
                arguments.push(self.operand(o, dot)?);
            }
            arguments.extend(last.take());
            last = Some(match first {
                Operand::Function(name) => Some(call(name, &arguments)?),
                o => self.operand(o, dot)?,
            });
        }
        Ok(last.flatten())
    }

    fn operand(&mut self, o: &Operand, dot: &Value) -> Parsed<Option<Value>> {
        let below = |v: Option<Value>, fields: &[String]| {
            fields.iter().fold(v, |v, f| v.and_then(|v| v.get(f).cloned()))
        };
        Ok(match o {
            Operand::Literal(v) => Some(v.clone()),
            Operand::Path(None, fields) => below(Some(dot.clone()), fields),
            Operand::Path(Some(name), fields) => {
                let v = self.variables.iter().rev().find(|(n, _)| n == name);
                let v = v.ok_or_else(|| format!("template: output:1: undefined variable \"{name}\""))?;
                below(Some(v.1.clone()), fields)
            }
            Operand::Nested(p, fields) => below(self.pipeline(p, dot)?, fields),
            Operand::Function(name) => Some(call(name, &[])?),
        })
    }
}

fn truth(v: Option<&Value>) -> bool {
    match v {
        None | Some(Value::Null) => false,
        Some(Value::Bool(b)) => *b,
        Some(Value::Number(n)) => n.as_f64() != Some(0.0),
        Some(Value::String(s)) => !s.is_empty(),
        Some(Value::Array(a)) => !a.is_empty(),
        Some(Value::Object(m)) => !m.is_empty(),
    }
}

fn call(name: &str, a: &[Option<Value>]) -> Parsed<Value> {
    let get = |i: usize| a.get(i).cloned().flatten();
    let need = |n: usize| -> Parsed<()> {
        if a.len() < n {
            Err(format!("wrong number of args for {name}: want {n} got {}", a.len()))
        } else {
            Ok(())
        }
    };
    let order = |x: Option<Value>, y: Option<Value>| match (x, y) {
        (Some(Value::Number(x)), Some(Value::Number(y))) => x.as_f64().partial_cmp(&y.as_f64()),
        (Some(Value::String(x)), Some(Value::String(y))) => Some(x.cmp(&y)),
        (x, y) if x == y => Some(Ordering::Equal),
        _ => None,
    };
    Ok(match name {
        "and" => get(a.iter().position(|v| !truth(v.as_ref())).unwrap_or(a.len().saturating_sub(1)))
            .unwrap_or_default(),
        "or" => get(a.iter().position(|v| truth(v.as_ref())).unwrap_or(a.len().saturating_sub(1)))
            .unwrap_or_default(),
        "not" => json!(!truth(get(0).as_ref())),
        "len" => match get(0) {
            Some(Value::String(s)) => json!(s.len()),
            Some(Value::Array(v)) => json!(v.len()),
            Some(Value::Object(m)) => json!(m.len()),
            v => return Err(format!("len of type {}", v.map_or("nil".into(), |v| show(&v)))),
        },
        "index" | "exists" => {
            need(1)?;
            let mut v = get(0);
            for i in 1..a.len() {
                v = match (v, get(i)) {
                    (Some(Value::Array(list)), Some(n)) => {
                        let n = n.as_u64().unwrap_or(u64::MAX) as usize;
                        match list.get(n) {
                            Some(x) => Some(x.clone()),
                            None if name == "exists" => None,
                            None => return Err(format!("error calling index: index out of range: {n}")),
                        }
                    }
                    (Some(Value::Object(m)), Some(Value::String(k))) => m.get(&k).cloned(),
                    _ => None,
                };
            }
            if name == "exists" { json!(v.is_some()) } else { v.unwrap_or_default() }
        }
        "print" => json!(a.iter().map(|v| v.as_ref().map_or("<nil>".into(), show)).collect::<String>()),
        "println" => {
            json!(
                a.iter().map(|v| v.as_ref().map_or("<nil>".into(), show)).collect::<Vec<_>>().join(" ")
                    + "\n"
            )
        }
        "printf" => json!(printf(&show(&get(0).unwrap_or_default()), &a[1.min(a.len())..])),
        "eq" => json!((1..a.len()).any(|i| order(get(0), get(i)) == Some(Ordering::Equal))),
        "ne" => json!(order(get(0), get(1)) != Some(Ordering::Equal)),
        "lt" => json!(order(get(0), get(1)) == Some(Ordering::Less)),
        "gt" => json!(order(get(0), get(1)) == Some(Ordering::Greater)),
        "le" => json!(order(get(0), get(1)).is_some_and(|o| o != Ordering::Greater)),
        "ge" => json!(order(get(0), get(1)).is_some_and(|o| o != Ordering::Less)),
        "base64decode" => {
            use base64::Engine as _;
            let bytes = base64::engine::general_purpose::STANDARD.decode(show(&get(0).unwrap_or_default()));
            json!(String::from_utf8_lossy(&bytes.map_err(|e| e.to_string())?))
        }
        other => return Err(format!("function \"{other}\" not defined")),
    })
}

fn printf(format: &str, arguments: &[Option<Value>]) -> String {
    let (mut out, mut next) = (String::new(), arguments.iter());
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut flags = String::new();
        let verb = loop {
            match chars.next() {
                Some(f) if f.is_ascii_digit() || "-+.0".contains(f) => flags.push(f),
                other => break other,
            }
        };
        if verb == Some('%') {
            out.push('%');
            continue;
        }
        let v = next.next().cloned().flatten().unwrap_or_default();
        let text = match verb {
            Some('q') => crate::print::json::compact(&json!(show(&v))),
            _ => show(&v),
        };
        let width: usize =
            flags.trim_start_matches('-').split('.').next().and_then(|w| w.parse().ok()).unwrap_or(0);
        out.push_str(&if flags.starts_with('-') {
            format!("{text:<width$}")
        } else {
            format!("{text:>width$}")
        });
    }
    out
}

/// A value as Go prints what it read from JSON: numbers are floats there.
fn show(v: &Value) -> String {
    match v {
        Value::Number(n) => match n.as_f64() {
            Some(f) if f.abs() >= 1e6 => {
                let text = format!("{f:e}");
                let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
                format!("{mantissa}e+{exponent:0>2}")
            }
            _ => n.to_string(),
        },
        Value::Object(m) => {
            format!(
                "map[{}]",
                m.iter().map(|(k, v)| format!("{k}:{}", show(v))).collect::<Vec<_>>().join(" ")
            )
        }
        Value::Array(a) => format!("[{}]", a.iter().map(show).collect::<Vec<_>>().join(" ")),
        Value::Null => "<nil>".into(),
        other => crate::value::plain(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn go(t: &str) -> String {
        let data = json!({"kind": "List", "n": 1_234_567, "items": [
            {"metadata": {"name": "a", "labels": {"x": "1"}}, "ports": [{"port": 80}]},
            {"metadata": {"name": "b"}, "ports": []}]});
        parse(t).and_then(|t| t.print(&data)).unwrap_or_else(|e| format!("error: {e}"))
    }

    #[test]
    fn templates_run_as_in_go() {
        assert_eq!(go("{{range .items}}{{.metadata.name}}{{\"\\n\"}}{{end}}"), "a\nb\n");
        assert_eq!(go("{{range $i, $o := .items}}{{$i}}={{$o.metadata.name}} {{end}}"), "0=a 1=b ");
        assert_eq!(go("{{if eq .kind \"List\"}}yes{{else}}no{{end}}"), "yes");
        assert_eq!(
            go("{{range .items}}{{if .ports}}{{(index .ports 0).port}}{{else}}-{{end}}{{end}}"),
            "80-"
        );
        assert_eq!(
            go("{{len .items}} {{.kind | printf \"%q\"}} {{.nope}} {{.n}}"),
            "2 \"List\" <no value> 1.234567e+06"
        );
        assert_eq!(go("a {{- /* note */ -}} b{{- \"c\" -}}  d"), "abcd");
        assert_eq!(go("{{with .items}}{{index . 1 \"metadata\" \"name\"}}{{end}}"), "b");
        assert_eq!(go("{{.spec"), "error: template: output:1: unclosed action");
        assert_eq!(go("{{frob}}"), "error: template: output:1: function \"frob\" not defined");
    }
}
