//! What etcd's errors mean. Only gRPC's codes and etcd's fixed texts are looked at
//! (etcd: `api/v3rpc/rpctypes/error.go`).

use std::error::Error as _;

use crate::Error;

/// gRPC's status codes, by number: tonic's type is not part of etcd-client's interface.
mod code {
    /// What a connection that closes under a request gives.
    pub(super) const CANCELLED: i32 = 1;
    pub(super) const UNKNOWN: i32 = 2;
    pub(super) const INVALID_ARGUMENT: i32 = 3;
    pub(super) const DEADLINE_EXCEEDED: i32 = 4;
    pub(super) const NOT_FOUND: i32 = 5;
    pub(super) const OUT_OF_RANGE: i32 = 11;
    pub(super) const INTERNAL: i32 = 13;
    pub(super) const UNAVAILABLE: i32 = 14;
}

/// What an error means for whoever asked.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The request had no effect for sure: nobody listens there, or the member has no leader.
    NotSent(String),
    /// It may have arrived or not.
    Unavailable(String),
    /// etcd answered and said no.
    Refused(Error),
}

pub(crate) fn classify(error: &etcd_client::Error) -> Cause {
    let status = match error {
        etcd_client::Error::GRpcStatus(status) => status,
        etcd_client::Error::TransportError(e) => return Cause::Unavailable(deepest(e)),
        etcd_client::Error::IoError(e) => return Cause::Unavailable(e.to_string()),
        other => return Cause::Refused(Error::Other(other.to_string())),
    };
    let message = status.message();
    match i32::from(status.code()) {
        code::OUT_OF_RANGE if message.contains("compacted") => {
            Cause::Refused(Error::Compacted { compact_revision: 0 })
        }
        code::OUT_OF_RANGE => Cause::Refused(Error::FutureRevision),
        code::NOT_FOUND if message.contains("lease") => Cause::Refused(Error::LeaseNotFound),
        code::INVALID_ARGUMENT if message.contains("too large") => {
            Cause::Refused(Error::TooLarge(message.to_owned()))
        }
        // Said before a request is looked at.
        code::UNAVAILABLE if message.contains("no leader") => Cause::NotSent(message.to_owned()),
        code::CANCELLED | code::UNAVAILABLE | code::DEADLINE_EXCEEDED | code::UNKNOWN | code::INTERNAL => {
            let why = status.source().map_or_else(|| message.to_owned(), deepest);
            if not_connected(status) { Cause::NotSent(why) } else { Cause::Unavailable(why) }
        }
        _ => Cause::Refused(Error::Other(message.to_owned())),
    }
}

type Dyn = dyn std::error::Error + 'static;

fn causes(error: &Dyn) -> impl Iterator<Item = &Dyn> {
    std::iter::successors(Some(error), |&e| e.source())
}

/// The innermost cause says what happened (`Connection refused`), the outer ones only where.
fn deepest(error: &Dyn) -> String {
    causes(error).last().map_or_else(|| error.to_string(), ToString::to_string)
}

fn not_connected(error: &Dyn) -> bool {
    use std::io::ErrorKind;
    causes(error).any(|e| {
        e.downcast_ref::<std::io::Error>().is_some_and(|io| {
            matches!(
                io.kind(),
                ErrorKind::ConnectionRefused
                    | ErrorKind::HostUnreachable
                    | ErrorKind::NetworkUnreachable
                    | ErrorKind::AddrNotAvailable
            )
        })
    })
}
