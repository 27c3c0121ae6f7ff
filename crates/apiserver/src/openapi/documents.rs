//! The documents that are kept: made when somebody first asks, compressed, and dropped when custom resource definitions
//! change.
//!
//! Clients ask v3's index first. It needs the hash of every document, not the documents: those are made one by one, and
//! only the last few stay.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::sync::Arc;

use api::kinds::Kinds;
use api::status::ApiError;
use apiextensions::Types;
use bytes::Bytes;
use component_base::panics;
use component_base::version::GIT_VERSION;
use openapi::{Document, Page, Source, Table, v2, v3};
use parking_lot::RwLock;
use tokio::sync::{Mutex, OnceCell};

/// How many of v3's documents are kept.
const RECENT: usize = 8;

/// All documents.
pub struct Documents(RwLock<Arc<Generation>>);

/// What the binary serves; it never changes.
struct BuiltIn {
    kinds: Kinds,
    /// The hashes of v3's documents.
    hashes: OnceCell<BTreeMap<String, String>>,
}

/// The documents as long as the same kinds are served.
pub(super) struct Generation {
    builtin: Arc<BuiltIn>,
    custom: Vec<Arc<Types>>,
    json: OnceCell<Document>,
    protobuf: OnceCell<Document>,
    index: OnceCell<Index>,
    /// Documents of v3 by name, the last one asked at the end. Whoever makes one holds the lock: one at a time is enough.
    recent: Mutex<VecDeque<(String, Document)>>,
}

/// v3's index.
pub(super) struct Index {
    /// The document itself.
    pub(super) json: Bytes,
    /// Its hash.
    pub(super) hash: String,
}

impl Documents {
    /// Documents of these built-in kinds.
    pub fn new(kinds: Kinds) -> Documents {
        let builtin = Arc::new(BuiltIn { kinds, hashes: OnceCell::new() });
        Documents(RwLock::new(Arc::new(Generation::new(builtin, Vec::new()))))
    }

    /// From now on these custom resources are served.
    pub fn set_custom(&self, custom: Vec<Arc<Types>>) {
        let builtin = self.0.read().builtin.clone();
        *self.0.write() = Arc::new(Generation::new(builtin, custom));
    }

    pub(super) fn now(&self) -> Arc<Generation> {
        self.0.read().clone()
    }
}

/// Runs what takes a while off the threads that answer requests.
async fn make<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, ApiError> {
    let done = tokio::task::spawn_blocking(|| panics::caught(work)).await.map_err(ApiError::internal)?;
    done.map_err(ApiError::internal)?.map_err(ApiError::internal)
}

fn builtin_source(kinds: &Kinds) -> Source<'_> {
    Source { kinds, ..Source::builtin() }
}

impl Generation {
    fn new(builtin: Arc<BuiltIn>, custom: Vec<Arc<Types>>) -> Generation {
        Generation {
            builtin,
            custom,
            json: OnceCell::new(),
            protobuf: OnceCell::new(),
            index: OnceCell::new(),
            recent: Mutex::default(),
        }
    }

    /// Everything that is served.
    fn sources(&self) -> Vec<Source<'_>> {
        let custom = self.custom.iter().map(|types| types.source());
        std::iter::once(builtin_source(&self.builtin.kinds)).chain(custom).collect()
    }

    /// v2 in JSON or in protobuf.
    pub(super) async fn v2(self: &Arc<Self>, protobuf: bool) -> Result<&Document, ApiError> {
        let cell = if protobuf { &self.protobuf } else { &self.json };
        cell.get_or_try_init(|| {
            let generation = self.clone();
            make(move || {
                let table = Table::unpack()?;
                let (sources, descriptions) = (generation.sources(), table.descriptions());
                let write = if protobuf { v2::protobuf } else { v2::json };
                Document::new(|out| write(out, &sources, &descriptions, GIT_VERSION))
            })
        })
        .await
    }

    /// A document of v3; `None` where nothing is served.
    pub(super) async fn v3(self: &Arc<Self>, name: &str) -> Result<Option<Document>, ApiError> {
        let mut recent = self.recent.lock().await;
        let document = match recent.iter().position(|(known, _)| known == name) {
            Some(at) => recent.remove(at).map(|(_, document)| document),
            None => {
                let (generation, name) = (self.clone(), name.to_owned());
                make(move || {
                    let table = Table::unpack()?;
                    let (sources, descriptions) = (generation.sources(), table.descriptions());
                    let found = sources.iter().flat_map(Page::of).find(|page| page.name() == name);
                    let Some(page) = found else { return Ok(None) };
                    Document::new(|out| v3::json(out, &sources, &descriptions, page, GIT_VERSION)).map(Some)
                })
                .await?
            }
        };
        if let Some(document) = &document {
            recent.push_back((name.to_owned(), document.clone()));
            if recent.len() > RECENT {
                recent.pop_front();
            }
        }
        Ok(document)
    }

    /// v3's index.
    pub(super) async fn index(self: &Arc<Self>) -> Result<&Index, ApiError> {
        self.index
            .get_or_try_init(|| async {
                let builtin = self.builtin.clone();
                let known = self
                    .builtin
                    .hashes
                    .get_or_try_init(|| make(move || hashes(&[builtin_source(&builtin.kinds)], |_| true)));
                let mut all = known.await?.clone();
                if !self.custom.is_empty() {
                    let generation = self.clone();
                    let custom = make(move || {
                        let sources = generation.sources();
                        let names: BTreeSet<String> =
                            sources.iter().skip(1).flat_map(Page::of).map(|page| page.name()).collect();
                        hashes(&sources, |name| names.contains(name))
                    });
                    all.extend(custom.await?);
                }
                let value = v3::index(all.iter().map(|(name, hash)| (name.clone(), hash.as_str())));
                let json = serde_json::to_vec(&value).map_err(ApiError::internal)?;
                let hash = Document::hash_of(|out| out.write_all(&json)).map_err(ApiError::internal)?;
                Ok(Index { json: json.into(), hash })
            })
            .await
    }
}

/// The hashes of the documents whose names are wanted.
fn hashes(sources: &[Source<'_>], wanted: impl Fn(&str) -> bool) -> io::Result<BTreeMap<String, String>> {
    let table = Table::unpack()?;
    let descriptions = table.descriptions();
    // Definitions of one group version share a document.
    let pages: BTreeSet<_> = sources.iter().flat_map(Page::of).collect();
    let wanted = pages.into_iter().map(|page| (page.name(), page)).filter(|(name, _)| wanted(name));
    let hashes = wanted.map(|(name, page)| {
        let hash = Document::hash_of(|out| v3::json(out, sources, &descriptions, page, GIT_VERSION))?;
        Ok((name, hash))
    });
    hashes.collect()
}
