//! Traces: a span of each request and one of each request to a dependency, exported as OTLP to the
//! telemetry layer on loopback after the response. Without an endpoint, or for a request that is
//! not sampled, nothing is recorded.
//!
//! A [`tracing`] span is exported if it has the field `otel.kind` (`server` or `client`). As in
//! `tracing-opentelemetry`, `otel.name` and `otel.status_code` are its name and status; every other
//! field is an attribute. OpenTelemetry's SDK is not used: a few spans need no processors, and
//! sampling is decided before the request arrives.

use http::Uri;
use http_body_util::BodyExt;
use lambda_runtime_api_client::{PooledClient, body::Body};
use serde_json::{Value, json};
use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tracing::{
    Metadata, Span, Subscriber,
    field::{Empty, Field, Visit},
    span,
};
use tracing_subscriber::{Layer, layer::Context, registry::LookupSpan};

/// Maximum time for the export. Only a request that follows at once waits for it.
const EXPORT_TIMEOUT: Duration = Duration::from_millis(20);
/// The field with Lambda's trace header. It is not exported.
const TRACE_HEADER: &str = "xray_trace_id";

// OTLP's numbers.
const SERVER: u8 = 2;
const CLIENT: u8 = 3;
const ERROR: u8 = 2;

/// The trace that a span belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Parent {
    trace: String,
    span: String,
}

impl Parent {
    /// Reads Lambda's header, `Root=1-(8 digits)-(24 digits);Parent=(16 digits);Sampled=1`. `None`
    /// unless the request is sampled.
    fn sampled(header: &str) -> Option<Self> {
        let field = |name: &str| {
            header
                .split(';')
                .find_map(|field| field.trim().strip_prefix(name)?.strip_prefix('='))
        };
        let trace = field("Root")?.strip_prefix("1-")?.replacen('-', "", 1);
        let span = field("Parent")?.to_owned();
        let is_hex = |text: &str, length| {
            text.len() == length && text.bytes().all(|byte| byte.is_ascii_hexdigit())
        };
        let sampled = field("Sampled")? == "1" && is_hex(&trace, 32) && is_hex(&span, 16);
        sampled.then_some(Self { trace, span })
    }
}

/// A span that is open: an extension of the registry's.
#[derive(Debug)]
struct Recording {
    parent: Parent,
    id: String,
    begin: SystemTime,
    fields: Fields,
}

impl Recording {
    /// The span in OTLP's JSON. It ends now.
    fn document(self) -> Value {
        let nanos = |time: SystemTime| {
            let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
            since.as_nanos().to_string()
        };
        let Fields {
            name,
            kind,
            is_error,
            attributes,
            ..
        } = self.fields;
        json!({
            "traceId": self.parent.trace,
            "spanId": self.id,
            "parentSpanId": self.parent.span,
            "kind": kind,
            "name": name,
            "startTimeUnixNano": nanos(self.begin),
            "endTimeUnixNano": nanos(SystemTime::now()),
            "attributes": attributes,
            "status": if is_error { json!({ "code": ERROR }) } else { json!({}) },
        })
    }
}

/// The fields of a span, the attributes as OTLP's JSON has them.
#[derive(Debug, Default)]
struct Fields {
    trace_header: Option<String>,
    name: String,
    kind: u8,
    is_error: bool,
    attributes: Vec<Value>,
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            TRACE_HEADER => self.trace_header = Some(value.to_owned()),
            "otel.name" => value.clone_into(&mut self.name),
            "otel.kind" => self.kind = if value == "client" { CLIENT } else { SERVER },
            "otel.status_code" => self.is_error = value == "ERROR",
            name => self.attributes.push(string(name, value)),
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        let value = json!({ "intValue": value.to_string() });
        let attribute = json!({ "key": field.name(), "value": value });
        self.attributes.push(attribute);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

fn string(key: &str, value: &str) -> Value {
    json!({ "key": key, "value": { "stringValue": value } })
}

/// Spans that have ended, as OTLP's JSON. Clones share them.
#[derive(Clone, Debug, Default)]
struct Ended(Arc<Mutex<Vec<Value>>>);

impl Ended {
    fn push(&self, span: Value) {
        let mut spans = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        spans.push(span);
    }

