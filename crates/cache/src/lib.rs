//! The watch cache: every object in memory as the bytes that clients are sent.
//!
//! Bytes are the currency. Per object the cache holds the encoded hub version, in the form that a list's item has, plus
//! the few texts that selectors look at. GET and LIST copy bytes; a watch frame is made once per event and version and
//! shared by all watchers. One watch on the store feeds every kind.
//!
//! A reader finds
//! - [`Cache`]: all kinds, the feed, and how fresh it is;
//! - [`Resource`]: one kind: get, list, watch;
//! - [`Item`]: one object;
//! - [`Predicate`]: which objects are wanted, by index where that is possible;
//! - [`Watcher`], [`WatchItem`], [`Event`]: what a watch tells.
//!
//! What it costs (3,000 pods of 3 KB): a list walks 32 pages; its 9 MB are copied by whoever sends it. An event is read once,
//! and only what selectors know of it, and costs about 0.1 µs per watcher that it concerns. An object costs its JSON and 300
//! bytes. Figures: `scripts/bench micro`.
//!
//! Deliberately absent: conversion and encoding for other versions (the API server gives a closure), and reading the
//! store for single objects.

mod backlog;
mod cache;
mod error;
#[cfg(test)]
mod etcd_tests;
mod event;
mod fresh;
mod history;
mod item;
mod list;
mod pages;
mod predicate;
mod resource;
mod stored;
#[cfg(test)]
mod tests;
mod watcher;
mod watchers;

pub use cache::Cache;
pub use error::Error;
pub use event::{Event, EventType, Representation};
pub use item::{Fields, Item, ItemForm, ReadFields};
pub use list::List;
pub use predicate::{Filter, Predicate};
pub use resource::{Config, Resource, Start};
pub use watcher::{WatchItem, Watcher};
