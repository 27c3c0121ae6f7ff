//! YAML as v1.10 wrote it: the style of go-yaml v2 (a port of libyaml's emitter rules for what JSON
//! can express): sorted keys, lists not indented below their key, long lines folded after column 80.

use std::cmp::Ordering;

use serde_json::Value;

/// Where libyaml starts to fold.
const BEST_WIDTH: usize = 80;

/// A document with a final newline.
pub(crate) fn to_string(v: &Value) -> String {
    let mut e = Emitter { out: String::new(), column: 0 };
    match v {
        Value::Object(m) if !m.is_empty() => e.mapping(m, 0, true),
        Value::Array(a) if !a.is_empty() => e.sequence(a, 0, true),
        scalar => {
            e.scalar(scalar, 2, false);
            e.newline();
        }
    }
    e.out
}

struct Emitter {
    out: String,
    column: usize,
}

impl Emitter {
    fn put(&mut self, text: &str) {
        self.out.push_str(text);
        self.column += text.chars().count();
    }

    fn newline(&mut self) {
        self.out.push('\n');
        self.column = 0;
    }

    fn indent(&mut self, n: usize) {
        self.out.extend(std::iter::repeat_n(' ', n));
        self.column += n;
    }

    /// `first` is true when the cursor stands where the first key belongs.
    fn mapping(&mut self, m: &serde_json::Map<String, Value>, indent: usize, mut first: bool) {
        let mut entries: Vec<(&String, &Value)> = m.iter().collect();
        entries.sort_by(|a, b| natural(a.0, b.0));
        for (k, v) in entries {
            if !std::mem::take(&mut first) {
                self.indent(indent);
            }
            self.string(k, indent, true);
            self.put(":");
            match v {
                Value::Object(m) if !m.is_empty() => {
                    self.newline();
                    self.mapping(m, indent + 2, false);
                }
                Value::Array(a) if !a.is_empty() => {
                    self.newline();
                    self.sequence(a, indent, false);
                }
                v => {
                    self.put(" ");
                    self.scalar(v, indent + 2, false);
                    self.newline();
                }
            }
        }
    }

    fn sequence(&mut self, a: &[Value], indent: usize, mut first: bool) {
        for v in a {
            if !std::mem::take(&mut first) {
                self.indent(indent);
            }
            self.put("- ");
            match v {
                Value::Object(m) if !m.is_empty() => self.mapping(m, indent + 2, true),
                Value::Array(a) if !a.is_empty() => self.sequence(a, indent + 2, true),
                v => {
                    self.scalar(v, indent + 2, false);
                    self.newline();
                }
            }
        }
    }

    fn scalar(&mut self, v: &Value, indent: usize, key: bool) {
        match v {
            Value::Null => self.put("null"),
            Value::Bool(b) => self.put(if *b { "true" } else { "false" }),
            Value::Number(n) => self.put(&n.to_string()),
            Value::String(s) => self.string(s, indent, key),
            Value::Array(_) => self.put("[]"),
            Value::Object(_) => self.put("{}"),
        }
    }

    fn string(&mut self, s: &str, indent: usize, key: bool) {
        let a = Analysis::of(s);
        if s.contains('\n') {
            if a.block && !key { self.literal(s, indent) } else { self.double(s, indent, key) }
        } else if !resolves_to_string(s) {
            self.double(s, indent, key);
        } else if a.plain {
            self.folded(s, indent, key, false);
        } else if a.single {
            self.put("'");
            self.folded(s, indent, key, true);
            self.put("'");
        } else {
            self.double(s, indent, key);
        }
    }

    /// Plain and single-quoted text.
    fn folded(&mut self, s: &str, indent: usize, key: bool, quoted: bool) {
        let chars: Vec<char> = s.chars().collect();
        let mut after_space = false;
        for (i, c) in chars.iter().enumerate() {
            if *c == ' ' {
                let inside = !quoted || (i > 0 && i + 1 < chars.len());
                let alone = chars.get(i + 1) != Some(&' ');
                if !key && !after_space && self.column > BEST_WIDTH && inside && alone {
                    self.newline();
                    self.indent(indent);
                } else {
                    self.put(" ");
                }
                after_space = true;
            } else {
                if quoted && *c == '\'' {
                    self.put("'");
                }
                self.put(c.encode_utf8(&mut [0; 4]));
                after_space = false;
            }
        }
    }

