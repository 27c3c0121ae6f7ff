//! One range: a bit for each thing, kept in the store as a `RangeAllocation` and changed by compare-and-write.

use std::collections::BTreeSet;

use api::status::ApiError;
use api::{Object, Value};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::json;
use store::{Change, Expect, Written};
use tokio::sync::Mutex;

use crate::registry::obj;
use crate::registry::storage::{Storage, store_error};

/// How often a change is tried again when other servers change the same range.
const TRIES: usize = 100;

/// Why nothing could be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RangeError {
    /// Somebody has it.
    Taken,
    /// Nothing is left.
    Full,
}

#[derive(Clone, Default)]
struct State {
    bits: Vec<u8>,
    revision: i64,
    metadata: Object,
}

impl State {
    fn has(&self, n: u32) -> bool {
        self.bits.get(n as usize / 8).is_some_and(|b| b >> (n % 8) & 1 == 1)
    }

    fn set(&mut self, n: u32, on: bool) {
        let at = n as usize / 8;
        if self.bits.len() <= at {
            self.bits.resize(at + 1, 0);
        }
        if on {
            self.bits[at] |= 1 << (n % 8);
        } else {
            self.bits[at] &= !(1 << (n % 8));
        }
    }
}

/// A range of things.
pub struct Range {
    key: String,
    text: String,
    count: u32,
    state: Mutex<Option<State>>,
    /// What the last repair found taken and not used.
    idle: Mutex<BTreeSet<u32>>,
}

impl Range {
    /// A range under a key; `text` is how the range is written.
    pub fn new(key: String, text: String, count: u32) -> Range {
        Range { key, text, count, state: Mutex::default(), idle: Mutex::default() }
    }

    async fn load(&self, storage: &Storage) -> Result<State, ApiError> {
        let got = storage.store.get(&self.key).await.map_err(|e| store_error(&e))?;
        let Some(entry) = got.entry else { return Ok(State::default()) };
        let object: Value = serde_json::from_slice(&entry.value).unwrap_or_default();
        let bits = STANDARD.decode(obj::text_at(&object, "data")).unwrap_or_default();
        let metadata = obj::metadata(&object).cloned().unwrap_or_default();
        let same = obj::text_at(&object, "range") == self.text;
        Ok(State { bits: if same { bits } else { Vec::new() }, revision: entry.mod_revision, metadata })
    }

    async fn save(&self, storage: &Storage, state: &State) -> Result<Option<i64>, ApiError> {
        let mut metadata = state.metadata.clone();
        metadata.entry("creationTimestamp").or_insert(Value::Null);
        let object = json!({
            "kind": "RangeAllocation", "apiVersion": "v1", "metadata": metadata, "range": self.text,
            "data": STANDARD.encode(&state.bits),
        });
        let value = Bytes::from(serde_json::to_vec(&object).unwrap_or_default());
        let expect = if state.revision == 0 { Expect::Absent } else { Expect::At(state.revision) };
        let written = storage.store.write(&self.key, expect, Change::put(value)).await;
        match written.map_err(|e| store_error(&e))? {
            Written::Done(revision) => Ok(Some(revision)),
            Written::Conflict(_) => Ok(None),
        }
    }

    async fn change<T>(
        &self,
        storage: &Storage,
        mut change: impl FnMut(&mut State) -> Option<T>,
    ) -> Result<Option<T>, ApiError> {
        let mut held = self.state.lock().await;
        for _ in 0..TRIES {
            let mut state = match held.take() {
                Some(state) => state,
                None => self.load(storage).await?,
            };
            let before = state.bits.clone();
            let Some(result) = change(&mut state) else {
                // Others may have changed the range: what is known may be old.
                if state.revision != 0 && self.load(storage).await?.revision != state.revision {
                    continue;
                }
                *held = Some(state);
                return Ok(None);
            };
            if state.bits == before && state.revision != 0 {
                *held = Some(state);
                return Ok(Some(result));
            }
            if let Some(revision) = self.save(storage, &state).await? {
                state.revision = revision;
                *held = Some(state);
                return Ok(Some(result));
            }
        }
        Err(ApiError::internal(format!("{} changes too often", self.key)))
    }

    /// Takes the `n`th thing.
    pub async fn take(&self, storage: &Storage, n: u32) -> Result<Result<(), RangeError>, ApiError> {
        let taken = self
            .change(storage, |state| {
                if state.has(n) {
                    return None;
                }
                state.set(n, true);
                Some(())
            })
            .await?;
        Ok(taken.ok_or(RangeError::Taken))
    }

