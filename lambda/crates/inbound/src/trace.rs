//! Traces: a span of each request and one of each request to a dependency, exported as OTLP to the
//! telemetry layer on loopback after the response. Without an endpoint, or for a request that is not
//! sampled, nothing is recorded.
//!
//! The attributes are those of this file and what [`client_span`] is given. OpenTelemetry's own SDK
//! is not used: a few spans need no processors, and sampling is decided before the request arrives.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::{Value, json};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// Maximum time for the export. Only a request that follows at once waits for it.
const EXPORT_TIMEOUT: Duration = Duration::from_millis(20);

// OTLP's numbers.
const SERVER: u8 = 2;
const CLIENT: u8 = 3;
const FAILED: u8 = 2;

tokio::task_local! {
    /// The trace of the request that this task works for.
    static CURRENT: Arc<Trace>;
}

/// A sampled request.
#[derive(Debug)]
struct Trace {
    id: String,
    parent: String,
    /// The span of the request itself.
    span: u64,
    begin: SystemTime,
    finished: Mutex<Vec<Span>>,
}

#[derive(Debug)]
struct Span {
    id: u64,
    /// `None` where the caller's span is the parent.
    parent: Option<u64>,
    kind: u8,
    name: String,
    begin: SystemTime,
    end: SystemTime,
    attributes: Vec<(&'static str, Value)>,
    failed: bool,
}

impl Trace {
    /// Of Lambda's header, `Root=1-(8 digits)-(24 digits);Parent=(16 digits);Sampled=1`; `None` unless it is sampled.
    fn sampled(header: &str) -> Option<Self> {
        let field = |name: &str| {
            header
                .split(';')
                .find_map(|field| field.trim().strip_prefix(name)?.strip_prefix('='))
        };
        let id = field("Root")?.strip_prefix("1-")?.replacen('-', "", 1);
        let parent = field("Parent")?.to_owned();
        let is_hex = |text: &str, length| {
            text.len() == length && text.bytes().all(|byte| byte.is_ascii_hexdigit())
        };
        let sampled = field("Sampled")? == "1" && is_hex(&id, 32) && is_hex(&parent, 16);
        sampled.then(|| Self {
            id,
            parent,
            span: new_id(),
            begin: SystemTime::now(),
            finished: Mutex::default(),
        })
    }

    fn finish(&self, span: Span) {
        self.finished
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(span);
    }

