//! Service account tokens: which keys check them, which key signs them, what they say.

use api::Value;
use base64::Engine;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use rcgen::{KeyPair, PublicKeyData};
use serde_json::json;

use super::{User, jwks};
use crate::Server;
use crate::registry::obj;

/// Who issues the tokens that lie in secrets.
const LEGACY_ISSUER: &str = "kubernetes/serviceaccount";

struct Verifier {
    algorithm: Algorithm,
    key: DecodingKey,
    /// The key as others may read it.
    jwk: Option<Value>,
}

/// The key that signs, with its name for token headers.
struct Signer {
    algorithm: Algorithm,
    key: EncodingKey,
    id: String,
}

/// The keys of service account tokens.
#[derive(Default)]
pub struct Keys {
    verifiers: Vec<Verifier>,
    signer: Option<Signer>,
    issuers: Vec<String>,
    audiences: Vec<String>,
}

/// A checked token: its user and the audiences that it is good for here.
pub struct Checked {
    /// The service account as a user.
    pub user: User,
    /// The audiences that were asked for and that the token has.
    pub audiences: Vec<String>,
}

impl Keys {
    /// Keys from PEM texts (private or public), a signing key, and who issues tokens for whom.
    pub fn new(
        verify: &[String],
        sign: Option<&str>,
        issuers: &[String],
        audiences: &[String],
    ) -> Result<Keys, String> {
        let mut verifiers = Vec::new();
        for pem in verify.iter().map(String::as_str).chain(sign) {
            verifiers.push(verifier(pem)?);
        }
        let signer = sign.map(signer).transpose()?;
        let audiences = if audiences.is_empty() { issuers } else { audiences };
        Ok(Keys { verifiers, signer, issuers: issuers.to_vec(), audiences: audiences.to_vec() })
    }

    /// The issuer of new tokens.
    pub fn issuer(&self) -> &str {
        self.issuers.first().map(String::as_str).unwrap_or_default()
    }

    /// The audiences of this server.
    pub fn audiences(&self) -> &[String] {
        &self.audiences
    }

    /// Whether tokens can be made at all.
    pub const fn signs(&self) -> bool {
        self.signer.is_some()
    }

    /// Signs a token.
    pub fn sign(&self, claims: &Value) -> Option<String> {
        let signer = self.signer.as_ref()?;
        let mut header = Header::new(signer.algorithm);
        header.typ = None;
        header.kid = Some(signer.id.clone());
        jsonwebtoken::encode(&header, claims, &signer.key).ok()
    }

    /// Checks a token's signature, times, issuer, audience, and that what it is bound to still exists.
    pub async fn authenticate(&self, server: &Server, token: &str, audiences: &[String]) -> Option<Checked> {
        if token.split('.').count() != 3 {
            return None;
        }
        let claims = self.verifiers.iter().find_map(|v| claims(v, token))?;
        let issuer = claims.get("iss").and_then(Value::as_str).unwrap_or_default();
        let legacy = issuer == LEGACY_ISSUER;
        if !legacy && !self.issuers.iter().any(|i| i == issuer) {
            return None;
        }
        let of_token = match claims.get("aud") {
            Some(Value::String(one)) => vec![one.clone()],
            other => obj::strings(other),
        };
        let wanted = if audiences.is_empty() { &self.audiences } else { audiences };
        let of_token = if of_token.is_empty() { self.audiences.clone() } else { of_token };
        let good: Vec<String> = wanted.iter().filter(|a| of_token.contains(a)).cloned().collect();
        if good.is_empty() {
            return None;
        }
        let bound = bound(&claims, legacy)?;
        let user = bound.check(server, token, legacy).await?;
        Some(Checked { user, audiences: good })
    }
}

/// What a token is bound to.
struct Bound {
    namespace: String,
    account: String,
    account_uid: String,
    secret: String,
    pod: Option<(String, String)>,
    node: Option<(String, String)>,
    id: String,
}

fn bound(claims: &Value, legacy: bool) -> Option<Bound> {
    let text = |v: Option<&Value>| v.and_then(Value::as_str).unwrap_or_default().to_owned();
    if legacy {
        let of = |name: &str| text(claims.get(format!("kubernetes.io/serviceaccount/{name}")));
        return Some(Bound {
            namespace: of("namespace"),
            account: of("service-account.name"),
            account_uid: of("service-account.uid"),
            secret: of("secret.name"),
            pod: None,
            node: None,
            id: String::new(),
        });
    }
    let private = claims.get("kubernetes.io")?;
    let reference = |name: &str| {
        private.get(name).map(|r| (text(r.get("name")), text(r.get("uid")))).filter(|(n, _)| !n.is_empty())
    };
    let (account, account_uid) = reference("serviceaccount")?;
    Some(Bound {
        namespace: text(private.get("namespace")),
        account,
        account_uid,
        secret: reference("secret").map(|(n, _)| n).unwrap_or_default(),
        pod: reference("pod"),
        node: reference("node"),
        id: text(claims.get("jti")),
    })
}

