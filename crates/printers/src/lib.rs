//! skiff: printers.
