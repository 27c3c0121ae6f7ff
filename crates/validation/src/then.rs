//! What earlier servers said. Clients of a version that only they served expect their words: errors are found by
//! today's rules and then told as they told them.

use api::field::{Error, ErrorList, ErrorType};
use api::kinds::Era;

/// The era up to which the words held, today's text, the text then.
type Row = (Era, &'static str, &'static str);

/// Parts of texts.
const PARTS: &[Row] = &[
    (Era::Betas, "a lowercase RFC 1123 ", "a DNS-1123 "),
    (Era::Betas, "a valid label key must consist of", "a qualified name must consist of"),
    (
        Era::Betas,
        "must contain at least one letter (a-z)",
        "must contain at least one letter or number (a-z, 0-9)",
    ),
    (Era::Betas, "\"ReadWriteOnce\", \"ReadWriteOncePod\"", "\"ReadWriteOnce\""),
    (
        Era::Betas,
        "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",
        "must be a valid IP address",
    ),
    (
        Era::Early,
        "'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', \
         'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden",
        "'replicas', 'template', and 'updateStrategy' are forbidden.",
    ),
    (Era::Early, "empty selector is invalid for ", "empty selector is not valid for "),
    (Era::Early, "must be a strict subset of `cidr`", "not within CIDR range"),
    (Era::Early, "may not specify both ipBlock and another peer", "may not specify more than 1 from type"),
    (Era::Betas, "\"ContainerResource\", \"External\"", "\"External\""),
    (Era::Betas, "host must be specified; desired", "host must be provided; desired"),
];

/// What labels said of dots, too.
const LABEL: &str = "a DNS-1123 label must consist of lower case alphanumeric characters or '-', and must start and end \
                     with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is \
                     '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";

/// Texts that once ended with a full stop.
const STOPPED: &[&str] =
    &["must be greater than minReadySeconds", "invalid label selector", "empty selector is not valid for "];

/// Tells errors as the servers of an era told them.
pub(crate) fn tell(errs: &mut ErrorList, era: Era) {
    if era < Era::Now {
        errs.iter_mut().for_each(|error| one(error, era));
    }
}

fn one(error: &mut Error, era: Era) {
    if let Some(text) = error.go_syntax.take() {
        error.value = text;
    }
    if error.value == "null" {
        // A nil was the text "null".
        error.value = "\"null\"".to_owned();
    }
    if let Some(parent) = error.field.strip_suffix('.') {
        // A field without a name was shown as an index without one.
        error.field = format!("{parent}[]");
    }
    for (until, now, then) in PARTS {
        if era <= *until && error.detail.contains(now) {
            error.detail = error.detail.replace(now, then);
        }
    }
    lengths(error, era);
    if error.detail == "must not contain dots" {
        error.detail = LABEL.to_owned();
    }
    if error.detail == "must not be empty"
        && let Some((_, field)) = error.field.rsplit_once("ownerReferences.")
    {
        error.detail = format!("{field} must not be empty");
    }
    if era == Era::Early && STOPPED.iter().any(|text| error.detail.starts_with(text)) {
        error.detail.push('.');
    }
    if error.kind == ErrorType::Required && error.detail.is_empty() {
        error.detail = reason(&error.field);
    }
    if error.detail.starts_with("valid values: \"OnFailure\"") {
        // What the defaults make of no policy at all.
        error.kind = ErrorType::NotSupported;
        error.value = "\"Always\"".to_owned();
        error.detail = error.detail.replace("valid values", "supported values");
    }
    if error.field.ends_with("spec.schedule") {
        schedule(error);
    }
}

/// Some fields that were missing said so in words.
fn reason(field: &str) -> String {
    match field.rsplit_once('.') {
        Some((parent, field)) if parent.ends_with("lientConfig.service") => {
            format!("service {field} is required")
        }
        Some(("spec", field @ ("signerName" | "usages"))) => format!("{field} must be provided"),
        _ => String::new(),
    }
}

/// Lengths were said otherwise, and counted in characters.
fn lengths(error: &mut Error, era: Era) {
    let unit = if era == Era::Early { "characters" } else { "bytes" };
    let detail = &error.detail;
    if error.kind == ErrorType::TooLong
        && let Some(rest) = detail.strip_prefix("may not be more than ")
    {
        let number = rest.split(' ').next().unwrap_or_default();
        error.detail = format!("must have at most {number} {unit}");
    } else if let Some(head) =
        detail.strip_suffix(" bytes").filter(|_| detail.contains("must be no more than "))
    {
        error.detail = format!("{head} characters");
    }
}

/// The library that reads schedules began its errors with a capital, and quoted the schedule as it stands.
fn schedule(error: &mut Error) {
    if error.detail.starts_with("expected exactly ")
        && let Some((head, _)) = error.detail.split_once(": [")
    {
        error.detail = format!("{head}: {}", error.value.trim_matches('"'));
    }
    let mut rest = error.detail.chars();
    let first = rest.next().map(|c| c.to_ascii_uppercase());
    error.detail = first.into_iter().chain(rest).collect();
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::Value;
    use api::field::Path;

    fn told(path: &str, value: &str, detail: &str, era: Era) -> String {
        let mut errs = vec![Error::invalid(&Path::new(path), &Value::from(value), detail)];
        tell(&mut errs, era);
        errs[0].body()
    }

    #[test]
    fn old_versions_get_the_words_of_their_time() {
        let text = |era| told("metadata.name", "A_b", "a lowercase RFC 1123 label must consist of", era);
        assert_eq!(text(Era::Betas), "Invalid value: \"A_b\": a DNS-1123 label must consist of");
        assert_eq!(text(Era::Now), "Invalid value: \"A_b\": a lowercase RFC 1123 label must consist of");
        assert_eq!(
            told("spec.selector", "", "empty selector is invalid for deployment", Era::Early),
            "Invalid value: \"\": empty selector is not valid for deployment."
        );
    }

    #[test]
    fn lengths_were_counted_in_characters() {
        let long = || vec![Error::too_long(&Path::new("a"), 63)];
        let mut errs = long();
        tell(&mut errs, Era::Betas);
        assert_eq!(errs[0].body(), "Too long: must have at most 63 bytes");
        let mut errs = long();
        tell(&mut errs, Era::Early);
        assert_eq!(errs[0].body(), "Too long: must have at most 63 characters");
        assert!(told("a", "b", "must be no more than 63 bytes", Era::Betas).ends_with("than 63 characters"));
    }

    #[test]
    fn nothing_was_quoted_and_fields_without_a_name_were_indexes() {
        let mut errs = vec![Error::invalid(
            &Path::new("spec.metrics[0]").child(""),
            &Value::Null,
            "invalid label selector",
        )];
        tell(&mut errs, Era::Betas);
        assert_eq!(errs[0].field, "spec.metrics[0][]");
        assert_eq!(errs[0].body(), "Invalid value: \"null\": invalid label selector");
    }

    #[test]
    fn schedules_were_quoted_whole() {
        assert_eq!(
            told("spec.schedule", "x  y", "expected exactly 5 fields, found 2: [x y]", Era::Betas),
            "Invalid value: \"x  y\": Expected exactly 5 fields, found 2: x  y"
        );
    }
}
