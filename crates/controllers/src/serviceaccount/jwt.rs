//! Signed tokens with the claims of v1.10 (upstream's `pkg/serviceaccount/legacy.go`).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

/// Why a key file is no use.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file has no private key that we know.
    #[error("data does not contain a valid RSA or ECDSA private key")]
    Unknown,
    /// The key is broken.
    #[error("{0}")]
    Invalid(#[from] jsonwebtoken::errors::Error),
}

/// Signs tokens.
#[derive(Clone)]
pub struct Signer {
    key: EncodingKey,
    algorithm: Algorithm,
}

impl Signer {
    /// A signer from PEM text: RSA (PKCS#1 or PKCS#8) or ECDSA P-256 (SEC 1 or PKCS#8).
    pub fn from_pem(pem: &[u8]) -> Result<Self, KeyError> {
        let text = String::from_utf8_lossy(pem);
        if text.contains("BEGIN EC PRIVATE KEY") {
            let key = sec1_to_pkcs8(&text).ok_or(KeyError::Unknown)?;
            return Ok(Self { key: EncodingKey::from_ec_pem(key.as_bytes())?, algorithm: Algorithm::ES256 });
        }
        if let Ok(key) = EncodingKey::from_rsa_pem(pem) {
            let signer = Self { key, algorithm: Algorithm::RS256 };
            // Some parsers accept any PKCS#8 key as RSA and fail when signing.
            if signer.sign(&json!({})).is_ok() {
                return Ok(signer);
            }
        }
        let signer = Self {
            key: EncodingKey::from_ec_pem(pem).map_err(|_| KeyError::Unknown)?,
            algorithm: Algorithm::ES256,
        };
        signer.sign(&json!({})).map_err(|_| KeyError::Unknown)?;
        Ok(signer)
    }

    fn sign(&self, claims: &Value) -> Result<String, KeyError> {
        Ok(jsonwebtoken::encode(&Header::new(self.algorithm), claims, &self.key)?)
    }

    /// The token of a secret of an account.
    pub fn token(&self, namespace: &str, account: &str, uid: &str, secret: &str) -> Result<String, KeyError> {
        self.sign(&json!({
            "iss": "kubernetes/serviceaccount",
            "kubernetes.io/serviceaccount/namespace": namespace,
            "kubernetes.io/serviceaccount/secret.name": secret,
            "kubernetes.io/serviceaccount/service-account.name": account,
            "kubernetes.io/serviceaccount/service-account.uid": uid,
            "sub": format!("system:serviceaccount:{namespace}:{account}"),
        }))
    }
}

/// Wraps a SEC 1 key of the curve P-256 into PKCS#8, which is what the signing library reads.
fn sec1_to_pkcs8(pem: &str) -> Option<String> {
    let body = pem.split("-----BEGIN EC PRIVATE KEY-----").nth(1)?.split("-----END").next()?;
    let packed: String = body.split_whitespace().collect();
    let der = STANDARD.decode(packed).ok()?;
    // version 0, algorithm { id-ecPublicKey, prime256v1 }
    const ALGORITHM: [u8; 24] = [
        0x02, 0x01, 0x00, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
        0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07,
    ];
    let sequence = |tag: u8, content: &[u8]| -> Option<Vec<u8>> {
        let length = u8::try_from(content.len()).ok()?;
        let mut out = if length < 0x80 { vec![tag, length] } else { vec![tag, 0x81, length] };
        out.extend_from_slice(content);
        Some(out)
    };
    let mut content = ALGORITHM.to_vec();
    content.extend(sequence(0x04, &der)?);
    let whole = sequence(0x30, &content)?;
    Some(format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(whole)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEC1: &str = include_str!("testdata/ec-sec1.pem");
    const PKCS8: &str = include_str!("testdata/ec-pkcs8.pem");
    const RSA: &str = include_str!("testdata/rsa-pkcs1.pem");
    const RSA8: &str = include_str!("testdata/rsa-pkcs8.pem");

    #[test]
    fn signs_with_every_key_format() {
        for (pem, algorithm) in [(SEC1, "ES256"), (PKCS8, "ES256"), (RSA, "RS256"), (RSA8, "RS256")] {
            let token = Signer::from_pem(pem.as_bytes())
                .unwrap()
                .token("ns", "default", "u-1", "default-token-x")
                .unwrap();
            let parts: Vec<_> = token.split('.').collect();
            let part = |at: usize| -> Value {
                let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(parts[at]).unwrap();
                serde_json::from_slice(&bytes).unwrap()
            };
            assert_eq!(part(0)["alg"], algorithm);
            assert_eq!(part(1)["sub"], "system:serviceaccount:ns:default");
            assert_eq!(part(1)["kubernetes.io/serviceaccount/secret.name"], "default-token-x");
        }
        assert!(Signer::from_pem(b"nonsense").is_err());
    }
}
