//! `$(NAME)` in commands, arguments and values (upstream's `third_party/forked/golang/expansion`).

/// Replaces references that `lookup` knows; `$$` is one `$`, unknown ones stay.
pub fn expand(text: &str, lookup: impl Fn(&str) -> Option<String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let tail = &rest[at + 1..];
        if let Some(after) = tail.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some((name, after)) = tail.strip_prefix('(').and_then(|inner| inner.split_once(')')) {
            match lookup(name) {
                Some(value) => out.push_str(&value),
                None => {
                    out.push_str("$(");
                    out.push_str(name);
                    out.push(')');
                }
            }
            rest = after;
        } else {
            out.push('$');
            rest = tail;
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_replaced() {
        let lookup = |name: &str| (name == "A").then(|| "1".to_owned());
        let on = |text: &str| expand(text, lookup);
        assert_eq!(on("$(A)-$(B)-$$(A)-$A-$"), "1-$(B)-$(A)-$A-$");
        assert_eq!(on("$(A"), "$(A");
        assert_eq!(on("plain"), "plain");
    }
}