    fn take(&self) -> Vec<Value> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The layer of the subscriber that records the spans of sampled requests.
#[derive(Debug)]
pub struct SpanLayer(Ended);

impl SpanLayer {
    /// Returns whether spans of this callsite can be exported.
    pub(crate) fn records(metadata: &Metadata<'_>) -> bool {
        metadata.fields().field("otel.kind").is_some()
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for SpanLayer {
    fn on_new_span(
        &self,
        attributes: &span::Attributes<'_>,
        id: &span::Id,
        context: Context<'_, S>,
    ) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        let Some(span) = context.span(id) else {
            return;
        };
        let parent = match fields.trace_header.take() {
            Some(header) => Parent::sampled(&header),
            None => span.scope().skip(1).find_map(|enclosing| {
                let extensions = enclosing.extensions();
                let Recording { parent, id, .. } = extensions.get()?;
                let (trace, span) = (parent.trace.clone(), id.clone());
                Some(Parent { trace, span })
            }),
        };
        if let Some(parent) = parent {
            span.extensions_mut().insert(Recording {
                parent,
                id: format!("{:016x}", fastrand::u64(1..)), // unique within the trace
                begin: SystemTime::now(),
                fields,
            });
        }
    }

    fn on_record(&self, id: &span::Id, values: &span::Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(recording) = span.extensions_mut().get_mut::<Recording>()
        {
            values.record(&mut recording.fields);
        }
    }

    fn on_close(&self, id: span::Id, context: Context<'_, S>) {
        if let Some(span) = context.span(&id)
            && let Some(recording) = span.extensions_mut().remove::<Recording>()
        {
            self.0.push(recording.document());
        }
    }
}

/// Exports the spans of requests, one request at a time.
#[derive(Debug)]
pub struct Tracer {
    service: &'static str,
    function: Option<String>,
    /// Lambda's own client, so that the package has no further instance of hyper's. `None` where
    /// there is no collector.
    collector: Option<PooledClient>,
    ended: Ended,
}

impl Tracer {
    /// Creates a tracer for an OTLP endpoint such as `http://127.0.0.1:4318`. An invalid URL
    /// disables tracing.
    #[must_use]
    pub fn new(service: &'static str, endpoint: Option<&str>, function: Option<String>) -> Self {
        let endpoint = endpoint.and_then(|endpoint| endpoint.parse::<Uri>().ok());
        let collector = endpoint
            .filter(|endpoint| endpoint.authority().is_some())
            .map(|endpoint| PooledClient::builder().with_endpoint(endpoint).build());
        Self {
            service,
            function,
            collector,
            ended: Ended::default(),
        }
    }

    /// The layer that records the spans; `None` where there is no collector.
    #[must_use]
    pub fn layer(&self) -> Option<SpanLayer> {
        let ended = self.ended.clone();
        self.collector.is_some().then_some(SpanLayer(ended))
    }

    /// The span of a request, part of the trace of Lambda's header if the request is sampled.
    pub(crate) fn span(&self, header: Option<&str>) -> Span {
        match header {
            Some(header) if self.collector.is_some() && Parent::sampled(header).is_some() => {
                tracing::info_span!(
                    "request",
                    xray_trace_id = header,
                    otel.kind = "server",
                    otel.name = Empty,
                    otel.status_code = Empty,
                    request_id = Empty,
                    http.request.method = Empty,
                    http.route = Empty,
                    http.response.status_code = Empty,
                )
            }
            _ => Span::none(),
        }
    }

