//! A watch, read event by event.

use std::collections::VecDeque;
use std::time::Duration;

use http_body_util::BodyExt;
use serde_json::Value;

/// An event is there long before; a walk that waits for one that never comes must end.
const PATIENCE: Duration = Duration::from_secs(30);

/// An open watch.
pub(crate) struct Events {
    body: apiserver::http::Body,
    rest: Vec<u8>,
    ready: VecDeque<Value>,
}

impl Events {
    /// The events of an answer.
    pub(crate) fn new(body: apiserver::http::Body) -> Events {
        Events { body, rest: Vec::new(), ready: VecDeque::new() }
    }

    /// The next event, or why there is none.
    pub(crate) async fn next(&mut self) -> Result<Value, String> {
        let next = tokio::time::timeout(PATIENCE, self.next_or_end()).await;
        next.map_err(|_| "the watch tells nothing")?.ok_or_else(|| "the watch ended".into())
    }

    /// The next event, however long it takes; none at the end.
    pub(crate) async fn next_or_end(&mut self) -> Option<Value> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            let data = self.body.frame().await?.unwrap().into_data().unwrap();
            self.rest.extend_from_slice(&data);
            while let Some(end) = self.rest.iter().position(|b| *b == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=end).collect();
                self.ready.push_back(serde_json::from_slice(&line).unwrap());
            }
        }
    }
}
