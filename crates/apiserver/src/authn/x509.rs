//! Users of client certificates: the common name is the user, the organizations are the groups.

use super::User;
use super::der::element;

const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
const ORGANIZATION: &[u8] = &[0x55, 0x04, 0x0a];

/// The subject's attributes of a certificate, as (object identifier, text).
fn subject(certificate: &[u8]) -> Option<Vec<(Vec<u8>, String)>> {
    let (_, certificate, _) = element(certificate)?;
    let (_, tbs, _) = element(certificate)?;
    let mut rest = tbs;
    // An explicit version stands in front, then serial, algorithm, issuer, validity, subject.
    if let (0xa0, _, after) = element(rest)? {
        rest = after;
    }
    for _ in 0..4 {
        rest = element(rest)?.2;
    }
    let (_, mut names, _) = element(rest)?;
    let mut out = Vec::new();
    while !names.is_empty() {
        let (_, mut set, after) = element(names)?;
        names = after;
        while !set.is_empty() {
            let (_, pair, after) = element(set)?;
            set = after;
            let (_, oid, value) = element(pair)?;
            let (_, text, _) = element(value)?;
            out.push((oid.to_vec(), String::from_utf8_lossy(text).into_owned()));
        }
    }
    Some(out)
}

/// The user that a verified certificate stands for.
pub fn user(certificate: &[u8]) -> Option<User> {
    let attributes = subject(certificate)?;
    let of = |oid: &[u8]| -> Vec<String> {
        attributes.iter().filter(|(o, _)| o == oid).map(|(_, text)| text.clone()).collect()
    };
    let name = of(COMMON_NAME).into_iter().next().filter(|n| !n.is_empty())?;
    Some(User { name, uid: String::new(), groups: of(ORGANIZATION), extra: Vec::new() })
}
