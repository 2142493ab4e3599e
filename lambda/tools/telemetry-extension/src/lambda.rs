//! A client of Lambda's Extensions and Telemetry APIs.
//!
//! The `lambda-extension` crate is not used, because its error policy would fail requests: `run`
//! returns at the first failed request to `/register` or `/event/next`, at a rejected subscription
//! and at an event that it cannot parse, its telemetry listener unwraps a failed `bind`, and an
//! error of a processor is reported to `/init/error`, each of which makes Lambda end the
//! environment.

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde::Deserialize;
use serde_json::json;
use std::time::Duration;
use tokio::net::TcpListener;

/// Time between two attempts of a request that must succeed. Giving up gains nothing, because
/// Lambda waits for the extension in any case.
const RETRY_INTERVAL: Duration = Duration::from_millis(100);

/// An event of the Extensions API.
#[derive(Debug, Deserialize)]
#[serde(
    tag = "eventType",
    rename_all = "UPPERCASE",
    rename_all_fields = "camelCase"
)]
pub(crate) enum Event {
    Invoke {
        request_id: String,
        deadline_ms: u64,
    },
    Shutdown {
        deadline_ms: u64,
    },
}

/// A registered extension.
pub(crate) struct Extension {
    client: Client<HttpConnector, Full<Bytes>>,
    api: String,
    id: String,
}

impl Extension {
    /// Registers the extension. Retries until it succeeds.
    pub(crate) async fn register(api: &str) -> Self {
        let mut extension = Self {
            client: Client::builder(TokioExecutor::new()).build_http(),
            api: api.to_owned(),
            id: String::new(),
        };
        loop {
            match extension.try_to_register().await {
                Ok(id) => extension.id = id,
                Err(_) => tokio::time::sleep(RETRY_INTERVAL).await,
            }
            if !extension.id.is_empty() {
                return extension;
            }
        }
    }

    async fn try_to_register(&self) -> Result<String> {
        // Lambda identifies an extension by its file name.
        let request = Request::post(format!("http://{}/2020-01-01/extension/register", self.api))
            .header("lambda-extension-name", env!("CARGO_BIN_NAME"))
            .body(
                json!({ "events": ["INVOKE", "SHUTDOWN"] })
                    .to_string()
                    .into(),
            )?;
        let response = self.call(request).await?;
        Ok(response
            .headers()
            .get("lambda-extension-identifier")
            .context("no identifier")?
            .to_str()?
            .to_owned())
    }

    /// Subscribes `listener` to platform events, with the least buffering that Lambda accepts.
    pub(crate) async fn subscribe(&self, listener: &TcpListener) -> Result<()> {
        let port = listener.local_addr()?.port();
        let uri = format!("http://sandbox.localdomain:{port}/");
        let subscription = json!({
            "schemaVersion": "2022-12-13",
            "destination": { "protocol": "HTTP", "URI": uri },
            "types": ["platform"],
            // Lambda accepts no shorter timeout.
            "buffering": { "maxItems": 1000, "maxBytes": 262_144, "timeoutMs": 25 },
        });
        let request = Request::put(format!("http://{}/2022-07-01/telemetry", self.api))
            .header("lambda-extension-identifier", &self.id);
        self.call(request.body(subscription.to_string().into())?)
            .await?;
        Ok(())
    }

    /// Reports that the extension is ready and waits for the next event. Retries until it succeeds.
    pub(crate) async fn next(&mut self) -> Event {
        loop {
            match self.try_next().await {
                Ok(event) => return event,
                Err(_) => tokio::time::sleep(RETRY_INTERVAL).await,
            }
        }
    }

    async fn try_next(&self) -> Result<Event> {
        let request = Request::get(format!(
            "http://{}/2020-01-01/extension/event/next",
            self.api
        ))
        .header("lambda-extension-identifier", &self.id)
        .body(Full::default())?;
        Ok(serde_json::from_slice(self.call(request).await?.body())?)
    }

    async fn call(&self, request: Request<Full<Bytes>>) -> Result<Response<Bytes>> {
        let (parts, body) = self.client.request(request).await?.into_parts();
        ensure!(
            parts.status.is_success(),
            "Lambda responded with {}",
            parts.status
        );
        Ok(Response::from_parts(
            parts,
            body.collect().await?.to_bytes(),
        ))
    }
}
