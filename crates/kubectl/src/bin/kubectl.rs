//! The `kubectl` command on its own; the multicall binaries call the same `main`.

use std::process::ExitCode;

fn main() -> ExitCode {
    kubectl::main(std::env::args_os().skip(1))
}
