//! What the rows of tables cost, on an ordinary pod of 3 KB: `scripts/bench micro`.
#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark that cannot run shall end")]

use divan::{Bencher, black_box};
use printers::Printer;

const STORED: &[u8] = include_bytes!("../../bench/data/stored-pod.json");

fn main() {
    divan::main();
}

#[divan::bench]
fn read_what_a_row_needs() -> api::Value {
    Printer::of("", "pods").parse(black_box(STORED), 0..0).unwrap()
}

#[divan::bench]
fn cells(bencher: Bencher<'_, '_>) {
    let printer = Printer::of("", "pods");
    let pod = printer.parse(STORED, 0..0).unwrap();
    let now = "2026-01-01T00:00:00Z".parse().unwrap();
    bencher.bench(|| printer.cells(black_box(&pod), now));
}
