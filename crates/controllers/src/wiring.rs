//! From events to keys, for controllers that own pods.

use client::ObjectKey;
use client::informer::{Event, Informer};
use client::queue::WorkQueue;

use crate::api::Kind;
use crate::context::{Context, synced};
use crate::labels::Labels;
use crate::owners;
use crate::views::Pod;

/// Follows the objects of kind `K` and their pods: each change puts the key of the owner into `queue`, as does a pod
/// without a controller that `selects` wants. `seen` is told which owner's pod changed how, before the key is queued.
/// False: stopped before the caches were filled.
pub async fn follow_pods<K: Kind>(
    context: &Context,
    queue: &WorkQueue<ObjectKey>,
    selects: impl Fn(&K, Option<&Labels>) -> bool + Send + Sync + 'static,
    seen: impl Fn(&ObjectKey, &Event<Pod>) + Send + Sync + 'static,
) -> Option<(Informer<K>, Informer<Pod>)> {
    let owners = context.informers.of::<K>();
    let pods = context.informers.of::<Pod>();
    let q = queue.clone();
    owners.add_handler(move |event| q.add(ObjectKey::of(event.object().meta())));
    if !synced(&context.stop, &[&owners]).await {
        return None;
    }
    let (q, store) = (queue.clone(), owners.store().clone());
    pods.add_handler(move |event| {
        let pod = event.object();
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        let owner = |pod: &Pod| owner_key::<K>(&store, pod);
        if let Event::Updated { old, new } = event
            && let Some(before) = owner(old)
            && owner(new).as_ref() != Some(&before)
        {
            q.add(before);
        }
        if let Some(key) = owner(pod) {
            seen(&key, event);
            q.add(key);
        } else if owners::controller_of(&pod.metadata).is_none() && !matches!(event, Event::Deleted(_)) {
            for candidate in store.in_namespace(namespace) {
                if selects(&candidate, pod.metadata.labels.as_ref()) {
                    q.add(ObjectKey::of(candidate.meta()));
                }
            }
        }
    });
    synced(&context.stop, &[&pods]).await.then_some((owners, pods))
}

/// The key of a pod's controller, when it is of kind `K` and lives.
pub fn owner_key<K: Kind>(store: &client::Store<K>, pod: &Pod) -> Option<ObjectKey> {
    let reference =
        owners::controller_of(&pod.metadata).filter(|reference| reference.kind == K::kind(&()))?;
    let key = ObjectKey::new(pod.metadata.namespace.clone()?, reference.name.clone());
    store.get(&key).is_some_and(|owner| owner.meta().uid.as_ref() == Some(&reference.uid)).then_some(key)
}
