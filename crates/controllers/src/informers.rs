//! One informer per kind, shared by all controllers (client-go's `SharedInformerFactory`).

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::Arc;

use client::informer::{Informer, InformerOptions};
use kube::Client;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::api::Kind;

/// Makes and remembers informers. A kind that nobody asks for costs nothing.
#[derive(Clone)]
pub struct Informers {
    client: Client,
    stop: CancellationToken,
    made: Arc<Mutex<HashMap<TypeId, Box<dyn Any + Send>>>>,
}

impl Informers {
    /// A factory whose informers run until `stop`.
    pub fn new(client: Client, stop: CancellationToken) -> Self {
        Self { client, stop, made: Arc::default() }
    }

    /// The informer for `K`; started with the first call.
    pub fn of<K: Kind>(&self) -> Informer<K> {
        let mut made = self.made.lock();
        let known = made.get(&TypeId::of::<K>()).and_then(|any| any.downcast_ref::<Informer<K>>());
        if let Some(informer) = known {
            return informer.clone();
        }
        let options = InformerOptions { transform: Some(slim::<K>), ..Default::default() };
        let informer = Informer::new(self.client.clone(), options);
        informer.spawn(self.stop.clone());
        made.insert(TypeId::of::<K>(), Box::new(informer.clone()));
        informer
    }
}

/// `kubectl apply` keeps a whole copy of the object in an annotation. Nobody here reads it.
fn slim<K: Kind>(object: &mut K) {
    if let Some(annotations) = &mut object.meta_mut().annotations {
        annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
    }
}
