//! Where documents come from, and what the two have in common: paths first, then every definition that they need.

use std::collections::{BTreeSet, VecDeque};
use std::io;

use api::Value;
use api::kinds::Kinds;
use api::schema::Schemas;

use crate::definitions::{Definitions, Dialect};
use crate::descriptions::Descriptions;
use crate::{Page, Published};

/// A set of kinds with the schemas that their types are in: the built-in ones, or those of one custom resource definition.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// The kinds, in the versions that are served.
    pub kinds: &'a Kinds,
    /// Their types.
    pub schemas: &'a Schemas,
    /// Types that a custom resource definition brought.
    pub published: &'a [Published],
}

impl Source<'static> {
    /// All that the binary ships.
    pub fn builtin() -> Source<'static> {
        Source { kinds: api::kinds::builtin(), schemas: api::schema::builtin(), published: &[] }
    }
}

impl Source<'_> {
    /// Whether a custom resource definition brought it.
    pub fn is_custom(&self) -> bool {
        !self.published.is_empty()
    }
}

/// The sources of one document.
pub(crate) struct Sources<'a> {
    sources: &'a [Source<'a>],
    descriptions: &'a Descriptions<'a>,
    dialect: Dialect,
    /// Names of definitions that are still to be written, with the source that refers to them.
    open: VecDeque<(usize, String)>,
    seen: BTreeSet<String>,
}

impl<'a> Sources<'a> {
    pub(crate) fn new(
        sources: &'a [Source<'a>],
        descriptions: &'a Descriptions<'a>,
        dialect: Dialect,
    ) -> Sources<'a> {
        Sources { sources, descriptions, dialect, open: VecDeque::new(), seen: BTreeSet::new() }
    }

    /// Visits the paths of a page, or of all.
    pub(crate) fn each_path(
        &mut self,
        wanted: Option<Page<'_>>,
        mut visit: impl FnMut(&str, &Value) -> io::Result<()>,
    ) -> io::Result<()> {
        for (at, source) in self.sources.iter().enumerate() {
            for page in Page::of(source).into_iter().filter(|p| wanted.is_none_or(|w| w == *p)) {
                for (path, item) in page.paths(source, self.dialect) {
                    self.refer(at, &item);
                    visit(&path, &item)?;
                }
            }
        }
        Ok(())
    }

    /// Visits the definitions that the paths, or definitions before them, refer to.
    pub(crate) fn each_definition(
        &mut self,
        mut visit: impl FnMut(&str, &Value) -> io::Result<()>,
    ) -> io::Result<()> {
        while let Some((at, name)) = self.open.pop_front() {
            if let Some(definition) = self.definition(at, &name)? {
                self.refer(at, &definition);
                visit(&name, &definition)?;
            }
        }
        Ok(())
    }

    fn definition(&self, at: usize, name: &str) -> io::Result<Option<Value>> {
        let Some(source) = self.sources.get(at) else { return Ok(None) };
        for published in source.published {
            if let Some(definition) = published.by_name(name, self.dialect, self.descriptions)? {
                return Ok(Some(definition));
            }
        }
        let definitions =
            Definitions { schemas: source.schemas, descriptions: self.descriptions, dialect: self.dialect };
        Ok(definitions.by_name(name))
    }

    /// Notes the definitions that a value refers to.
    fn refer(&mut self, at: usize, value: &Value) {
        match value {
            Value::Object(fields) => {
                for (key, value) in fields {
                    match value {
                        Value::String(reference) if key == "$ref" => {
                            let name = reference.rsplit('/').next().unwrap_or_default();
                            if self.seen.insert(name.to_owned()) {
                                self.open.push_back((at, name.to_owned()));
                            }
                        }
                        other => self.refer(at, other),
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|i| self.refer(at, i)),
            _ => {}
        }
    }
}