    fn double(&mut self, s: &str, indent: usize, key: bool) {
        self.put("\"");
        let chars: Vec<char> = s.chars().collect();
        let mut after_space = false;
        for (i, c) in chars.iter().enumerate() {
            let escape = match c {
                '\0' => "\\0".to_string(),
                '\x07' => "\\a".into(),
                '\x08' => "\\b".into(),
                '\t' => "\\t".into(),
                '\n' => "\\n".into(),
                '\x0b' => "\\v".into(),
                '\x0c' => "\\f".into(),
                '\r' => "\\r".into(),
                '\x1b' => "\\e".into(),
                '"' => "\\\"".into(),
                '\\' => "\\\\".into(),
                '\u{85}' => "\\N".into(),
                '\u{2028}' => "\\L".into(),
                '\u{2029}' => "\\P".into(),
                c if !printable(*c) => match *c as u32 {
                    n @ ..=0xff => format!("\\x{n:02X}"),
                    n @ ..=0xffff => format!("\\u{n:04X}"),
                    n => format!("\\U{n:08X}"),
                },
                ' ' => {
                    let inside = i > 0 && i + 1 < chars.len();
                    if !key && !after_space && self.column > BEST_WIDTH && inside {
                        self.newline();
                        self.indent(indent);
                        if chars.get(i + 1) == Some(&' ') {
                            self.put("\\");
                        }
                    } else {
                        self.put(" ");
                    }
                    after_space = true;
                    continue;
                }
                c => {
                    self.put(c.encode_utf8(&mut [0; 4]));
                    after_space = false;
                    continue;
                }
            };
            self.put(&escape);
            after_space = false;
        }
        self.put("\"");
    }

    fn literal(&mut self, s: &str, indent: usize) {
        self.put("|");
        if s.starts_with([' ', '\n']) {
            self.put("2");
        }
        if !s.ends_with('\n') {
            self.put("-");
        } else if s == "\n" || s.ends_with("\n\n") {
            self.put("+");
        }
        let body = s.strip_suffix('\n').unwrap_or(s);
        for line in body.split('\n') {
            self.newline();
            if !line.is_empty() {
                self.indent(indent);
                self.put(line);
            }
        }
    }
}

/// What libyaml finds out about a scalar before it chooses a style.
struct Analysis {
    plain: bool,
    single: bool,
    block: bool,
}

impl Analysis {
    fn of(s: &str) -> Self {
        let mut a = Analysis { plain: true, single: true, block: true };
        if s.is_empty() {
            return Analysis { plain: true, single: true, block: false };
        }
        if s.starts_with("---") || s.starts_with("...") {
            a.plain = false;
        }
        let chars: Vec<char> = s.chars().collect();
        let blank = |c: Option<&char>| c.is_none_or(|c| matches!(c, ' ' | '\t' | '\n' | '\r'));
        let (mut previous_space, mut previous_break) = (false, false);
        for (i, &c) in chars.iter().enumerate() {
            let next_blank = blank(chars.get(i + 1));
            let after_blank = i == 0 || blank(chars.get(i - 1));
            if i == 0 {
                match c {
                    '#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%'
                    | '@' | '`' => a.plain = false,
                    '?' | ':' | '-' if next_blank => a.plain = false,
                    _ => {}
                }
            } else if (c == ':' && next_blank) || (c == '#' && after_blank) {
                a.plain = false;
            }
            if !printable(c) {
                a = Analysis { plain: false, single: false, block: false };
            }
            let last = i + 1 == chars.len();
            match c {
                ' ' => {
                    if i == 0 || last {
                        a.plain = false;
                    }
                    if last {
                        a.block = false;
                    }
                    if previous_break {
                        a.plain = false;
                        a.single = false;
                    }
                    (previous_space, previous_break) = (true, false);
                }
                '\n' | '\u{85}' | '\u{2028}' | '\u{2029}' => {
                    a.plain = false;
                    if previous_space {
                        a.single = false;
                        a.block = false;
                    }
                    (previous_space, previous_break) = (false, true);
                }
                _ => (previous_space, previous_break) = (false, false),
            }
        }
        a
    }
}

fn printable(c: char) -> bool {
    matches!(c, '\n' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}')
}

/// Would a plain scalar read back as a string (YAML 1.1, go-yaml v2's table)?
fn resolves_to_string(s: &str) -> bool {
    const WORDS: &[&str] = &[
        "", "~", "null", "Null", "NULL", "y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On",
        "ON", "n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF", ".nan", ".NaN",
        ".NAN", ".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF", "-.inf", "-.Inf", "-.INF", "<<",
    ];
    !WORDS.contains(&s) && !is_number(s) && !is_base60(s)
}

