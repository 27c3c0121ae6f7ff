//! Label and field selectors, as texts and as objects.
#![no_main]

use api::selector::{FieldSelector, LabelSelector};
use libfuzzer_sys::arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = std::str::from_utf8(bytes) {
        texts(text);
    }
    let _ = made(&mut Unstructured::new(bytes));
});

fn made(u: &mut Unstructured<'_>) -> Result<()> {
    let mut text = String::new();
    for _ in 0..u.int_in_range(0..=12u8)? {
        text.push_str(u.choose(fuzz::words::WORDS)?);
        text.push_str(
            u.choose(&["", ",", " ", "=", "==", "!=", "!", " in (", " notin (", ")", ">", "<", "\\"])?,
        );
    }
    texts(&text);
    let selector = fuzz::any(u, 3)?;
    let of = fuzz::resource(u)?;
    let _ = FieldSelector::parse(&text, of);
    if let Ok(selector) = LabelSelector::from_object(Some(&selector)) {
        selector.matches(fuzz::any(u, 3)?.as_object());
    }
    Ok(())
}

fn texts(text: &str) {
    let labels = serde_json::json!({"a": "b", "app": "web", "": "", "cpu": "1"});
    if let Ok(selector) = LabelSelector::parse(text) {
        selector.matches(labels.as_object());
        let printed = selector.to_string();
        assert_eq!(LabelSelector::parse(&printed).as_ref(), Ok(&selector), "{text:?} printed as {printed:?}");
    }
    if let Ok(selector) = FieldSelector::parse_raw(text) {
        selector.matches(&labels);
        let printed = selector.to_string();
        // Terms are sorted as they are written, and `==` is printed as `=`.
        let sorted = |s: &FieldSelector| {
            let mut terms: Vec<String> = s.terms().iter().map(|t| format!("{t:?}")).collect();
            terms.sort();
            terms
        };
        let again = FieldSelector::parse_raw(&printed).map(|s| sorted(&s));
        assert_eq!(again, Ok(sorted(&selector)), "{text:?} printed as {printed:?}");
    }
}
