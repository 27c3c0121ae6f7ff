//! One HTTP GET without a connection pool. Certificates are not checked, as upstream does not for probes.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use component_base::tls::AnyCertificate;
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::dial_error;

/// The status code.
pub async fn get(
    host: &str,
    port: u16,
    path: &str,
    headers: &[(String, String)],
    tls: bool,
    timeout: Duration,
) -> Result<u16, String> {
    let work = async {
        let stream = TcpStream::connect((host, port))
            .await
            .map_err(|e| format!("dial tcp {host}:{port}: {}", dial_error(&e)))?;
        if !tls {
            return exchange(stream, host, port, path, headers).await;
        }
        let name = ServerName::try_from(host.to_owned()).map_err(|e| e.to_string())?;
        let connector = tokio_rustls::TlsConnector::from(unchecked()?);
        let stream = connector.connect(name, stream).await.map_err(|e| e.to_string())?;
        exchange(stream, host, port, path, headers).await
    };
    let late = || "context deadline exceeded (Client.Timeout exceeded while awaiting headers)".to_owned();
    tokio::time::timeout(timeout, work).await.unwrap_or_else(|_| Err(late()))
}

async fn exchange<S>(
    stream: S,
    host: &str,
    port: u16,
    path: &str,
    headers: &[(String, String)],
) -> Result<u16, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|e| e.to_string())?;
    // Dropping the task ends the connection.
    let task = tokio::spawn(connection);
    let mut request = http::Request::get(path);
    let has = |name: &str| headers.iter().any(|(n, _)| n.eq_ignore_ascii_case(name));
    if !has("host") {
        request = request.header("Host", format!("{host}:{port}"));
    }
    if !has("user-agent") {
        request = request.header("User-Agent", "kube-probe/1.36");
    }
    if !has("accept") {
        request = request.header("Accept", "*/*");
    }
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let request =
        request.header("Connection", "close").body(Empty::<Bytes>::new()).map_err(|e| e.to_string())?;
    let response = sender.send_request(request).await.map_err(|e| e.to_string());
    let status = match response {
        Ok(response) => {
            let status = response.status().as_u16();
            // A short look at the body lets the server end in peace.
            let _ = tokio::time::timeout(Duration::from_millis(100), response.into_body().frame()).await;
            Ok(status)
        }
        Err(e) => Err(e),
    };
    task.abort();
    status
}

fn unchecked() -> Result<Arc<rustls::ClientConfig>, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|e| e.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        .with_no_client_auth();
    Ok(Arc::new(config))
}
