//! JSON: what is stored and cached, and what all other encodings are turned into.

use std::borrow::Cow;

use api::Value;
use api::json::{escape_html, to_vec};
use api::status::ApiError;
use bytes::Bytes;

use super::{Codec, Text};

pub(super) struct Json;

impl Codec for Json {
    fn media_type(&self) -> &'static str {
        "application/json"
    }

    fn read<'a>(&self, body: &'a [u8], _: &str) -> Result<Text<'a>, ApiError> {
        Ok(Text { json: Cow::Borrowed(body), strict: Vec::new() })
    }

    fn write(&self, object: &Value, pretty: bool) -> Bytes {
        if pretty {
            return Bytes::from(escape_html(serde_json::to_string_pretty(object).unwrap_or_default()));
        }
        let mut bytes = to_vec(object);
        // Upstream's encoder ends with a line.
        bytes.push(b'\n');
        Bytes::from(bytes)
    }

    fn pass(&self, json: Bytes, pretty: bool) -> Bytes {
        match serde_json::from_slice(&json) {
            Ok(object) if pretty => self.write(&object, true),
            _ => json,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_is_there_is_neither_read_nor_copied() {
        let json = Bytes::from_static(b"{not even json");
        assert_eq!(Json.pass(json.clone(), false).as_ptr(), json.as_ptr());
        let Cow::Borrowed(read) = Json.read(&json, "Pod").unwrap().json else { panic!("copied") };
        assert_eq!(read.as_ptr(), json.as_ptr());
    }
}
