//! Connections to kubelets, pods and services: TCP, TLS where asked, one request on each.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use component_base::tls::AnyCertificate;
use http_body::Body as HttpBody;
use hyper::body::Incoming as NetBody;
use hyper_util::rt::TokioIo;
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::target::{Target, Trust};
use crate::http::body::BoxError;
use crate::options::Options;

/// Upstream's dialer gives up after this time.
const DIAL_TIMEOUT: Duration = Duration::from_secs(30);

/// Why a request could not be passed on, in the words of Go's clients.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// No connection.
    #[error("dial tcp {0}: {1}")]
    Dial(String, String),
    /// No secure connection.
    #[error("tls: {0}")]
    Tls(String),
    /// The connection ended early, or did not speak HTTP.
    #[error("{0}")]
    Http(String),
}

/// What is needed to connect.
pub struct Connector {
    kubelet: Arc<ClientConfig>,
    any: Arc<ClientConfig>,
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let found = read.map_err(|e| format!("{}: {e}", path.display()))?;
    if found.is_empty() { Err(format!("{}: no certificate", path.display())) } else { Ok(found) }
}

impl Connector {
    /// With the flags for kubelets.
    pub fn new(options: &Options) -> Result<Connector, String> {
        let provider = Arc::new(ring::default_provider());
        let builder = || {
            ClientConfig::builder_with_provider(provider.clone())
                .with_safe_default_protocol_versions()
                .map_err(|e| e.to_string())
        };
        // Pods and kubelets have certificates of their own.
        let trusting = || Arc::new(AnyCertificate(provider.clone()));
        let any = builder()?.dangerous().with_custom_certificate_verifier(trusting()).with_no_client_auth();
        let verified = match &options.kubelet_certificate_authority {
            None => builder()?.dangerous().with_custom_certificate_verifier(trusting()),
            Some(path) => {
                let mut roots = RootCertStore::empty();
                roots.add_parsable_certificates(certificates(path)?);
                builder()?.with_root_certificates(roots)
            }
        };
        let kubelet = match (&options.kubelet_client_certificate, &options.kubelet_client_key) {
            (Some(cert), Some(key)) => {
                let private =
                    PrivateKeyDer::from_pem_file(key).map_err(|e| format!("{}: {e}", key.display()))?;
                verified.with_client_auth_cert(certificates(cert)?, private).map_err(|e| e.to_string())?
            }
            _ => verified.with_no_client_auth(),
        };
        Ok(Connector { kubelet: Arc::new(kubelet), any: Arc::new(any) })
    }

    /// Sends one request on a connection of its own. The request's URI has path and query only.
    pub(super) async fn send<B>(
        &self,
        target: &Target,
        request: http::Request<B>,
    ) -> Result<http::Response<NetBody>, Error>
    where
        B: HttpBody + Send + Unpin + 'static,
        B::Data: Send,
        B::Error: Into<BoxError>,
    {
        let tcp = dial(target).await?;
        let config = match target.trust {
            Trust::Plain => return exchange(TokioIo::new(tcp), request).await,
            Trust::Kubelet => &self.kubelet,
            Trust::Any => &self.any,
        };
        let name = ServerName::try_from(target.host.clone()).map_err(|e| Error::Tls(e.to_string()))?;
        let secure = TlsConnector::from(config.clone()).connect(name, tcp);
        let secure = match tokio::time::timeout(DIAL_TIMEOUT, secure).await {
            Ok(done) => done.map_err(|e| Error::Tls(e.to_string()))?,
            Err(_) => return Err(Error::Tls("handshake timeout".into())),
        };
        exchange(TokioIo::new(secure), request).await
    }
}

async fn dial(target: &Target) -> Result<TcpStream, Error> {
    use std::io::ErrorKind;
    let address = target.address();
    let why = match tokio::time::timeout(DIAL_TIMEOUT, TcpStream::connect(&address)).await {
        Ok(Ok(stream)) => {
            // Interactive bytes are small.
            let _ = stream.set_nodelay(true);
            return Ok(stream);
        }
        Err(_) => "i/o timeout".to_owned(),
        Ok(Err(error)) => match error.kind() {
            ErrorKind::ConnectionRefused => "connect: connection refused".into(),
            ErrorKind::HostUnreachable => "connect: no route to host".into(),
            ErrorKind::NetworkUnreachable => "connect: network is unreachable".into(),
            ErrorKind::TimedOut => "connect: connection timed out".into(),
            _ => error.to_string(),
        },
    };
    Err(Error::Dial(address, why))
}

async fn exchange<I, B>(io: I, request: http::Request<B>) -> Result<http::Response<NetBody>, Error>
where
    I: hyper::rt::Read + hyper::rt::Write + Send + Unpin + 'static,
    B: HttpBody + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    let http = |e: hyper::Error| Error::Http(e.to_string());
    let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
        .title_case_headers(true)
        .handshake(io)
        .await
        .map_err(http)?;
    component_base::panics::spawn(async move {
        if let Err(error) = connection.with_upgrades().await {
            tracing::debug!(%error, "relayed connection");
        }
    });
    sender.send_request(request).await.map_err(http)
}
