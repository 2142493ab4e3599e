//! How DynamoDB is reached: HTTP/1.1 over TLS 1.3, by rustls on ring.
//!
//! The SDK's own arrangement of the same client brings HTTP/2, which DynamoDB does not speak, proxies and TLS 1.2: a sixth of the
//! package. Its AWS-LC gathers entropy from the CPU's jitter at the first handshake: ten times the CPU time of the rest of a cold start.

use aws_sdk_dynamodb::config::SharedHttpClient;
use aws_smithy_runtime_api::client::{
    connection::{CaptureSmithyConnection, ConnectionMetadata},
    http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn},
    orchestrator::{HttpRequest, HttpResponse},
    result::ConnectorError,
};
use aws_smithy_types::body::SdkBody;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect},
    rt::{TokioExecutor, TokioTimer},
};
use rustls::crypto::ring;
use std::{io, time::Duration};

#[derive(Debug)]
struct Https(Client<HttpsConnector<connect::HttpConnector>, SdkBody>);

/// Connections that are kept for the next request. Trusted are the roots of the system, or of `SSL_CERT_FILE`.
///
/// # Errors
/// There are no such roots.
pub(super) fn https(connect_timeout: Duration) -> io::Result<SharedHttpClient> {
    let mut tcp = connect::HttpConnector::new();
    tcp.set_connect_timeout(Some(connect_timeout));
    tcp.set_nodelay(true);
    tcp.enforce_http(false);
    let tls = HttpsConnectorBuilder::new().with_provider_and_native_roots(ring::default_provider())?;
    let connector = tls.https_or_http().enable_http1().wrap_connector(tcp);
    let client = Client::builder(TokioExecutor::new()).pool_timer(TokioTimer::new()).build(connector);
    let connector = SharedHttpConnector::new(Https(client));
    Ok(http_client_fn(move |_, _| connector.clone()))
}

impl HttpConnector for Https {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let mut request = match request.try_into_http1x() {
            Ok(request) => request,
            Err(error) => return HttpConnectorFuture::ready(Err(ConnectorError::user(error.into()))),
        };
        // A connection that DynamoDB answered on that it failed is not used again: by this the SDK gets hold of it.
        let captured = connect::capture_connection(&mut request);
        if let Some(capture) = request.extensions().get::<CaptureSmithyConnection>() {
            capture.set_connection_retriever(move || {
                let captured = captured.clone();
                let poison = move || {
                    if let Some(connection) = captured.connection_metadata().as_ref() {
                        connection.poison();
                    }
                };
                Some(ConnectionMetadata::builder().proxied(false).poison_fn(poison).build())
            });
        }
        let answering = self.0.request(request);
        HttpConnectorFuture::new(async move {
            // What went wrong on the way may go well the next time: the SDK tries again.
            let response = answering.await.map_err(|error| ConnectorError::io(error.into()))?;
            HttpResponse::try_from(response.map(SdkBody::from_body_1_x)).map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}
