//! SPDY/3.1's frames.

use bytes::{BufMut, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

/// Longest frame that we accept; clients send 32 KiB.
const FRAME_BYTES_MAX: usize = 1 << 20;
const FLAG_FIN: u8 = 1;

/// What comes in.
#[derive(Debug)]
pub(super) enum Frame {
    Open { id: u32, block: Bytes, last: bool },
    Data { id: u32, bytes: Bytes, last: bool },
    Reset { id: u32 },
    Ping { id: u32 },
    Away,
    Other,
}

/// Reads one frame; `None` at the end or when it is malformed.
pub(super) async fn read<R: AsyncRead + Unpin>(from: &mut R) -> Option<Frame> {
    let mut head = [0_u8; 8];
    from.read_exact(&mut head).await.ok()?;
    let word = u32::from_be_bytes([head[0], head[1], head[2], head[3]]);
    let last = head[4] & FLAG_FIN != 0;
    let length = usize::try_from(u32::from_be_bytes([0, head[5], head[6], head[7]])).ok()?;
    if length > FRAME_BYTES_MAX {
        return None;
    }
    let mut body = BytesMut::zeroed(length);
    from.read_exact(&mut body).await.ok()?;
    let body = body.freeze();
    if word & 0x8000_0000 == 0 {
        return Some(Frame::Data { id: word, bytes: body, last });
    }
    let number = |at: usize| -> Option<u32> {
        let bytes: [u8; 4] = body.get(at..at + 4)?.try_into().ok()?;
        Some(u32::from_be_bytes(bytes) & 0x7fff_ffff)
    };
    Some(match word & 0xffff {
        1 if length >= 10 => Frame::Open { id: number(0)?, block: body.slice(10..), last },
        3 => Frame::Reset { id: number(0)? },
        6 => Frame::Ping { id: u32::from_be_bytes(body.get(..4)?.try_into().ok()?) },
        7 => Frame::Away,
        _ => Frame::Other,
    })
}

fn control(kind: u16, flags: u8, body: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(8 + body.len());
    out.put_u16(0x8003);
    out.put_u16(kind);
    out.put_u8(flags);
    out.put_uint(body.len() as u64, 3);
    out.put_slice(body);
    out.freeze()
}

/// SYN_REPLY.
pub(super) fn reply(id: u32, block: &[u8]) -> Bytes {
    let mut body = id.to_be_bytes().to_vec();
    body.extend_from_slice(block);
    control(2, 0, &body)
}

/// RST_STREAM with CANCEL.
pub(super) fn reset(id: u32) -> Bytes {
    let mut body = id.to_be_bytes().to_vec();
    body.extend_from_slice(&5_u32.to_be_bytes());
    control(3, 0, &body)
}

/// PING, sent back as it came.
pub(super) fn pong(id: u32) -> Bytes {
    control(6, 0, &id.to_be_bytes())
}

/// The head of a data frame.
pub(super) fn data_head(id: u32, length: usize, last: bool) -> [u8; 8] {
    let id = (id & 0x7fff_ffff).to_be_bytes();
    let length = u32::try_from(length).unwrap_or_default().to_be_bytes();
    [id[0], id[1], id[2], id[3], u8::from(last) * FLAG_FIN, length[1], length[2], length[3]]
}
