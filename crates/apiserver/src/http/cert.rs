//! The server's own certificate: read, or made once and kept in the certificate folder.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, SanType,
};
use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// What may go wrong with certificate files.
#[derive(Debug, thiserror::Error)]
pub enum CertError {
    /// A file cannot be read or written.
    #[error("{0}: {1}")]
    File(PathBuf, std::io::Error),
    /// A file holds no usable certificate or key.
    #[error("{0}: {1}")]
    Content(PathBuf, String),
    /// A certificate cannot be made.
    #[error("making a certificate: {0}")]
    Make(#[from] rcgen::Error),
    /// The pair does not work for TLS.
    #[error("serving certificate: {0}")]
    Tls(#[from] rustls::Error),
}

/// Certificate and key in PEM.
pub struct Pair {
    /// The certificate chain.
    pub cert: String,
    /// The private key.
    pub key: String,
}

fn read(path: &Path) -> Result<String, CertError> {
    std::fs::read_to_string(path).map_err(|e| CertError::File(path.to_path_buf(), e))
}

/// The pair in these two files.
pub fn load(cert: &Path, key: &Path) -> Result<Pair, CertError> {
    Ok(Pair { cert: read(cert)?, key: read(key)? })
}

/// `apiserver.crt` and `apiserver.key` in `dir`, made when they are not both there.
///
/// The file holds the serving certificate and the CA that signed it, as upstream's `GenerateSelfSignedCertKey` has it, so
/// that the same file serves as the root that pods trust. The CA's key is thrown away.
pub fn load_or_make(dir: &Path, names: &[String], addresses: &[IpAddr]) -> Result<Pair, CertError> {
    let (cert, key) = (dir.join("apiserver.crt"), dir.join("apiserver.key"));
    if cert.exists() && key.exists() {
        return load(&cert, &key);
    }
    let pair = make(names, addresses)?;
    std::fs::create_dir_all(dir).map_err(|e| CertError::File(dir.to_path_buf(), e))?;
    write_private(&key, &pair.key)?;
    std::fs::write(&cert, &pair.cert).map_err(|e| CertError::File(cert.clone(), e))?;
    tracing::info!(cert = %cert.display(), key = %key.display(), "Using self-signed cert");
    Ok(pair)
}

fn write_private(path: &Path, text: &str) -> Result<(), CertError> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut f| f.write_all(text.as_bytes()))
        .map_err(|e| CertError::File(path.to_path_buf(), e))
}

/// A serving certificate for these names and addresses, signed by a CA of its own. One certificate that is both would do
/// for OpenSSL and Go; rustls refuses it (`CaUsedAsEndEntity`).
pub fn make(names: &[String], addresses: &[IpAddr]) -> Result<Pair, CertError> {
    let common_name = addresses.first().map_or_else(|| "kube-apiserver".to_owned(), ToString::to_string);
    let made_at = jiff::Timestamp::now().as_second();
    let params = |names: &[String], common_name: String| -> Result<CertificateParams, CertError> {
        let mut params = CertificateParams::new(names.to_vec())?;
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, common_name);
        let now = time_now();
        params.not_before = now - std::time::Duration::from_secs(3600);
        params.not_after = now + std::time::Duration::from_secs(365 * 24 * 3600);
        Ok(params)
    };
    let mut ca = params(&[], format!("{common_name}-ca@{made_at}"))?;
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.key_usages = vec![
        KeyUsagePurpose::DigitalSignature,
        KeyUsagePurpose::KeyEncipherment,
        KeyUsagePurpose::KeyCertSign,
    ];
    let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?)?;

    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
    let mut leaf = params(names, format!("{common_name}@{made_at}"))?;
    leaf.subject_alt_names.extend(addresses.iter().map(|a| SanType::IpAddress(*a)));
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    leaf.use_authority_key_identifier_extension = true;
    let leaf = leaf.signed_by(&key, &ca)?;
    Ok(Pair { cert: leaf.pem() + &ca.pem(), key: key.serialize_pem() })
}

fn time_now() -> time::OffsetDateTime {
    time::OffsetDateTime::now_utc()
}

/// TLS for the secure port: HTTP/2 and HTTP/1.1, client certificates against `client_ca` when it is given.
pub fn tls(pair: &Pair, client_ca: Option<&Path>) -> Result<ServerConfig, CertError> {
    let here = PathBuf::from("tls-cert-file");
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(pair.cert.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|e| CertError::Content(here.clone(), e.to_string()))?;
    let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes())
        .map_err(|e| CertError::Content(PathBuf::from("tls-private-key-file"), e.to_string()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()?;
    let builder = match client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = rustls::RootCertStore::empty();
            for cert in CertificateDer::pem_slice_iter(read(path)?.as_bytes()) {
                let cert = cert.map_err(|e| CertError::Content(path.to_path_buf(), e.to_string()))?;
                roots.add(cert)?;
            }
            let verifier =
                rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                    .allow_unauthenticated()
                    .build()
                    .map_err(|e| CertError::Content(path.to_path_buf(), e.to_string()))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder.with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}
