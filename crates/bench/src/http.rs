//! HTTP/1.1 on one kept connection: as little as a load generator needs. Requests come encoded; answers are read whole
//! into one buffer that is used again, or chunk by chunk.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::Error;

/// What a connection runs on: TCP, or TLS on it.
pub(crate) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// So much is read at once at least.
const READ_MIN: usize = 64 * 1024;

/// How long a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Length {
    Known(usize),
    Chunked,
}

/// See the module.
pub(crate) struct Connection {
    io: Box<dyn Io>,
    /// Bytes that were read; those before `at` are used up.
    buffer: Vec<u8>,
    at: usize,
    body: Vec<u8>,
}

fn bad(what: &str) -> Error {
    Error::Answer(format!("the server's answer is not HTTP/1.1: {what}"))
}

/// Status and length of the body.
fn parse_head(head: &[u8]) -> Result<(u16, Length), Error> {
    let head = std::str::from_utf8(head).map_err(|_| bad("the head is not text"))?;
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|l| l.split(' ').nth(1)).and_then(|s| s.parse().ok());
    let status: u16 = status.ok_or_else(|| bad("no status"))?;
    let mut length = Length::Known(0);
    for line in lines {
        let Some((name, value)) = line.split_once(':') else { continue };
        if name.eq_ignore_ascii_case("content-length") {
            length = Length::Known(value.trim().parse().map_err(|_| bad("content-length"))?);
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            length = Length::Chunked;
        }
    }
    Ok((status, length))
}

impl Connection {
    pub(crate) fn new(io: Box<dyn Io>) -> Connection {
        Connection { io, buffer: Vec::with_capacity(READ_MIN), at: 0, body: Vec::new() }
    }

    /// Reads more; an error at the end.
    async fn fill(&mut self) -> Result<(), Error> {
        if self.at == self.buffer.len() {
            self.buffer.clear();
            self.at = 0;
        } else if self.at > READ_MIN {
            self.buffer.drain(..self.at);
            self.at = 0;
        }
        if self.buffer.capacity() - self.buffer.len() < READ_MIN / 2 {
            self.buffer.reserve(READ_MIN);
        }
        match self.io.read_buf(&mut self.buffer).await? {
            0 => Err(Error::Answer("the server closed the connection".into())),
            _ => Ok(()),
        }
    }

    /// Sends a request and reads the answer's head.
    async fn begin(&mut self, request: &[u8]) -> Result<(u16, Length), Error> {
        self.io.write_all(request).await?;
        self.io.flush().await?;
        loop {
            let unread = &self.buffer[self.at..];
            if let Some(end) = memchr::memmem::find(unread, b"\r\n\r\n") {
                let head = parse_head(&unread[..end])?;
                self.at += end + 4;
                return Ok(head);
            }
            self.fill().await?;
        }
    }

    /// Sends a request; gives the status and the whole body.
    pub(crate) async fn send(&mut self, request: &[u8]) -> Result<(u16, &[u8]), Error> {
        let (status, length) = self.begin(request).await?;
        self.body.clear();
        match length {
            Length::Known(length) => {
                let have = (self.buffer.len() - self.at).min(length);
                self.body.extend_from_slice(&self.buffer[self.at..self.at + have]);
                self.at += have;
                self.body.reserve(length - have);
                let mut rest = (&mut self.io).take((length - have) as u64);
                while self.body.len() < length {
                    if rest.read_buf(&mut self.body).await? == 0 {
                        return Err(Error::Answer("the body broke off".into()));
                    }
                }
            }
            Length::Chunked => {
                let mut body = std::mem::take(&mut self.body);
                while self.chunk(&mut body).await? {}
                self.body = body;
            }
        }
        Ok((status, &self.body))
    }

    /// Sends a request whose answer goes on: the chunks follow.
    pub(crate) async fn open(&mut self, request: &[u8]) -> Result<(), Error> {
        let (status, length) = self.begin(request).await?;
        match (status, length) {
            (200, Length::Chunked) => Ok(()),
            (200, Length::Known(_)) => Err(Error::Answer("the watch has an end".into())),
            (status, _) => Err(Error::Answer(format!("the watch was refused: {status}"))),
        }
    }

    /// Appends the next chunk; false at the end of the body.
    pub(crate) async fn chunk(&mut self, out: &mut Vec<u8>) -> Result<bool, Error> {
        let mut left = loop {
            let unread = &self.buffer[self.at..];
            if let Some(end) = memchr::memmem::find(unread, b"\r\n") {
                let line = std::str::from_utf8(&unread[..end]).map_err(|_| bad("a chunk's size"))?;
                let size = line.split(';').next().unwrap_or_default().trim();
                let size = usize::from_str_radix(size, 16).map_err(|_| bad("a chunk's size"))?;
                self.at += end + 2;
                break size;
            }
            self.fill().await?;
        };
        let last = left == 0;
        while left > 0 {
            if self.at == self.buffer.len() {
                self.fill().await?;
            }
            let have = (self.buffer.len() - self.at).min(left);
            out.extend_from_slice(&self.buffer[self.at..self.at + have]);
            self.at += have;
            left -= have;
        }
        while self.buffer.len() - self.at < 2 {
            self.fill().await?;
        }
        self.at += 2;
        Ok(!last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn answered(answer: &'static [u8]) -> Connection {
        let (ours, mut theirs) = tokio::io::duplex(7);
        tokio::spawn(async move {
            let mut request = [0; 4];
            theirs.read_exact(&mut request).await.unwrap();
            theirs.write_all(answer).await.unwrap();
        });
        Connection::new(Box::new(ours))
    }

    #[tokio::test]
    async fn bodies_of_known_length_and_in_chunks() {
        let mut whole =
            answered(b"HTTP/1.1 201 Created\r\ncontent-length: 11\r\nA: b\r\n\r\nhello world").await;
        assert_eq!(whole.send(b"GET ").await.unwrap(), (201, &b"hello world"[..]));
        let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=y\r\n world\r\n0\r\n\r\n";
        let mut parts = answered(chunked).await;
        assert_eq!(parts.send(b"GET ").await.unwrap(), (200, &b"hello world"[..]));
        let mut watch = answered(chunked).await;
        watch.open(b"GET ").await.unwrap();
        let mut out = Vec::new();
        assert!(watch.chunk(&mut out).await.unwrap());
        assert_eq!(out, b"hello");
        assert!(watch.chunk(&mut out).await.unwrap());
        assert!(!watch.chunk(&mut out).await.unwrap());
    }
}
