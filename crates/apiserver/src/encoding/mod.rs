//! The seam between objects and bytes: one codec per media type. Every body comes in through [`Codec::read`]; every answer
//! goes out through [`Codec::write`] or, where its JSON is there already, through [`Codec::pass`]. All that follows a body
//! knows JSON text alone, and the watch cache's JSON is never looked into on its way out.

mod json;
mod protobuf;
pub mod yaml;

use std::borrow::Cow;

use api::Value;
use api::status::ApiError;
use bytes::Bytes;

/// A media type that objects come and go in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Media {
    /// `application/json`.
    Json,
    /// `application/yaml`.
    Yaml,
    /// `application/vnd.kubernetes.protobuf`.
    Protobuf,
}

/// A body as JSON text.
#[derive(Debug)]
pub struct Text<'a> {
    /// The text; that of a JSON body is the body itself.
    pub json: Cow<'a, [u8]>,
    /// What a strict reader of the encoding itself has found: one line each.
    pub strict: Vec<String>,
}

/// What an encoding can do.
pub trait Codec: Sync {
    /// Its name in headers.
    fn media_type(&self) -> &'static str;

    /// Whether objects of all kinds can be written. Where they cannot, refusals still can.
    fn writes_all_kinds(&self) -> bool {
        true
    }

    /// Reads a body that should hold an object of the kind `expected`.
    ///
    /// # Errors
    /// 400 for a body that is not of this encoding, 415 for one that this server cannot read.
    fn read<'a>(&self, body: &'a [u8], expected: &str) -> Result<Text<'a>, ApiError>;

    /// Writes an object; `pretty` asks for a form that people read.
    fn write(&self, object: &Value, pretty: bool) -> Bytes;

    /// Writes an object whose JSON text is there already.
    fn pass(&self, json: Bytes, pretty: bool) -> Bytes {
        match serde_json::from_slice(&json) {
            Ok(object) => self.write(&object, pretty),
            Err(_) => json,
        }
    }
}

impl Media {
    /// All of them, in upstream's order.
    pub const ALL: [Media; 3] = [Media::Json, Media::Yaml, Media::Protobuf];

    /// What reads and writes it.
    pub fn codec(self) -> &'static dyn Codec {
        match self {
            Media::Json => &json::Json,
            Media::Yaml => &yaml::Yaml,
            Media::Protobuf => &protobuf::Protobuf,
        }
    }

    /// Its name in headers.
    pub fn content_type(self) -> &'static str {
        self.codec().media_type()
    }

    /// The media type of that name.
    pub fn of(name: &str) -> Option<Media> {
        Media::ALL.into_iter().find(|m| m.content_type() == name)
    }
}