    /// The OTLP document; `None` without a span.
    fn document(&self, service: &str, function: Option<&str>) -> Option<Value> {
        let finished = self.finished.lock().unwrap_or_else(PoisonError::into_inner);
        let spans: Vec<Value> = finished.iter().map(|span| span.document(self)).collect();
        let resource = [
            ("service.name", json!(service)),
            ("cloud.platform", json!("aws_lambda")),
            ("faas.name", json!(function)),
        ];
        (!spans.is_empty()).then(|| {
            json!({ "resourceSpans": [{
                "resource": { "attributes": attributes(&resource) },
                "scopeSpans": [{ "scope": { "name": service, "version": env!("CARGO_PKG_VERSION") }, "spans": spans }],
            }] })
        })
    }
}

impl Span {
    fn document(&self, trace: &Trace) -> Value {
        let nanos = |time: SystemTime| {
            time.duration_since(UNIX_EPOCH)
                .unwrap_or_default()
                .as_nanos()
                .to_string()
        };
        json!({
            "traceId": trace.id,
            "spanId": format!("{:016x}", self.id),
            "parentSpanId": self.parent.map_or_else(|| trace.parent.clone(), |parent| format!("{parent:016x}")),
            "kind": self.kind,
            "name": self.name,
            "startTimeUnixNano": nanos(self.begin),
            "endTimeUnixNano": nanos(self.end),
            "attributes": attributes(&self.attributes),
            "status": if self.failed { json!({ "code": FAILED }) } else { json!({}) },
        })
    }
}

/// Attributes in OTLP's JSON: integers are strings too, and null is left out.
fn attributes(pairs: &[(&'static str, Value)]) -> Vec<Value> {
    let value = |value: &Value| match value {
        Value::String(text) => json!({ "stringValue": text }),
        other => json!({ "intValue": other.to_string() }),
    };
    pairs
        .iter()
        .filter(|(_, given)| !given.is_null())
        .map(|(key, given)| json!({ "key": key, "value": value(given) }))
        .collect()
}

/// Unique within a trace.
fn new_id() -> u64 {
    fastrand::u64(1..)
}

/// Records the spans of requests, one request at a time, and exports them.
#[derive(Debug)]
pub struct Tracer {
    service: &'static str,
    /// The collector; `None` where there is none.
    url: Option<String>,
    function: Option<String>,
    client: Client<HttpConnector, Full<Bytes>>,
    finished: Mutex<Option<Arc<Trace>>>,
}

impl Tracer {
    /// For an OTLP endpoint such as `http://127.0.0.1:4318`.
    #[must_use]
    pub fn new(service: &'static str, endpoint: Option<&str>, function: Option<String>) -> Self {
        let url = endpoint.map(|endpoint| format!("{}/v1/traces", endpoint.trim_end_matches('/')));
        Self {
            service,
            url,
            function,
            client: Client::builder(TokioExecutor::new()).build_http(),
            finished: Mutex::default(),
        }
    }

    /// Handles a request as part of the trace of its header if it is sampled.
    pub async fn instrument<F: Future>(&self, header: Option<&str>, request: F) -> F::Output {
        let Some(trace) = self
            .url
            .as_ref()
            .and(header)
            .and_then(Trace::sampled)
            .map(Arc::new)
        else {
            return request.await;
        };
        let answer = CURRENT.scope(Arc::clone(&trace), request).await;
        *self.finished.lock().unwrap_or_else(PoisonError::into_inner) = Some(trace);
        answer
    }

    /// Exports the spans of the last request. Errors are not reported here: the telemetry layer
    /// reports its own.
    pub async fn flush(&self) {
        let finished = self
            .finished
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let function = self.function.as_deref();
        let document = finished.and_then(|trace| trace.document(self.service, function));
        let (Some(document), Some(url)) = (document, &self.url) else {
            return;
        };
        let request =
            http::Request::post(url).header(http::header::CONTENT_TYPE, "application/json");
        let Ok(request) = request.body(Full::from(document.to_string())) else {
            return;
        };
        let sent = async {
            // Read to its end, so that the connection serves again.
            if let Ok(response) = self.client.request(request).await {
                let _ = response.into_body().collect().await;
            }
        };
        let _ = tokio::time::timeout(EXPORT_TIMEOUT, sent).await;
    }
}

/// Records the span of the request itself.
pub(crate) fn record_server_span(request_id: &str, method: &str, route: &str, status: u16) {
    let _ = CURRENT.try_with(|trace| {
        trace.finish(Span {
            id: trace.span,
            parent: None,
            kind: SERVER,
            name: format!("{method} {route}"),
            begin: trace.begin,
            end: SystemTime::now(),
            attributes: vec![
                ("http.request.method", json!(method)),
                ("http.route", json!(route)),
                ("http.response.status_code", json!(status)),
                ("request_id", json!(request_id)),
            ],
            failed: status >= 500,
        });
    });
}

/// Records the span of a request to a dependency, its retries included: `DynamoDB`, `GetItem`. `error_code` names what
/// failed; `None` is a success. Box a large future: each future around it would be as large.
pub async fn client_span<R>(
    dependency: &str,
    operation: &str,
    attributes: &[(&'static str, &str)],
    error_code: impl FnOnce(&R) -> Option<String>,
    request: impl Future<Output = R>,
) -> R {
    let Ok(trace) = CURRENT.try_with(Arc::clone) else {
        return request.await;
    };
    let begin = SystemTime::now();
    let result = request.await;
    let error = error_code(&result);
    let failed = error.is_some();
    let attributes = attributes.iter().map(|(name, value)| (*name, json!(value)));
    trace.finish(Span {
        id: new_id(),
        parent: Some(trace.span),
        kind: CLIENT,
        name: format!("{dependency}.{operation}"),
        begin,
        end: SystemTime::now(),
        attributes: attributes.chain([("error.type", json!(error))]).collect(),
        failed,
    });
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLED: &str =
        "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";

    #[test]
    fn the_header_of_lambda_names_trace_and_parent() {
        for header in [
            SAMPLED,
            "Sampled=1;Lineage=a:0; Parent=53995c3f42cd8ad8;Root=1-5759e988-bd862e3fe1be46a994272793",
        ] {
            let trace = Trace::sampled(header).unwrap();
            assert_eq!(
                (trace.id.as_str(), trace.parent.as_str()),
                ("5759e988bd862e3fe1be46a994272793", "53995c3f42cd8ad8")
            );
        }
    }

    #[test]
    fn an_unsampled_request_or_an_invalid_header_is_no_trace() {
        assert!(Trace::sampled(SAMPLED).is_some());
        let without = |part: &str| SAMPLED.replace(part, "");
        for header in [
            String::new(),
            without(";Sampled=1"),
            SAMPLED
                .replace("=1;P", "=0;P")
                .replace("Sampled=1", "Sampled=0"),
            without("3;P"),
            without("Root=1-"),
            SAMPLED.replace("539", "xyz"),
        ] {
            assert!(Trace::sampled(&header).is_none(), "{header}");
        }
    }

    #[tokio::test]
    async fn a_trace_has_the_spans_of_the_request_and_of_its_dependencies() {
        let tracer = Tracer::new("movies", Some("http://127.0.0.1:1"), None);
        let request = async {
            let failing = client_span("DynamoDB", "GetItem", &[], |_| Some("E".into()), async {});
            failing.await;
            record_server_span("r", "GET", "/movies/{year}/{title}", 200);
        };
        tracer.instrument(Some(SAMPLED), request).await;
        let trace = tracer.finished.lock().unwrap().take().unwrap();
        let spans = trace.finished.lock().unwrap();
        let spans: Vec<_> = spans
            .iter()
            .map(|span| (span.name.as_str(), span.failed))
            .collect();
        assert_eq!(
            spans,
            [
                ("DynamoDB.GetItem", true),
                ("GET /movies/{year}/{title}", false)
            ]
        );
    }
}
