//! `kubectl port-forward` (upstream v1.10: `pkg/kubectl/cmd/portforward.go`).

use tokio::net::TcpListener;

use crate::cli::Flags;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::stream::{pods, upgrade_error};
use crate::value::Json;

/// `80`, `8080:80`, `:80` as (local, remote).
fn parse(text: &str) -> Result<(u16, u16)> {
    let bad = || Error::Message(format!("Invalid port format '{text}'"));
    let (local, remote) = text.split_once(':').unwrap_or((text, text));
    let local = if local.is_empty() { 0 } else { local.parse().map_err(|_| bad())? };
    let remote: u16 = remote.parse().map_err(|_| bad())?;
    if remote == 0 {
        return Err("Remote port must be > 0".into());
    }
    Ok((local, remote))
}

/// Runs `port-forward`.
pub(crate) fn run(ctx: &mut Context, flags: &Flags, words: &[String]) -> Result {
    let Some((name, ports)) = words.split_first() else {
        return Err(flags.usage("TYPE/NAME and list of ports are required for port-forward"));
    };
    if ports.is_empty() {
        return Err(flags.usage("TYPE/NAME and list of ports are required for port-forward"));
    }
    let pod = super::logs::find_pod(ctx, flags, name)?;
    if pod.s("status.phase") != "Running" {
        return Err(format!(
            "unable to forward port because pod is not running. Current status={}",
            pod.s("status.phase")
        )
        .into());
    }
    let ports = ports.iter().map(|p| parse(p)).collect::<Result<Vec<_>>>()?;
    let http = ctx.http()?;
    let api = pods(&http, pod.s("metadata.namespace"));
    let pod_name = pod.s("metadata.name").to_string();
    http.block_on(async {
        let mut serving = Vec::new();
        for (local, remote) in ports {
            let listener = TcpListener::bind(("127.0.0.1", local))
                .await
                .map_err(|e| format!("unable to listen on port {local}: {e}"))?;
            let local = listener.local_addr()?.port();
            crate::print::out(&format!("Forwarding from 127.0.0.1:{local} -> {remote}\n"))?;
            serving.push(serve(listener, api.clone(), pod_name.clone(), local, remote));
        }
        tokio::select! {
            r = futures::future::try_join_all(serving) => r.map(|_| ()),
            r = tokio::signal::ctrl_c() => r.map_err(Error::from),
        }
    })
}

/// Accepts connections for ever, each with a stream of its own.
async fn serve(
    listener: TcpListener,
    api: kube::Api<k8s_openapi::api::core::v1::Pod>,
    pod: String,
    local: u16,
    remote: u16,
) -> Result {
    loop {
        let (mut connection, _) = listener.accept().await?;
        crate::print::out(&format!("Handling connection for {local}\n"))?;
        let (api, pod) = (api.clone(), pod.clone());
        tokio::spawn(async move {
            let mut forwarder = match api.portforward(&pod, &[remote]).await {
                Ok(f) => f,
                Err(e) => {
                    eprintln!("{}", upgrade_error(e).text());
                    return;
                }
            };
            let failed = forwarder.take_error(remote);
            if let Some(mut stream) = forwarder.take_stream(remote) {
                // Either side may hang up at any time; that is no failure.
                let _ = tokio::io::copy_bidirectional(&mut connection, &mut stream).await;
            }
            forwarder.abort();
            if let Some(Some(message)) = match failed {
                Some(f) => tokio::time::timeout(std::time::Duration::from_millis(1), f).await.ok(),
                None => None,
            } {
                eprintln!("an error occurred forwarding {local} -> {remote}: {message}");
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports() {
        assert_eq!(parse("80").unwrap(), (80, 80));
        assert_eq!(parse("8080:80").unwrap(), (8080, 80));
        assert_eq!(parse(":80").unwrap(), (0, 80));
        assert!(parse("x").is_err() && parse("80:0").is_err());
    }
}
