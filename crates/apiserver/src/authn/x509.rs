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
    attributes(element(rest)?.1)
}

/// The attributes of a distinguished name.
fn attributes(mut names: &[u8]) -> Option<Vec<(Vec<u8>, String)>> {
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

/// The organizations that a certificate signing request asks for; `None` when its PEM text (in base64) is no request.
pub fn organizations_of_request(request: &str) -> Option<Vec<String>> {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    let pem = String::from_utf8(STANDARD.decode(request).ok()?).ok()?;
    let body = pem.split_once("-----BEGIN ")?.1.split_once("-----")?.1.split("-----END").next()?;
    let der = STANDARD.decode(body.split_whitespace().collect::<String>()).ok()?;
    let (_, request, _) = element(&der)?;
    let (_, info, _) = element(request)?;
    // The version stands in front of the subject.
    let (_, subject, _) = element(element(info)?.2)?;
    let all = attributes(subject)?.into_iter();
    Some(all.filter(|(oid, _)| oid == ORGANIZATION).map(|(_, text)| text).collect())
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

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;

    #[test]
    fn a_request_names_its_organizations() {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut parameters = rcgen::CertificateParams::default();
        parameters.distinguished_name.push(rcgen::DnType::OrganizationName, "system:masters");
        parameters.distinguished_name.push(rcgen::DnType::CommonName, "me");
        let pem = parameters.serialize_request(&key).unwrap().pem().unwrap();
        let text = base64::engine::general_purpose::STANDARD.encode(pem);
        assert_eq!(organizations_of_request(&text).unwrap(), ["system:masters"]);
        assert_eq!(organizations_of_request("YQ=="), None);
    }
}
