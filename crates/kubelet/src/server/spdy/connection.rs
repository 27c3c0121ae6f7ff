//! A connection: a task reads frames into events, a writer that all streams share writes. There is no flow control, as
//! upstream's library has none; a slow reader slows TCP down.

use std::sync::Arc;

use bytes::Bytes;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncWriteExt, WriteHalf};
use tokio::sync::{Mutex, mpsc};
use tokio_util::task::AbortOnDropHandle;

use super::frame::{self, Frame};
use super::headers::{Inflater, Packer};

type Io = TokioIo<hyper::upgrade::Upgraded>;

/// Longest data frame that we send.
const DATA_BYTES_MAX: usize = 32 * 1024;

/// What the client does.
#[derive(Debug)]
pub(in crate::server) enum Event {
    /// Opens a stream.
    Open { id: u32, headers: Vec<(String, String)> },
    /// Sends on a stream; `last` ends its side of it.
    Data { id: u32, bytes: Bytes, last: bool },
    /// Gives a stream up.
    Reset { id: u32 },
}

/// See the module.
pub(in crate::server) struct Connection {
    events: mpsc::Receiver<Event>,
    writer: Writer,
    _reader: AbortOnDropHandle<()>,
}

/// The way to the client.
#[derive(Clone)]
pub(in crate::server) struct Writer {
    half: Arc<Mutex<(WriteHalf<Io>, Packer)>>,
}

impl Connection {
    pub(in crate::server) fn start(upgraded: hyper::upgrade::Upgraded) -> Self {
        let (mut read, write) = tokio::io::split(TokioIo::new(upgraded));
        let writer = Writer { half: Arc::new(Mutex::new((write, Packer::default()))) };
        let (sender, events) = mpsc::channel(super::super::stream::QUEUED_MAX);
        let pongs = writer.clone();
        let reader = async move {
            let mut inflater = Inflater::new();
            while let Some(frame) = frame::read(&mut read).await {
                let sent = match frame {
                    Frame::Open { id, block, last } => {
                        let Some(headers) = inflater.read(&block) else { return };
                        let opened = sender.send(Event::Open { id, headers }).await;
                        match (opened, last) {
                            (Ok(()), true) => {
                                sender.send(Event::Data { id, bytes: Bytes::new(), last }).await
                            }
                            (opened, _) => opened,
                        }
                    }
                    Frame::Data { id, bytes, last } => sender.send(Event::Data { id, bytes, last }).await,
                    Frame::Reset { id } => sender.send(Event::Reset { id }).await,
                    Frame::Ping { id } => {
                        pongs.write(&[&frame::pong(id)]).await;
                        Ok(())
                    }
                    Frame::Away => return,
                    Frame::Other => Ok(()),
                };
                if sent.is_err() {
                    return;
                }
            }
        };
        Self { events, writer, _reader: AbortOnDropHandle::new(tokio::spawn(reader)) }
    }

    pub(in crate::server) fn writer(&self) -> Writer {
        self.writer.clone()
    }

    /// The next thing that the client does; `None` when it is gone.
    pub(in crate::server) async fn next(&mut self) -> Option<Event> {
        self.events.recv().await
    }
}

impl Writer {
    /// Errors show as the end of the connection on the reading side.
    async fn write(&self, parts: &[&[u8]]) {
        let mut half = self.half.lock().await;
        for part in parts {
            if half.0.write_all(part).await.is_err() {
                return;
            }
        }
        let _ = half.0.flush().await;
    }

    /// Accepts a stream.
    pub(in crate::server) async fn reply(&self, id: u32) {
        let mut half = self.half.lock().await;
        // Blocks must go out in the order they were packed.
        let block = half.1.empty();
        let _ = half.0.write_all(&frame::reply(id, &block)).await;
        let _ = half.0.flush().await;
    }

    /// Sends on a stream.
    pub(in crate::server) async fn data(&self, id: u32, bytes: Bytes) {
        for chunk in bytes.chunks(DATA_BYTES_MAX) {
            self.write(&[&frame::data_head(id, chunk.len(), false), chunk]).await;
        }
    }

    /// Ends our side of a stream.
    pub(in crate::server) async fn finish(&self, id: u32) {
        self.write(&[&frame::data_head(id, 0, true)]).await;
    }

    /// Gives a stream up.
    pub(in crate::server) async fn reset(&self, id: u32) {
        self.write(&[&frame::reset(id)]).await;
    }

    /// Everything is on its way.
    pub(in crate::server) async fn flush(&self) {
        let _ = self.half.lock().await.0.flush().await;
    }
}