    /// Exports the spans that have ended. Errors are not reported here: the telemetry layer reports
    /// its own.
    pub(crate) async fn flush(&self) {
        let (Some(collector), spans) = (&self.collector, self.ended.take()) else {
            return;
        };
        if spans.is_empty() {
            return;
        }
        let document = document(self.service, self.function.as_deref(), &spans);
        let request = http::Request::post("/v1/traces")
            .header(http::header::CONTENT_TYPE, "application/json")
            .body(Body::from(document.to_string()));
        let Ok(request) = request else {
            return;
        };
        let sent = async {
            // Read to its end, so that the connection serves again.
            if let Ok(response) = collector.call(request).await {
                let _ = response.into_body().collect().await;
            }
        };
        let _ = tokio::time::timeout(EXPORT_TIMEOUT, sent).await;
    }
}

/// The OTLP document.
fn document(service: &str, function: Option<&str>, spans: &[Value]) -> Value {
    let mut resource = vec![
        string("service.name", service),
        string("cloud.platform", "aws_lambda"),
    ];
    resource.extend(function.map(|function| string("faas.name", function)));
    json!({ "resourceSpans": [{
        "resource": { "attributes": resource },
        "scopeSpans": [{
            "scope": { "name": service, "version": env!("CARGO_PKG_VERSION") },
            "spans": spans,
        }],
    }] })
}

/// Records the response in the span of the request, which is the current one.
pub(crate) fn record_response(request_id: &str, method: &str, route: &str, status: u16) {
    let span = Span::current();
    if span.is_none() {
        return;
    }
    span.record("otel.name", format!("{method} {route}"));
    span.record("request_id", request_id);
    span.record("http.request.method", method);
    span.record("http.route", route);
    span.record("http.response.status_code", status);
    if status >= 500 {
        span.record("otel.status_code", "ERROR");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::{Instrument, Level};

    const SAMPLED: &str =
        "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";

    #[test]
    fn trace_header_has_trace_and_parent() {
        for header in [
            SAMPLED,
            "Sampled=1;Lineage=a:0; Parent=53995c3f42cd8ad8;Root=1-5759e988-bd862e3fe1be46a994272793",
        ] {
            let expected = Parent {
                trace: "5759e988bd862e3fe1be46a994272793".into(),
                span: "53995c3f42cd8ad8".into(),
            };
            assert_eq!(Parent::sampled(header), Some(expected));
        }
    }

    #[test]
    fn unsampled_request_or_invalid_header_is_not_traced() {
        let without = |part: &str| SAMPLED.replace(part, "");
        for header in [
            String::new(),
            without(";Sampled=1"),
            SAMPLED.replace("Sampled=1", "Sampled=0"),
            without("3;P"),
            without("Root=1-"),
            SAMPLED.replace("539", "xyz"),
        ] {
            assert_eq!(Parent::sampled(&header), None, "{header}");
        }
    }

    /// Runs a request with a request to a dependency that fails; returns the spans. At this level
    /// the log has no line of it.
    async fn spans(header: Option<&str>) -> Vec<Value> {
        let tracer = Tracer::new("movies", Some("http://127.0.0.1:1"), None);
        let log = std::io::sink;
        let subscriber = crate::log::subscriber(&[], Level::ERROR, log, tracer.layer());
        let _guard = tracing::subscriber::set_default(subscriber);
        let request = async {
            let dependency = tracing::info_span!(
                "dependency",
                otel.kind = "client",
                otel.name = "DynamoDB.GetItem",
                otel.status_code = "ERROR",
                "error.type" = "E",
            );
            async {}.instrument(dependency).await;
            let other = tracing::info_span!("other");
            async {}.instrument(other).await;
            record_response("r", "GET", "/movies/{year}/{title}", 200);
        };
        request.instrument(tracer.span(header)).await;
        tracer.ended.take()
    }

    #[tokio::test]
    async fn trace_has_the_spans_of_the_request_and_of_its_dependencies() {
        let spans = spans(Some(SAMPLED)).await;
        let [client, server] = &spans[..] else {
            panic!("{spans:?}")
        };
        let trace = "5759e988bd862e3fe1be46a994272793";
        assert_eq!(
            (&client["traceId"], &server["traceId"]),
            (&json!(trace), &json!(trace))
        );
        assert_eq!(client["parentSpanId"], server["spanId"]);
        assert_eq!(server["parentSpanId"], "53995c3f42cd8ad8");
        assert_eq!(client["name"], "DynamoDB.GetItem");
        assert_eq!(server["name"], "GET /movies/{year}/{title}");
        assert_eq!(
            (&client["kind"], &server["kind"]),
            (&json!(CLIENT), &json!(SERVER))
        );
        assert_eq!(client["status"], json!({ "code": ERROR }));
        assert_eq!(server["status"], json!({}));
        assert_eq!(client["attributes"], json!([string("error.type", "E")]));
        assert_eq!(
            server["attributes"],
            json!([
                string("request_id", "r"),
                string("http.request.method", "GET"),
                string("http.route", "/movies/{year}/{title}"),
                { "key": "http.response.status_code", "value": { "intValue": "200" } },
            ])
        );
    }

    #[tokio::test]
    async fn unsampled_request_has_no_spans() {
        assert_eq!(spans(None).await, Vec::<Value>::new());
        let unsampled = SAMPLED.replace("Sampled=1", "Sampled=0");
        assert_eq!(spans(Some(&unsampled)).await, Vec::<Value>::new());
    }
}
