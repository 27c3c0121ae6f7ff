//! Public keys as JSON Web Keys (`pkg/serviceaccount/openidmetadata.go`), read out of their DER form.

use api::Value;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::json;

use super::der::element;

/// The name of a key: a hash of its `SubjectPublicKeyInfo`.
pub(super) fn key_id(spki: &[u8]) -> String {
    use sha2::Digest;
    URL_SAFE_NO_PAD.encode(sha2::Sha256::digest(spki))
}

/// A key as a JSON Web Key; `None` for a kind of key that signs no tokens.
pub(super) fn jwk(spki: &[u8]) -> Option<Value> {
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let mut rest = sequence(spki)?;
    let algorithm = value(&mut rest, SEQUENCE)?;
    // The first byte of a bit string says how many bits are unused.
    let key = value(&mut rest, BIT_STRING)?.strip_prefix(&[0])?;
    let mut key_json = if contains(algorithm, &RSA) {
        let mut numbers = sequence(key)?;
        let (n, e) = (value(&mut numbers, INTEGER)?, value(&mut numbers, INTEGER)?);
        json!({"kty": "RSA", "alg": "RS256", "n": encode(unsigned(n)), "e": encode(unsigned(e))})
    } else {
        let point = key.strip_prefix(&[UNCOMPRESSED])?;
        let (x, y) = point.split_at(point.len() / 2);
        let (curve, algorithm) = match x.len() {
            32 => ("P-256", "ES256"),
            48 => ("P-384", "ES384"),
            66 => ("P-521", "ES512"),
            _ => return None,
        };
        json!({"kty": "EC", "alg": algorithm, "crv": curve, "x": encode(x), "y": encode(y)})
    };
    key_json["use"] = "sig".into();
    key_json["kid"] = key_id(spki).into();
    Some(key_json)
}

/// The DER form of a public key in a PEM text, as `SubjectPublicKeyInfo`.
pub(super) fn spki_of_pem(pem: &str) -> Option<Vec<u8>> {
    let (head, body) = pem.split_once("-----BEGIN ")?.1.split_once("-----")?;
    let base64: String = body.split("-----END").next()?.split_whitespace().collect();
    let der = STANDARD.decode(base64).ok()?;
    match head {
        "PUBLIC KEY" => Some(der),
        // PKCS#1 lacks the frame.
        "RSA PUBLIC KEY" => {
            let mut bits = vec![0];
            bits.extend(der);
            let mut inner = RSA_ALGORITHM.to_vec();
            inner.extend(tagged(BIT_STRING, &bits));
            Some(tagged(SEQUENCE, &inner))
        }
        _ => None,
    }
}

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const SEQUENCE: u8 = 0x30;
const UNCOMPRESSED: u8 = 0x04;
/// The object identifier 1.2.840.113549.1.1.1.
const RSA: [u8; 9] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
/// The same as an algorithm with null parameters.
const RSA_ALGORITHM: [u8; 15] =
    [SEQUENCE, 13, 0x06, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0];

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|w| w == part)
}

/// A number without the byte that keeps it positive.
fn unsigned(number: &[u8]) -> &[u8] {
    number.strip_prefix(&[0]).unwrap_or(number)
}

fn sequence(mut der: &[u8]) -> Option<&[u8]> {
    value(&mut der, SEQUENCE)
}

/// The contents of the next value, which must have the tag.
fn value<'a>(rest: &mut &'a [u8], tag: u8) -> Option<&'a [u8]> {
    let (found, contents, more) = element(rest)?;
    *rest = more;
    (found == tag).then_some(contents)
}

fn tagged(tag: u8, contents: &[u8]) -> Vec<u8> {
    let length = contents.len().to_be_bytes();
    let short: Vec<u8> = length.iter().copied().skip_while(|b| *b == 0).collect();
    let mut out = vec![tag];
    match short.as_slice() {
        [] => out.push(0),
        [one] if *one < 0x80 => out.push(*one),
        // A length fits into eight bytes.
        bytes => {
            out.push(0x80 | u8::try_from(bytes.len()).unwrap_or(8));
            out.extend(bytes);
        }
    }
    out.extend(contents);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::PublicKeyData;

    #[test]
    fn an_elliptic_key_has_its_point() {
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let spki = spki_of_pem(&pair.public_key_pem()).unwrap();
        assert_eq!(spki, pair.subject_public_key_info());
        let key = jwk(&spki).unwrap();
        assert_eq!((&key["kty"], &key["crv"], &key["alg"]), (&"EC".into(), &"P-256".into(), &"ES256".into()));
        let x = URL_SAFE_NO_PAD.decode(key["x"].as_str().unwrap()).unwrap();
        assert!(contains(&spki, &x) && x.len() == 32);
    }

    #[test]
    fn both_forms_of_an_rsa_key_are_the_same_key() {
        let (n, e) = ([0, 0xc1, 2, 3], [1, 0, 1]);
        let numbers = [tagged(INTEGER, &n), tagged(INTEGER, &e)].concat();
        let body = STANDARD.encode(tagged(SEQUENCE, &numbers));
        let pem = format!("-----BEGIN RSA PUBLIC KEY-----\n{body}\n-----END RSA PUBLIC KEY-----\n");
        let key = jwk(&spki_of_pem(&pem).unwrap()).unwrap();
        assert_eq!((&key["n"], &key["e"], &key["kty"]), (&"wQID".into(), &"AQAB".into(), &"RSA".into()));
    }
}
