//! Tables: every printer on any object, as text from the store and as value.
#![no_main]

use libfuzzer_sys::arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use printers::{Printer, TableOptions, table};
use serde_json::json;

fuzz_target!(|bytes: &[u8]| {
    let _ = run(&mut Unstructured::new(bytes));
});

fn run(u: &mut Unstructured<'_>) -> Result<()> {
    let of = fuzz::resource(u)?;
    let now = *u.choose(&[jiff::Timestamp::UNIX_EPOCH, jiff::Timestamp::MIN, jiff::Timestamp::MAX])?;
    let printer = Printer::of(&of.kind.group, &of.kind.plural);
    let mut object = fuzz::object(u, of)?;
    if let Some(status) = api::schema::builtin().get(of.ty.expect("has a type")).field("status") {
        object["status"] = fuzz::typed(u, api::schema::builtin(), &status.ty, 1)?;
    }
    // What is stored was decoded once; printers may rely on its shape, but must live through any.
    if u.arbitrary()?
        && let Some(received) = fuzz::received(of, &object)
    {
        let text = serde_json::to_vec(&received).expect("is JSON");
        let lean = printer.parse(&text, 0..0).expect("is JSON");
        assert_eq!(printer.cells(&lean, now), printer.cells(&received, now), "cells need what was left out");
    }
    let partial = printers::partial_object_metadata(&object, "v1");
    let options = TableOptions { version: "v1", no_headers: false, metadata: json!({}), now };
    let made = table(printer, vec![(object.clone(), partial), (object, json!(null))], &options);
    assert_eq!(made["rows"].as_array().map(Vec::len), Some(2));
    Ok(())
}
