//! Splitting the bytes of a JSON object without building a value.
//!
//! The bytes come from the store and were checked when they were written, so this only finds where members begin and end.
//! Bytes that are not JSON give `None`, never a panic.

use std::ops::Range;

/// One member of an object: `"key":value`.
pub(crate) struct Member<'a> {
    /// The key as it stands between its quotes (escapes not resolved).
    pub(crate) key: &'a [u8],
    /// Where the member stands, from the key's quote to the end of the value.
    pub(crate) whole: Range<usize>,
    /// Where its value stands.
    pub(crate) value: Range<usize>,
}

/// The members of the object that begins at `at`, and the position of its closing brace.
pub(crate) fn members(json: &[u8], at: usize) -> Option<(Vec<Member<'_>>, usize)> {
    let mut found = Vec::with_capacity(8);
    let mut i = skip_space(json, at);
    if *json.get(i)? != b'{' {
        return None;
    }
    i = skip_space(json, i + 1);
    if *json.get(i)? == b'}' {
        return Some((found, i));
    }
    loop {
        let start = i;
        let key_end = string_end(json, i)?;
        let key = json.get(start + 1..key_end - 1)?;
        i = skip_space(json, key_end);
        if *json.get(i)? != b':' {
            return None;
        }
        let value_start = skip_space(json, i + 1);
        let value_end = value_end(json, value_start)?;
        found.push(Member { key, whole: start..value_end, value: value_start..value_end });
        i = skip_space(json, value_end);
        match *json.get(i)? {
            b',' => i = skip_space(json, i + 1),
            b'}' => return Some((found, i)),
            _ => return None,
        }
    }
}

fn skip_space(json: &[u8], mut i: usize) -> usize {
    while matches!(json.get(i), Some(b' ' | b'\n' | b'\r' | b'\t')) {
        i += 1;
    }
    i
}

/// Behind the closing quote of the string that begins at `i`.
fn string_end(json: &[u8], i: usize) -> Option<usize> {
    if *json.get(i)? != b'"' {
        return None;
    }
    // Texts are short: a plain loop is done before a vectorised search has begun.
    let mut at = i + 1;
    loop {
        match *json.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// Behind the value that begins at `i`.
fn value_end(json: &[u8], i: usize) -> Option<usize> {
    match *json.get(i)? {
        b'"' => string_end(json, i),
        b'{' | b'[' => {
            let mut depth = 0_usize;
            let mut at = i;
            loop {
                match *json.get(at)? {
                    b'"' => {
                        at = string_end(json, at)?;
                        continue;
                    }
                    b'{' | b'[' => depth += 1,
                    b'}' | b']' => {
                        depth -= 1;
                        if depth == 0 {
                            return Some(at + 1);
                        }
                    }
                    _ => {}
                }
                at += 1;
            }
        }
        _ => {
            let rest = json.get(i..)?;
            let len = rest
                .iter()
                .position(|b| matches!(b, b',' | b'}' | b']' | b' ' | b'\n' | b'\r' | b'\t'))
                .unwrap_or(rest.len());
            (len > 0).then_some(i + len)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_found_whatever_their_values_hold() {
        let json = br#"{ "a" : "x\"}," , "b":[1,{"c":"]"}],"d":-1.5e3,"e":{},"f":null}"#;
        let (found, end) = members(json, 0).unwrap();
        let values: Vec<_> =
            found.iter().map(|m| std::str::from_utf8(&json[m.value.clone()]).unwrap()).collect();
        assert_eq!(values, [r#""x\"},""#, r#"[1,{"c":"]"}]"#, "-1.5e3", "{}", "null"]);
        assert_eq!(end, json.len() - 1);
    }

    #[test]
    fn broken_bytes_are_refused() {
        for broken in
            ["", "{", "[]", r#"{"a"}"#, r#"{"a":}"#, r#"{"a":"x}"#, r#"{"a":[1}"#, r#"{"a":1,}"#, "k8s\0"]
        {
            // A mismatch of brackets is not found out; it only must not panic.
            let _ = members(broken.as_bytes(), 0);
        }
        assert!(members(b"k8s\0\n", 0).is_none());
        assert!(members(br#"{"a":"\"#, 0).is_none());
    }
}
