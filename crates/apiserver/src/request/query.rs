//! Query parameters: lists of values by name, with Go's conversions and their error texts.

use api::field::go_quote;
use api::status::ApiError;

use super::info::{percent_decode, well_escaped};

/// The parsed query.
#[derive(Clone, Debug, Default)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Parses what follows the question mark.
    pub fn parse(query: Option<&str>) -> Query {
        let Some(query) = query else { return Query::default() };
        // Go leaves out what it cannot read.
        let readable = |p: &&str| !p.is_empty() && !p.contains(';') && well_escaped(p);
        let pairs = query.split('&').filter(readable).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (percent_decode(name, true), percent_decode(value, true))
        });
        Query(pairs.collect())
    }

    /// The first value of a parameter.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// The first value, or nothing.
    pub fn text(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default()
    }

    /// All values of a parameter.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> + 'a {
        self.0.iter().filter(move |(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// A boolean, as `runtime.Convert_Slice_string_To_bool` reads it: present, and neither `false` nor `0`.
    pub fn flag(&self, name: &str) -> bool {
        self.flag_option(name).unwrap_or(false)
    }

    /// A boolean that may be absent.
    pub fn flag_option(&self, name: &str) -> Option<bool> {
        self.get(name).map(|value| {
            let lower = value.to_ascii_lowercase();
            lower != "false" && lower != "0"
        })
    }

    /// A whole number.
    pub fn number(&self, name: &str) -> Result<Option<i64>, ApiError> {
        self.get(name).map(parse_int).transpose().map_err(ApiError::bad_request)
    }

    /// Every name that occurs.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(n, _)| n.as_str())
    }
}

/// `strconv.ParseInt(value, 10, 64)` with its error texts.
pub fn parse_int(value: &str) -> Result<i64, String> {
    let digits = value.strip_prefix(['+', '-']).unwrap_or(value);
    let quoted = go_quote(value);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(format!("strconv.ParseInt: parsing {quoted}: invalid syntax"));
    }
    value.parse().map_err(|_| format!("strconv.ParseInt: parsing {quoted}: value out of range"))
}

/// `strconv.ParseUint(value, 10, 64)` with its error texts.
pub fn parse_uint(value: &str) -> Result<u64, String> {
    let quoted = go_quote(value);
    if value.is_empty() || !value.bytes().all(|b| b.is_ascii_digit()) {
        return Err(format!("strconv.ParseUint: parsing {quoted}: invalid syntax"));
    }
    value.parse().map_err(|_| format!("strconv.ParseUint: parsing {quoted}: value out of range"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_go_cannot_read_is_not_there() {
        let query = Query::parse(Some("limit=%zz&a;b=c&watch&timeoutSeconds=&b=%41"));
        assert_eq!(query.names().collect::<Vec<_>>(), ["watch", "timeoutSeconds", "b"]);
        assert_eq!(
            (query.text("b"), query.flag("watch"), query.number("limit").ok()),
            ("A", true, Some(None))
        );
        let why = query.number("timeoutSeconds").unwrap_err().message;
        assert_eq!(why, "strconv.ParseInt: parsing \"\": invalid syntax");
    }
}