fn is_number(s: &str) -> bool {
    if !s.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.')) {
        return false;
    }
    let clean = s.replace('_', "");
    let body = clean.strip_prefix(['+', '-']).unwrap_or(&clean);
    for (prefix, radix) in [("0x", 16), ("0X", 16), ("0b", 2), ("0B", 2), ("0o", 8), ("0O", 8)] {
        if let Some(digits) = body.strip_prefix(prefix) {
            return !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix));
        }
    }
    let (mantissa, exponent) = match body.find(['e', 'E']) {
        Some(i) => (&body[..i], Some(&body[i + 1..])),
        None => (body, None),
    };
    let digits = mantissa.chars().filter(char::is_ascii_digit).count();
    let dots = mantissa.matches('.').count();
    digits > 0
        && dots <= 1
        && digits + dots == mantissa.len()
        && exponent.is_none_or(|e| {
            let e = e.strip_prefix(['+', '-']).unwrap_or(e);
            !e.is_empty() && e.chars().all(|c| c.is_ascii_digit())
        })
}

/// `1:20`: a number in base 60 to YAML 1.1.
fn is_base60(s: &str) -> bool {
    let s = s.strip_prefix(['+', '-']).unwrap_or(s);
    let mut parts = s.split(':');
    let head = parts.next().unwrap_or("");
    let head_ok = head.starts_with(|c: char| c.is_ascii_digit())
        && head.chars().all(|c| c.is_ascii_digit() || c == '_');
    let mut rest = parts.peekable();
    if !head_ok || rest.peek().is_none() {
        return false;
    }
    while let Some(p) = rest.next() {
        let p = if rest.peek().is_none() { p.split('.').next().unwrap_or(p) } else { p };
        let ok = matches!(p.len(), 1 | 2)
            && p.chars().all(|c| c.is_ascii_digit())
            && (p.len() == 1 || p.starts_with(|c: char| c < '6'));
        if !ok {
            return false;
        }
    }
    true
}

/// go-yaml's order of keys: letters after other characters, numbers by value.
fn natural(a: &str, b: &str) -> Ordering {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    for i in 0..a.len().min(b.len()) {
        if a[i] == b[i] {
            continue;
        }
        match (a[i].is_alphabetic(), b[i].is_alphabetic()) {
            (true, true) => return a[i].cmp(&b[i]),
            (true, false) => return Ordering::Greater,
            (false, true) => return Ordering::Less,
            (false, false) => {}
        }
        let mut start = 0i64;
        if a[i] == '0' || b[i] == '0' {
            let before = a[..i].iter().rev().take_while(|c| c.is_ascii_digit());
            start = i64::from(before.into_iter().any(|c| *c != '0'));
        }
        let number = |s: &[char]| {
            let digits = s[i..].iter().take_while(|c| c.is_ascii_digit());
            digits.fold((start, 0usize), |(n, len), c| {
                (n.saturating_mul(10).saturating_add(i64::from(c.to_digit(10).unwrap_or(0))), len + 1)
            })
        };
        return number(&a).cmp(&number(&b)).then(a[i].cmp(&b[i]));
    }
    a.len().cmp(&b.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn scalars_are_quoted_as_go_yaml_does() {
        let v = json!({
            "a": "385", "b": "true", "c": "y", "d": "", "e": "two\nlines", "f": "a=1\nb=2\n",
            "g": "containers with: [x]", "h": "2026-11-22T13:45:57Z", "i": null, "j": [], "k": {},
            "l": "{\"health\":\"true\"}", "m": "-g", "n": "daemon off;", "o": "25%", "p": "1:20", "q": "1.5Gi",
        });
        assert_eq!(
            to_string(&v),
            "a: \"385\"\nb: \"true\"\nc: \"y\"\nd: \"\"\ne: |-\n  two\n  lines\nf: |\n  a=1\n  b=2\n\
             g: 'containers with: [x]'\nh: 2026-11-22T13:45:57Z\ni: null\nj: []\nk: {}\n\
             l: '{\"health\":\"true\"}'\nm: -g\n\"n\": daemon off;\no: 25%\np: \"1:20\"\nq: 1.5Gi\n"
        );
    }

    #[test]
    fn lists_stand_below_their_key() {
        let v = json!({"items": [{"b": 1, "a": [1, 2]}, [3], "x"]});
        assert_eq!(to_string(&v), "items:\n- a:\n  - 1\n  - 2\n  b: 1\n- - 3\n- x\n");
    }

    #[test]
    fn long_lines_fold_after_column_80() {
        let long = "word ".repeat(30);
        let text = to_string(&json!({"message": long.trim_end()}));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2);
        assert!(lines[0].len() > 80 && lines[0].len() < 90);
        assert!(lines[1].starts_with("  word"));
    }

    #[test]
    fn keys_sort_by_number() {
        let mut keys = vec!["a10", "a2", "app", "a.b", "A"];
        keys.sort_by(|a, b| natural(a, b));
        assert_eq!(keys, ["A", "a.b", "a2", "a10", "app"]);
    }
}
