//! A message of any built-in type: it is refused, or becomes JSON that the decoder of the type takes.
#![no_main]

use api::schema::{self, StructId, Type};
use api::{Value, decode, protobuf};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let [high, low, message @ ..] = bytes else { return };
    let schemas = schema::builtin();
    let id = StructId(u32::from(u16::from_be_bytes([*high, *low])) % schemas.iter().count() as u32);
    let Ok(object) = protobuf::read(id, message) else { return };
    let text = Value::Object(object).to_string();
    match decode::typed(schemas, &Type::Struct(id), text.as_bytes(), true) {
        // Every field is known, once.
        Ok(read) => assert_eq!(read.strict, Vec::<String>::new(), "{text}"),
        // Years, amounts and what was inside of JSON may still be wrong.
        Err(why) => assert!(!why.contains("cannot unmarshal") || text.contains("null"), "{why}: {text}"),
    }
});
