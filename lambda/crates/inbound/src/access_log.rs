//! The access log: one line for every request, rejected and cancelled ones included. A line is JSON
//! of allow-listed fields, which CloudWatch reads as metrics too (Embedded Metric Format). It never
//! has a path, a header, a body or an address.

use crate::{RequestContext, app::Shared, outcome::Outcome, trace};
use axum::{
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use http::{Method, StatusCode};
use serde::Serialize;
use std::{
    borrow::Cow,
    sync::{Arc, atomic::Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// The metrics' namespace in CloudWatch.
const NAMESPACE: &str = "mvdb";
/// The status that is logged if the client disconnects before the response (nginx uses the same).
const CANCELLED: u16 = 499;
/// The logged route of a path that matches no operation.
const NO_ROUTE: &str = "none";
/// The logged name of a method that HTTP does not define. Names that callers invent are not logged.
const UNKNOWN_METHOD: &str = "other";

/// The Lambda function of the process, a dimension of the metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// The published version, a number, or `$LATEST`.
    pub version: String,
}

/// The layer: writes the line after the response, or when the request is dropped without one.
pub(crate) async fn layer(
    State(shared): State<Arc<Shared>>,
    context: RequestContext,
    request: Request,
    next: Next,
) -> Response {
    let entry = Entry::new(shared, context, method_name(request.method()));
    let mut response = next.run(request).await;
    entry.finish(&mut response);
    response
}

/// The line of a request in progress. It is written when this is dropped.
pub(crate) struct Entry {
    shared: Arc<Shared>,
    context: RequestContext,
    method: &'static str,
    status: u16,
    outcome: Outcome,
}

impl Entry {
    fn new(shared: Arc<Shared>, context: RequestContext, method: &'static str) -> Self {
        Self {
            shared,
            context,
            method,
            status: CANCELLED,
            outcome: Outcome::default(),
        }
    }

    /// The line of a request whose method and path could not be read.
    pub(crate) fn unreadable(shared: Arc<Shared>, context: RequestContext) -> Self {
        Self::new(shared, context, UNKNOWN_METHOD)
    }

    pub(crate) fn finish(mut self, response: &mut Response) {
        self.outcome = response.extensions_mut().remove().unwrap_or_default();
        self.finish_with(response.status());
    }

    pub(crate) fn finish_with(mut self, status: StatusCode) {
        self.status = status.as_u16();
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let settings = &self.shared.settings;
        let route = self
            .context
            .route()
            .map_or(Cow::Borrowed(NO_ROUTE), |route| {
                // The contract has no name for a parameter with slashes.
                let route = route.as_str();
                if route.contains("{*") {
                    route.replace("{*", "{").into()
                } else {
                    route.into()
                }
            });
        trace::record_response(self.context.id(), self.method, &route, self.status);
        if !tracing::enabled!(tracing::Level::INFO) {
            return;
        }
        let client_id = self.context.client_id();
        let record = AccessLogRecord {
            time: SystemTime::now(),
            service: settings.service,
            function: settings.function.as_ref(),
            request_id: self.context.id(),
            method: self.method,
            route: &route,
            client_id,
            consumer: settings
                .consumers
                .of(client_id)
                .map(|consumer| consumer.name.as_str()),
            status: self.status,
            cause: self.outcome.failure.as_ref().map(|failure| failure.kind()),
            damaged_rows: self.outcome.malformed_items,
            latency: self.context.elapsed(),
            cold: !self.shared.warm.swap(true, Ordering::Relaxed),
        };
        if let Ok(mut line) = record.to_json() {
            line.push('\n');
            settings.log.line(line.as_bytes());
        }
    }
}

fn method_name(method: &Method) -> &'static str {
    const NAMES: [&str; 9] = [
        "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT",
    ];
    NAMES
        .into_iter()
        .find(|name| *name == method.as_str())
        .unwrap_or(UNKNOWN_METHOD)
}

/// The properties of a request that its line is written from.
struct AccessLogRecord<'a> {
    time: SystemTime,
    service: &'static str,
    function: Option<&'a Function>,
    request_id: &'a str,
    method: &'static str,
    route: &'a str,
    client_id: Option<&'a str>,
    /// The consumer of the client, if one is configured.
    consumer: Option<&'a str>,
    status: u16,
    /// The kind of failure of the service, if there was one.
    cause: Option<&'static str>,
    damaged_rows: usize,
    latency: Duration,
    cold: bool,
}

