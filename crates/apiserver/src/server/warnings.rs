//! `Warning` headers, as many and as long as upstream sends (`endpoints/filters/warning.go`).

use http::{HeaderMap, HeaderValue, header};

/// So many characters all warnings may have together before each of them is cut.
const TOTAL_MAX_CHARS: usize = 4 * 1024;
/// So many characters a warning keeps then.
const ITEM_MAX_CHARS: usize = 256;

/// Writes the warnings of a request, which are different from each other.
pub(super) fn write(warnings: &[String], headers: &mut HeaderMap) {
    let total: usize = warnings.iter().map(|text| text.chars().count()).sum();
    let cut = total > TOTAL_MAX_CHARS;
    let mut written = 0;
    for text in warnings {
        if cut && written >= TOTAL_MAX_CHARS {
            return;
        }
        let end = text.char_indices().nth(ITEM_MAX_CHARS).filter(|_| cut).map_or(text.len(), |(at, _)| at);
        let text = &text[..end];
        if let Some(value) = value(text) {
            written += text.chars().count();
            headers.append(header::WARNING, value);
        }
    }
}

/// `NewWarningHeader`: texts with control characters are left out.
fn value(text: &str) -> Option<HeaderValue> {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
    HeaderValue::from_bytes(format!("299 - \"{escaped}\"").as_bytes()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(warnings: &[String]) -> Vec<String> {
        let mut headers = HeaderMap::new();
        write(warnings, &mut headers);
        let all = headers.get_all(header::WARNING).into_iter();
        all.map(|v| String::from_utf8_lossy(v.as_bytes()).into_owned()).collect()
    }

    /// A text that is not ASCII was left out.
    #[test]
    fn texts_are_quoted() {
        let texts = ["a \"b\" \\".to_owned(), "unknown field \"é\"".to_owned(), "a\nb".to_owned()];
        assert_eq!(written(&texts), [r#"299 - "a \"b\" \\""#, r#"299 - "unknown field \"é\"""#]);
    }

    /// Thousands of long warnings made headers that no client reads.
    #[test]
    fn many_warnings_are_cut() {
        let few: Vec<String> = (0..4).map(|i| format!("{i}{}", "x".repeat(1000))).collect();
        assert!(written(&few).iter().all(|w| w.len() == 1001 + 8), "they fit");
        let many: Vec<String> = (0..5000).map(|i| format!("{i:04}{}", "é".repeat(1000))).collect();
        let cut = written(&many);
        assert_eq!(cut.len(), TOTAL_MAX_CHARS / ITEM_MAX_CHARS);
        assert!(cut.iter().all(|w| w.chars().count() == ITEM_MAX_CHARS + 8));
    }
}
