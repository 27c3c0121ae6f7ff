//! Printer columns of custom resources: paths, and the cells that they lead to.
#![no_main]

use libfuzzer_sys::arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use printers::Printer;
use serde_json::json;

fuzz_target!(|bytes: &[u8]| {
    let _ = run(&mut Unstructured::new(bytes));
});

fn run(u: &mut Unstructured<'_>) -> Result<()> {
    let mut path = String::new();
    for _ in 0..u.int_in_range(0..=10u8)? {
        path.push_str(u.choose(&[
            ".",
            "..",
            "[",
            "]",
            "*",
            ",",
            ":",
            "0",
            "-1",
            "9223372036854775807",
            "-9223372036854775808",
            "[?(",
            ")]",
            "@",
            "==",
            "<",
            "!=",
            "'",
            "\"",
            "\\",
            "a",
            "b",
            "$",
            " ",
            "{",
            "}",
            "1.5",
            "true",
            "[0,0]",
            "[*]",
            "[-1:]",
            "[::0]",
            "..*",
        ])?);
    }
    if u.int_in_range(0..=9u8)? == 0 {
        path = fuzz::text(u)?;
    }
    let kinds = ["string", "integer", "number", "boolean", "date", ""];
    let column = json!({"name": "C", "type": u.choose(&kinds)?, "jsonPath": path});
    let Ok(printer) = Printer::custom(&[column]) else { return Ok(()) };
    let object = json!({
        "metadata": {"name": "x"}, "a": {"b": [fuzz::any(u, 6)?, [[1, 2], [3]], {"a": 1, "b": "x"}]}, "b": fuzz::any(u, 4)?,
    });
    assert_eq!(printer.cells(&object, jiff::Timestamp::UNIX_EPOCH).len(), 2);
    Ok(())
}