#[derive(Serialize)]
struct EmfRecord<'a> {
    #[serde(rename = "_aws", skip_serializing_if = "Option::is_none")]
    aws: Option<Metadata>,
    // Lambda filters by level. Above INFO it drops a line without one, and so its metrics.
    level: &'static str,
    message: &'static str,
    service: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    function: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'a str>,
    request_id: &'a str,
    method: &'static str,
    route: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    consumer: Option<&'a str>,
    status: u16,
    requests: u8,
    faults: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    damaged_rows: Option<usize>,
    /// Milliseconds.
    latency: f64,
    cold_starts: u8,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Metadata {
    timestamp: u128,
    cloud_watch_metrics: Vec<Directive>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Directive {
    namespace: &'static str,
    dimensions: &'static [&'static [&'static str]],
    metrics: &'static [Metric],
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Metric {
    name: &'static str,
    unit: &'static str,
}

/// Lists of dimensions. CloudWatch bills every combination of values of each list as a metric.
const DIMENSIONS_ANONYMOUS: &[&[&str]] = &[&["function"], &["function", "route"]];
const DIMENSIONS_CONSUMER: &[&[&str]] = &[
    &["function"],
    &["function", "route"],
    &["function", "consumer"],
];
/// The metric that stops a release. Lambda counts an invocation whose response is 5xx as a success.
const DIMENSIONS_VERSION: &[&[&str]] = &[&["function", "version"]];

/// A failure that no retry fixes has an alarm of its own.
const DIMENSIONS_CAUSE: &[&[&str]] = &[&["function", "cause"]];
const DIMENSIONS_FUNCTION: &[&[&str]] = &[&["function"]];

const FAULTS: Metric = Metric {
    name: "faults",
    unit: "Count",
};
const METRICS: &[Metric] = &[
    Metric {
        name: "requests",
        unit: "Count",
    },
    FAULTS,
    Metric {
        name: "latency",
        unit: "Milliseconds",
    },
    Metric {
        name: "cold_starts",
        unit: "Count",
    },
];

impl AccessLogRecord<'_> {
    fn to_json(&self) -> serde_json::Result<String> {
        let damaged_rows = Some(self.damaged_rows).filter(|rows| *rows > 0);
        let aws = self.function.map(|_| {
            let directive = |dimensions, metrics| Directive {
                namespace: NAMESPACE,
                dimensions,
                metrics,
            };
            let mut directives = vec![
                directive(
                    if self.consumer.is_some() {
                        DIMENSIONS_CONSUMER
                    } else {
                        DIMENSIONS_ANONYMOUS
                    },
                    METRICS,
                ),
                directive(DIMENSIONS_VERSION, &[FAULTS]),
            ];
            directives.extend(self.cause.map(|_| directive(DIMENSIONS_CAUSE, &[FAULTS])));
            directives.extend(damaged_rows.map(|_| {
                directive(
                    DIMENSIONS_FUNCTION,
                    &[Metric {
                        name: "damaged_rows",
                        unit: "Count",
                    }],
                )
            }));
            let timestamp = self
                .time
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default()
                .as_millis();
            Metadata {
                timestamp,
                cloud_watch_metrics: directives,
            }
        });
        let line = EmfRecord {
            aws,
            level: "INFO",
            message: "request",
            service: self.service,
            function: self.function.map(|function| function.name.as_str()),
            version: self.function.map(|function| function.version.as_str()),
            request_id: self.request_id,
            method: self.method,
            route: self.route,
            client_id: self.client_id,
            consumer: self.consumer,
            status: self.status,
            requests: 1,
            faults: u8::from(self.status >= 500),
            cause: self.cause,
            damaged_rows,
            latency: (self.latency.as_secs_f64() * 1e6).round() / 1e3,
            cold_starts: u8::from(self.cold),
        };
        serde_json::to_string(&line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn line(function: Option<&str>, consumer: Option<&str>) -> Value {
        let function = function.map(|name| Function {
            name: name.into(),
            version: "8".into(),
        });
        let line = AccessLogRecord {
            time: UNIX_EPOCH + Duration::from_millis(1_790_000_000_123),
            service: "movies",
            function: function.as_ref(),
            request_id: "r",
            method: "GET",
            route: "/movies/{year}/{title}",
            client_id: consumer.map(|_| "c"),
            consumer,
            status: 503,
            cause: Some("denied"),
            damaged_rows: 2,
            latency: Duration::from_nanos(1_234_567),
            cold: true,
        };
        serde_json::from_str(&line.to_json().unwrap()).unwrap()
    }

    #[test]
    fn every_metric_and_dimension_that_is_declared_has_a_value() {
        for consumer in [None, Some("shop")] {
            let line = line(Some("mvdb-dev-movies"), consumer);
            for (at, count) in [
                (0, if consumer.is_some() { 3 } else { 2 }),
                (1, 1),
                (2, 1),
                (3, 1),
            ] {
                let directive = &line["_aws"]["CloudWatchMetrics"][at];
                for metric in directive["Metrics"].as_array().unwrap() {
                    assert!(
                        line[metric["Name"].as_str().unwrap()].is_number(),
                        "{metric}"
                    );
                }
                let sets = directive["Dimensions"].as_array().unwrap();
                assert_eq!(sets.len(), count);
                for set in sets.iter().map(|set| set.as_array().unwrap()) {
                    assert!(
                        set.len() <= 3
                            && set
                                .iter()
                                .all(|name| line[name.as_str().unwrap()].is_string()),
                        "{set:?}"
                    );
                }
            }
        }
    }

    /// The alarm `version-fails` of infra/modules/observability adds up this metric.
    #[test]
    fn faults_are_counted_by_version() {
        let line = line(Some("mvdb-dev-movies"), None);
        assert_eq!(
            line["_aws"]["CloudWatchMetrics"][1],
            json!({
                "Namespace": "mvdb",
                "Dimensions": [["function", "version"]],
                "Metrics": [{ "Name": "faults", "Unit": "Count" }],
            })
        );
        assert_eq!(
            (&line["version"], &line["faults"]),
            (&json!("8"), &json!(1))
        );
    }

    /// The alarm `function-locked-out` of infra/modules/observability adds up these metrics.
    #[test]
    fn faults_are_counted_by_cause() {
        let directive = &line(Some("mvdb-dev-movies"), None)["_aws"]["CloudWatchMetrics"][2];
        assert_eq!(
            directive,
            &json!({
                "Namespace": "mvdb",
                "Dimensions": [["function", "cause"]],
                "Metrics": [{ "Name": "faults", "Unit": "Count" }],
            })
        );
    }

    #[test]
    fn line_has_only_allow_listed_fields() {
        let mut found = line(Some("mvdb-dev-movies"), Some("shop"));
        assert_eq!(found["_aws"]["Timestamp"], 1_790_000_000_123_u64);
        found.as_object_mut().unwrap().remove("_aws");
        assert_eq!(
            found,
            json!({ "level": "INFO", "message": "request", "service": "movies",
                "function": "mvdb-dev-movies", "version": "8", "request_id": "r",
                "method": "GET", "route": "/movies/{year}/{title}", "client_id": "c",
                "consumer": "shop", "status": 503, "requests": 1, "faults": 1,
                "cause": "denied", "damaged_rows": 2, "latency": 1.235, "cold_starts": 1 })
        );
    }

    #[test]
    fn outside_of_lambda_a_line_has_no_metrics() {
        let line = line(None, None);
        assert!(line.get("_aws").is_none() && line.get("function").is_none());
    }
}
