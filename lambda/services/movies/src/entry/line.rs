//! The one line that every request leaves: a JSON log entry of allow-listed fields, which CloudWatch reads as metrics
//! too (Embedded Metric Format). No call, no agent, nothing to lose. Never in it: a title, a header, a body, an address.

use crate::config::Function;
use serde::Serialize;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What is known of a request when it has been answered.
pub(super) struct Line<'a> {
    pub(super) time: SystemTime,
    pub(super) function: Option<&'a Function>,
    pub(super) request_id: &'a str,
    pub(super) method: &'static str,
    pub(super) route: &'static str,
    pub(super) client_id: Option<&'a str>,
    /// Whose client it is, if the environment knows it.
    pub(super) consumer: Option<&'a str>,
    pub(super) status: u16,
    /// Why we failed, if we did.
    pub(super) cause: Option<&'static str>,
    pub(super) damaged_rows: usize,
    pub(super) latency: Duration,
    pub(super) cold: bool,
}

#[derive(Serialize)]
struct LineBody<'a> {
    #[serde(rename = "_aws", skip_serializing_if = "Option::is_none")]
    aws: Option<Metadata>,
    // Lambda filters by level; a line without one would be lost above INFO, and so would its metrics.
    level: &'static str,
    message: &'static str,
    service: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    function: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'a str>,
    request_id: &'a str,
    method: &'static str,
    route: &'static str,
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

/// Each list is a metric of its own for every combination of values, and is paid for as such: hence no finer one.
const ANONYMOUS: &[&[&str]] = &[&["function"], &["function", "route"]];
const BY_CONSUMER: &[&[&str]] = &[
    &["function"],
    &["function", "route"],
    &["function", "consumer"],
];
/// What stops a release: for Lambda a call that was answered with 5xx is a success.
const BY_VERSION: &[&[&str]] = &[&["function", "version"]];

/// Why we failed: what no retry mends has an alarm of its own.
const BY_CAUSE: &[&[&str]] = &[&["function", "cause"]];
const OF_FUNCTION: &[&[&str]] = &[&["function"]];

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

impl Line<'_> {
    pub(super) fn to_json(&self) -> String {
        let damaged_rows = Some(self.damaged_rows).filter(|rows| *rows > 0);
        let aws = self.function.map(|_| {
            let directive = |dimensions, metrics| Directive {
                namespace: "mvdb",
                dimensions,
                metrics,
            };
            let mut directives = vec![
                directive(
                    if self.consumer.is_some() {
                        BY_CONSUMER
                    } else {
                        ANONYMOUS
                    },
                    METRICS,
                ),
                directive(BY_VERSION, &[FAULTS]),
            ];
            directives.extend(self.cause.map(|_| directive(BY_CAUSE, &[FAULTS])));
            directives.extend(damaged_rows.map(|_| {
                directive(
                    OF_FUNCTION,
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
        let line = LineBody {
            aws,
            level: "INFO",
            message: "request",
            service: "movies",
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
        serde_json::to_string(&line).unwrap_or_default()
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
        let line = Line {
            time: UNIX_EPOCH + Duration::from_millis(1_790_000_000_123),
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
        serde_json::from_str(&line.to_json()).unwrap()
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

    /// The alarm `version-fails` of infra/modules/observability adds up this one.
    #[test]
    fn what_a_version_failed_to_answer_is_counted_for_it() {
        let line = line(Some("mvdb-dev-movies"), None);
        assert_eq!(
            line["_aws"]["CloudWatchMetrics"][1],
            json!({ "Namespace": "mvdb", "Dimensions": [["function", "version"]], "Metrics": [{ "Name": "faults", "Unit": "Count" }] })
        );
        assert_eq!(
            (&line["version"], &line["faults"]),
            (&json!("8"), &json!(1))
        );
    }

    /// The alarm `function-locked-out` of infra/modules/observability adds up these.
    #[test]
    fn what_failed_is_counted_by_its_cause() {
        let directive = &line(Some("mvdb-dev-movies"), None)["_aws"]["CloudWatchMetrics"][2];
        assert_eq!(
            directive,
            &json!({ "Namespace": "mvdb", "Dimensions": [["function", "cause"]], "Metrics": [{ "Name": "faults", "Unit": "Count" }] })
        );
    }

    #[test]
    fn only_these_fields_are_in_it() {
        let mut found = line(Some("mvdb-dev-movies"), Some("shop"));
        assert_eq!(found["_aws"]["Timestamp"], 1_790_000_000_123_u64);
        found.as_object_mut().unwrap().remove("_aws");
        assert_eq!(
            found,
            json!({ "level": "INFO", "message": "request", "service": "movies", "function": "mvdb-dev-movies", "version": "8", "request_id": "r",
                "method": "GET", "route": "/movies/{year}/{title}", "client_id": "c", "consumer": "shop", "status": 503, "requests": 1, "faults": 1,
                "cause": "denied", "damaged_rows": 2, "latency": 1.235, "cold_starts": 1 })
        );
    }

    #[test]
    fn outside_of_lambda_it_is_a_log_line_alone() {
        let line = line(None, None);
        assert!(line.get("_aws").is_none() && line.get("function").is_none());
    }
}