    /// Takes any free thing, a random one from `skip` on while there is one (upstream's static range lies below).
    pub async fn take_any(&self, storage: &Storage, skip: u32) -> Result<Result<u32, RangeError>, ApiError> {
        let count = self.count;
        let taken = self
            .change(storage, |state| {
                let span = u64::from(count.saturating_sub(skip)).max(1);
                let start = u32::try_from(component_base::rand::u64() % span).unwrap_or(0);
                let upper = (0..count - skip).map(|i| skip + (start + i) % (count - skip));
                let n = upper.chain(0..skip).find(|n| !state.has(*n))?;
                state.set(n, true);
                Some(n)
            })
            .await?;
        Ok(taken.ok_or(RangeError::Full))
    }

    /// Gives the `n`th thing back.
    pub async fn release(&self, storage: &Storage, n: u32) -> Result<(), ApiError> {
        self.change(storage, |state| {
            state.set(n, false);
            Some(())
        })
        .await
        .map(|_| ())
    }

    /// Whether the `n`th thing is free, as far as is known.
    pub async fn is_free(&self, storage: &Storage, n: u32) -> Result<bool, ApiError> {
        Ok(!self.load(storage).await?.has(n))
    }

    /// What is taken now.
    pub async fn taken(&self, storage: &Storage) -> Result<BTreeSet<u32>, ApiError> {
        let state = self.load(storage).await?;
        Ok((0..self.count).filter(|n| state.has(*n)).collect())
    }

    /// Brings the range to what is used. `taken` is what was taken before it was looked who uses what.
    ///
    /// What is taken and not used may belong to a write that is under way, in this server or another. So it is given back
    /// only when this look and the one before find it so; looks are further apart than any write takes.
    pub async fn repair(
        &self,
        storage: &Storage,
        taken: &BTreeSet<u32>,
        used: &BTreeSet<u32>,
    ) -> Result<(), ApiError> {
        let idle: BTreeSet<u32> = taken.difference(used).copied().collect();
        let lost: Vec<u32> = idle.intersection(&*self.idle.lock().await).copied().collect();
        let length = (self.count as usize).div_ceil(8);
        self.change(storage, |state| {
            state.bits.resize(length, 0);
            lost.iter().for_each(|n| state.set(*n, false));
            used.iter().for_each(|n| state.set(*n, true));
            Some(())
        })
        .await?;
        *self.idle.lock().await = idle;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::time::Duration;

    #[tokio::test]
    async fn two_servers_never_give_the_same_thing() {
        let store = Arc::new(store::MemoryStore::new());
        let storage = Storage::new(store, "/registry", Duration::from_secs(60));
        let make = || Range::new("/registry/ranges/x".into(), "0-31".into(), 32);
        let (one, two) = (make(), make());
        let mut seen = Vec::new();
        for _ in 0..16 {
            seen.push(one.take_any(&storage, 0).await.unwrap().unwrap());
            seen.push(two.take_any(&storage, 0).await.unwrap().unwrap());
        }
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 32);
        assert_eq!(one.take_any(&storage, 0).await.unwrap(), Err(RangeError::Full));
        two.release(&storage, 5).await.unwrap();
        assert_eq!(one.take(&storage, 5).await.unwrap(), Ok(()));
    }

    /// A create that another server had under way when this one started lost its address to the repair.
    #[tokio::test]
    async fn a_repair_takes_nothing_from_a_write_that_is_under_way() {
        let store = Arc::new(store::MemoryStore::new());
        let storage = Storage::new(store, "/registry", Duration::from_secs(60));
        let range = Range::new("/registry/ranges/x".into(), "0-31".into(), 32);
        let none = BTreeSet::new();
        range.take(&storage, 3).await.unwrap().unwrap();
        let first_look = range.taken(&storage).await.unwrap();
        range.repair(&storage, &first_look, &BTreeSet::from([7])).await.unwrap();
        assert_eq!(
            range.taken(&storage).await.unwrap(),
            BTreeSet::from([3, 7]),
            "used and unmarked: marked at once"
        );
        range.take(&storage, 4).await.unwrap().unwrap();
        let second_look = range.taken(&storage).await.unwrap();
        range.repair(&storage, &second_look, &BTreeSet::from([7])).await.unwrap();
        assert_eq!(range.taken(&storage).await.unwrap(), BTreeSet::from([4, 7]), "idle at two looks: lost");
        range.repair(&storage, &none, &BTreeSet::from([4, 7])).await.unwrap();
        assert_eq!(range.take(&storage, 4).await.unwrap(), Err(RangeError::Taken));
    }
}
