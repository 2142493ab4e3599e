//! The SDK's HTTP client: HTTP/1.1 over TLS 1.3, by hyper and rustls on ring.
//!
//! `aws_smithy_http_client::Builder` with rustls on ring would replace this file. It brings HTTP/2,
//! which DynamoDB does not speak, proxies, TLS 1.2 and a connection pool of its own: the release
//! build of movies grows by 1.25 MB, from 7.47 to 8.73, and links ten more crates. Its default,
//! AWS-LC, gathers entropy from the CPU's jitter at the first handshake, which takes ten times the
//! CPU time of the rest of a cold start.

use crate::tls;
use aws_smithy_runtime_api::client::{
    connection::{CaptureSmithyConnection, ConnectionMetadata},
    http::{
        HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn,
    },
    orchestrator::{HttpRequest, HttpResponse},
    result::ConnectorError,
};
use aws_smithy_types::body::SdkBody;
use http_body_util::Limited;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect},
    rt::{TokioExecutor, TokioTimer},
};
use rustls::ClientConfig;
use std::{
    collections::HashMap,
    io,
    path::PathBuf,
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// Maximum length of a response. A page of DynamoDB has at most 1 MiB of data, which rarely doubles
/// as JSON. The limit bounds the memory of a response.
const MAX_RESPONSE_BYTES: usize = 4 * 1024 * 1024;

#[derive(Debug)]
struct HyperConnector {
    client: Client<HttpsConnector<connect::HttpConnector>, SdkBody>,
    read_timeout: Option<Duration>,
}

/// Creates a client that keeps connections open for the next request and honours the timeouts of
/// the SDK's configuration. It trusts the certificates in these PEM files and folders; without any,
/// those that are compiled in.
///
/// # Errors
/// A path cannot be read, or has no certificate.
pub fn new(ca_paths: &[PathBuf]) -> io::Result<SharedHttpClient> {
    let tls = tls::client_config(ca_paths)?;
    // The SDK requests a connector for each attempt, usually with the same settings.
    let connectors = Mutex::new(HashMap::new());
    Ok(http_client_fn(move |settings, _| {
        let timeouts = (settings.connect_timeout(), settings.read_timeout());
        let mut connectors = connectors.lock().unwrap_or_else(PoisonError::into_inner);
        connectors
            .entry(timeouts)
            .or_insert_with(|| SharedHttpConnector::new(HyperConnector::new(tls.clone(), timeouts)))
            .clone()
    }))
}

impl HyperConnector {
    fn new(
        tls: ClientConfig,
        (connect_timeout, read_timeout): (Option<Duration>, Option<Duration>),
    ) -> Self {
        let mut tcp = connect::HttpConnector::new();
        tcp.set_connect_timeout(connect_timeout);
        tcp.set_nodelay(true);
        tcp.enforce_http(false);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        Self {
            client: Client::builder(TokioExecutor::new())
                .pool_timer(TokioTimer::new())
                .build(connector),
            read_timeout,
        }
    }
}

impl HttpConnector for HyperConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let mut request = match request.try_into_http1x() {
            Ok(request) => request,
            Err(error) => {
                return HttpConnectorFuture::ready(Err(ConnectorError::user(error.into())));
            }
        };
        // Lets the SDK poison the connection after a timeout or a server error, so that it is not
        // used again.
        let captured = connect::capture_connection(&mut request);
        if let Some(capture) = request.extensions().get::<CaptureSmithyConnection>() {
            capture.set_connection_retriever(move || {
                let captured = captured.clone();
                let poison = move || {
                    if let Some(connection) = captured.connection_metadata().as_ref() {
                        connection.poison();
                    }
                };
                Some(
                    ConnectionMetadata::builder()
                        .proxied(false)
                        .poison_fn(poison)
                        .build(),
                )
            });
        }
        let (response, read_timeout) = (self.client.request(request), self.read_timeout);
        HttpConnectorFuture::new(async move {
            let response = match read_timeout {
                Some(limit) => tokio::time::timeout(limit, response)
                    .await
                    .map_err(|error| ConnectorError::timeout(error.into()))?,
                None => response.await,
            };
            // An I/O error for the SDK, which retries it.
            let response = response.map_err(|error| ConnectorError::io(error.into()))?;
            let response =
                response.map(|body| SdkBody::from_body_1_x(Limited::new(body, MAX_RESPONSE_BYTES)));
            HttpResponse::try_from(response)
                .map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}