impl Bound {
    async fn find(
        &self,
        server: &Server,
        plural: &str,
        name: &str,
    ) -> Option<crate::registry::storage::Stored> {
        let resource = server.registry().builtin("", plural).ok()?;
        server.storage().get(&resource, &self.namespace, name).await.ok().flatten()
    }

    async fn check(self, server: &Server, token: &str, legacy: bool) -> Option<User> {
        let account = self.find(server, "serviceaccounts", &self.account).await?;
        if obj::uid(&account.object) != self.account_uid {
            return None;
        }
        if !self.secret.is_empty() {
            let secret = self.find(server, "secrets", &self.secret).await?;
            if legacy {
                use base64::engine::general_purpose::STANDARD;
                let kept = STANDARD.decode(obj::text_at(&secret.object, "data.token")).ok()?;
                if kept != token.as_bytes() || obj::deleting(&secret.object) {
                    return None;
                }
            }
        }
        if let Some((name, uid)) = &self.pod {
            let pod = self.find(server, "pods", name).await?;
            if obj::uid(&pod.object) != uid {
                return None;
            }
        }
        let mut user = service_account_user(&self.namespace, &self.account, &self.account_uid);
        let mut note = |key: &str, value: &str| {
            user.extra.push((format!("authentication.kubernetes.io/{key}"), vec![value.to_owned()]));
        };
        if let Some((name, uid)) = &self.pod {
            note("pod-name", name);
            note("pod-uid", uid);
        }
        if let Some((name, uid)) = &self.node {
            note("node-name", name);
            note("node-uid", uid);
        }
        if !self.id.is_empty() {
            note("credential-id", &format!("JTI={}", self.id));
        }
        Some(user)
    }
}

/// The user that a service account is.
pub fn service_account_user(namespace: &str, name: &str, uid: &str) -> User {
    User {
        name: format!("system:serviceaccount:{namespace}:{name}"),
        uid: uid.to_owned(),
        groups: vec!["system:serviceaccounts".into(), format!("system:serviceaccounts:{namespace}")],
        extra: Vec::new(),
    }
}

fn claims(verifier: &Verifier, token: &str) -> Option<Value> {
    let mut validation = Validation::new(verifier.algorithm);
    validation.validate_aud = false;
    validation.validate_nbf = true;
    validation.leeway = 60;
    validation.required_spec_claims.clear();
    jsonwebtoken::decode::<Value>(token, &verifier.key, &validation).ok().map(|t| t.claims)
}

fn verifier(pem: &str) -> Result<Verifier, String> {
    if pem.contains("PRIVATE KEY") {
        let pair = KeyPair::from_pem(pem).map_err(|e| e.to_string())?;
        return public(&pair.public_key_pem(), pair.algorithm() == &rcgen::PKCS_ECDSA_P256_SHA256);
    }
    public(pem, false).or_else(|_| public(pem, true))
}

fn public(pem: &str, elliptic: bool) -> Result<Verifier, String> {
    let (key, algorithm) = if elliptic {
        (DecodingKey::from_ec_pem(pem.as_bytes()), Algorithm::ES256)
    } else {
        (DecodingKey::from_rsa_pem(pem.as_bytes()), Algorithm::RS256)
    };
    let jwk = jwks::spki_of_pem(pem).and_then(|spki| jwks::jwk(&spki));
    Ok(Verifier { algorithm, key: key.map_err(|e| e.to_string())?, jwk })
}

fn signer(pem: &str) -> Result<Signer, String> {
    let pair = KeyPair::from_pem(pem).map_err(|e| e.to_string())?;
    let elliptic = pair.algorithm() == &rcgen::PKCS_ECDSA_P256_SHA256;
    let key = if elliptic {
        EncodingKey::from_ec_pem(pair.serialize_pem().as_bytes())
    } else {
        EncodingKey::from_rsa_pem(pair.serialize_pem().as_bytes())
    };
    let algorithm = if elliptic { Algorithm::ES256 } else { Algorithm::RS256 };
    let id = jwks::key_id(&pair.subject_public_key_info());
    Ok(Signer { algorithm, key: key.map_err(|e| e.to_string())?, id })
}

impl Keys {
    /// The public keys as a JSON Web Key Set.
    pub fn jwks(&self) -> Value {
        let mut keys: Vec<&Value> = Vec::new();
        for key in self.verifiers.iter().filter_map(|v| v.jwk.as_ref()) {
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        json!({"keys": keys})
    }

    /// What `/.well-known/openid-configuration` says.
    pub fn discovery(&self, jwks_uri: &str) -> Value {
        let mut algorithms: Vec<&str> =
            self.verifiers.iter().filter_map(|v| v.jwk.as_ref()?.get("alg")?.as_str()).collect();
        algorithms.sort_unstable();
        algorithms.dedup();
        json!({
            "issuer": self.issuer(), "jwks_uri": jwks_uri, "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"], "id_token_signing_alg_values_supported": algorithms,
        })
    }
}
