//! Traces: a span of each request and one of each call to the table, handed as OTLP to whoever listens on loopback (the
//! telemetry layer) once the answer is out. Without `OTEL_EXPORTER_OTLP_ENDPOINT`, or for a request that is not sampled,
//! nothing is gathered.
//!
//! A trace's attributes are those of this file and no others; a title is never among them. OpenTelemetry's own SDK is not
//! used: two spans need no processors, and whether they are sampled has been decided before the request came.

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
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

/// How long handing over may take. Nobody waits for it but the next request, if that comes at once.
const HAND_OVER: Duration = Duration::from_millis(20);

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
    fn document(&self, function: Option<&str>) -> Option<Value> {
        let finished = self.finished.lock().unwrap_or_else(PoisonError::into_inner);
        let spans: Vec<Value> = finished.iter().map(|span| span.document(self)).collect();
        let resource = [
            ("service.name", json!("movies")),
            ("cloud.platform", json!("aws_lambda")),
            ("faas.name", json!(function)),
        ];
        (!spans.is_empty()).then(|| {
            json!({ "resourceSpans": [{
                "resource": { "attributes": attributes(&resource) },
                "scopeSpans": [{ "scope": { "name": "movies", "version": env!("CARGO_PKG_VERSION") }, "spans": spans }],
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

/// In OTLP's JSON: texts as they are, whole numbers as texts too, what is null left out.
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

/// Gathers the spans of requests, one request at a time, and hands them over.
#[derive(Debug)]
pub struct Tracer {
    /// To where; `None` when nobody listens.
    url: Option<String>,
    function: Option<String>,
    client: Client<HttpConnector, Full<Bytes>>,
    answered: Mutex<Option<Arc<Trace>>>,
}

impl Tracer {
    /// For an OTLP endpoint such as `http://127.0.0.1:4318`.
    #[must_use]
    pub fn new(endpoint: Option<&str>, function: Option<String>) -> Self {
        let url = endpoint.map(|endpoint| format!("{}/v1/traces", endpoint.trim_end_matches('/')));
        Self {
            url,
            function,
            client: Client::builder(TokioExecutor::new()).build_http(),
            answered: Mutex::default(),
        }
    }

    /// Works on a request, as part of the trace of its header if it is sampled.
    pub async fn watch<F: Future>(&self, header: Option<&str>, request: F) -> F::Output {
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
        *self.answered.lock().unwrap_or_else(PoisonError::into_inner) = Some(trace);
        answer
    }

    /// Hands over the spans of the request that has just been answered. It fails in silence: whoever should listen, and why
    /// it does not, is its own to tell.
    pub async fn hand_over(&self) {
        let answered = self
            .answered
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let document = answered.and_then(|trace| trace.document(self.function.as_deref()));
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
        let _ = tokio::time::timeout(HAND_OVER, sent).await;
    }
}

/// Work in another task for the same request.
pub fn inherited<F: Future>(work: F) -> impl Future<Output = F::Output> {
    let current = CURRENT.try_with(Arc::clone);
    async move {
        match current {
            Ok(trace) => CURRENT.scope(trace, work).await,
            Err(_) => work.await,
        }
    }
}

/// Notes that the request has been answered.
pub(crate) fn served(request_id: &str, method: &str, route: &'static str, status: u16) {
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

/// Makes a call to the table, its retries included. A condition that does not hold is an answer, not a failure. A request is to come
/// in a box: the SDK's take 5 KB, and would make every future around them as large, twice, and copied at each move.
pub(crate) async fn call<T, E, R>(
    operation: &'static str,
    request: impl Future<Output = Result<T, SdkError<E, R>>>,
) -> Result<T, SdkError<E, R>>
where
    E: ProvideErrorMetadata,
{
    let Ok(trace) = CURRENT.try_with(Arc::clone) else {
        return request.await;
    };
    let begin = SystemTime::now();
    let result = request.await;
    let error = result
        .as_ref()
        .err()
        .map(|error| error.code().unwrap_or("_OTHER"));
    let error = error.filter(|code| *code != "TransactionCanceledException");
    trace.finish(Span {
        id: new_id(),
        parent: Some(trace.span),
        kind: CLIENT,
        name: format!("DynamoDB.{operation}"),
        begin,
        end: SystemTime::now(),
        attributes: vec![
            ("db.system.name", json!("aws.dynamodb")),
            ("db.operation.name", json!(operation)),
            ("error.type", json!(error)),
        ],
        failed: error.is_some(),
    });
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLED: &str =
        "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";

    #[test]
    fn lambdas_header_names_trace_and_parent() {
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
    fn what_is_not_sampled_or_no_header_is_no_trace() {
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
    async fn another_task_of_the_request_adds_to_its_trace() {
        let tracer = Tracer::new(Some("http://127.0.0.1:1"), None);
        let request = async {
            tokio::spawn(inherited(async {
                call("GetItem", async {
                    Ok::<_, SdkError<aws_sdk_dynamodb::Error>>(())
                })
                .await
            }))
            .await
            .unwrap()
            .unwrap();
            served("r", "GET", "/movies/{year}/{title}", 200);
        };
        tracer.watch(Some(SAMPLED), request).await;
        let trace = tracer.answered.lock().unwrap().take().unwrap();
        let names: Vec<_> = trace
            .finished
            .lock()
            .unwrap()
            .iter()
            .map(|span| span.name.clone())
            .collect();
        assert_eq!(names, ["DynamoDB.GetItem", "GET /movies/{year}/{title}"]);
    }
}
