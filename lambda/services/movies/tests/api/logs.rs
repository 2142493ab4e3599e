//! The log of the binary: only allow-listed fields, no request data and no secrets.

use super::{EntryPoint, app};
use bytes::Bytes;
use http::{HeaderValue, Request, Response};
use lambda_emulator::{Environment, Event, FunctionConfig, InvocationOutcome, Server};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    future::ready,
    os::unix::fs::PermissionsExt,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use testkit::{CANARY, HttpServer, Issuer, RequestBuilder};

behaviours![every_request_is_logged_once_with_its_route];

const TRACE: &str = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";

/// The fields that a line may have.
const FIELDS: [&str; 22] = [
    "_aws",
    "cause",
    "client_id",
    "cold_starts",
    "consumer",
    "damaged_rows",
    "error",
    "faults",
    "function",
    "latency",
    "level",
    "lost",
    "message",
    "method",
    "place",
    "request_id",
    "requests",
    "route",
    "service",
    "status",
    "timestamp",
    "version",
];

/// Returns the fields of a line and asserts that each is allow-listed.
#[track_caller]
pub(super) fn fields(line: &str) -> Value {
    let fields: Value =
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    let unknown: Vec<_> = fields
        .as_object()
        .unwrap()
        .keys()
        .filter(|name| !FIELDS.contains(&name.as_str()))
        .collect();
    assert!(unknown.is_empty(), "{unknown:?} in {line}");
    fields
}

/// Returns a function whose secrets contain the canary.
fn launch(level: &str) -> FunctionConfig {
    [
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "TABLE_NAME",
        "DATABASE_PASSWORD",
    ]
    .iter()
    .fold(
        FunctionConfig::new(env!("CARGO_BIN_EXE_movies")),
        |launch, name| launch.variable(name, format!("{CANARY}-{name}")),
    )
    .variable("CORS_ORIGINS", format!("https://{CANARY}-origin"))
    .variable("AWS_LAMBDA_LOG_LEVEL", level)
    .never_frozen()
}

/// Returns valid and invalid requests with the canary in every place that a caller controls.
fn requests_with_canaries() -> Vec<RequestBuilder> {
    let canary = |place: &str| format!("{CANARY}-{place}");
    let with_headers = |request: RequestBuilder| {
        [
            "Authorization",
            "Cookie",
            "X-Api-Key",
            "X-Forwarded-For",
            "User-Agent",
            "Origin",
            "Host",
            "Referer",
            "Idempotency-Key",
            "X-Amz-Security-Token",
        ]
        .iter()
        .fold(request, |request, name| request.header(name, &canary(name)))
        .header(&canary("header-name"), "1")
    };
    let path = format!("/movies/2013/{}", canary("title"));
    let info = json!({ "info": {
        "plot": canary("plot"),
        "actors": [canary("actor")],
        "image_url": format!("https://{}", canary("image")),
    } });
    let etag = format!("\"{}\"", canary("etag"));
    let invalid = json!({
        "year": canary("year"),
        "title": canary("title"),
        canary("member"): canary("value"),
    });
    let requests = vec![
        RequestBuilder::new("GET", &path),
        RequestBuilder::new("GET", &path).header("If-None-Match", &etag),
        RequestBuilder::new("PUT", &path).json(&info),
        RequestBuilder::new("PUT", &path)
            .json(&info)
            .header("If-Match", &etag),
        RequestBuilder::new("PATCH", &path).json(&info),
        RequestBuilder::new("DELETE", &path),
        RequestBuilder::new("POST", "/movies")
            .json(&json!({ "year": 2013, "title": canary("title"), "info": info["info"] })),
        RequestBuilder::new("POST", "/movies").json(&invalid),
        RequestBuilder::new("POST", "/movies").body("application/json", &canary("body")),
        RequestBuilder::new("POST", "/movies").body(&canary("content-type"), "{}"),
        RequestBuilder::new(
            "GET",
            &format!("/movies?year=2013&title_prefix={}", canary("prefix")),
        ),
        RequestBuilder::new(
            "GET",
            &format!("/movies?{}={}", canary("parameter"), canary("value")),
        ),
        RequestBuilder::new("GET", &format!("/movies?cursor={}", canary("cursor"))),
        RequestBuilder::new("GET", &format!("/movies/{}/x", canary("year"))),
        RequestBuilder::new("GET", &format!("/{}", canary("path"))),
        RequestBuilder::new(&canary("method"), "/movies"),
        RequestBuilder::new("OPTIONS", "/movies")
            .header("Access-Control-Request-Headers", &canary("cors")),
        RequestBuilder::new("GET", &path).scope(None),
    ];
    requests.into_iter().map(with_headers).collect()
}

/// Returns the headers and the body of a request, as an error message of a table could repeat them.
fn echo(request: &Request<Bytes>) -> String {
    format!(
        "{:?} {}",
        request.headers(),
        String::from_utf8_lossy(request.body())
    )
}

fn reply(status: u16, content_type: &'static str, body: impl Into<Bytes>) -> Response<Bytes> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status.try_into().unwrap();
    response
        .headers_mut()
        .insert("content-type", HeaderValue::from_static(content_type));
    response
        .headers_mut()
        .insert("x-amzn-requestid", HeaderValue::from_static("R"));
    response
}

/// Returns a table whose error message repeats the complete request.
fn failing(
    status: u16,
    code: &'static str,
) -> impl Fn(&Request<Bytes>) -> Option<Response<Bytes>> + Send + Sync {
    move |request| {
        let body = json!({
            "__type": format!("com.amazonaws.dynamodb.v20120810#{code}"),
            "message": echo(request),
            "Item": { "title": { "S": echo(request) } },
        });
        Some(reply(
            status,
            "application/x-amz-json-1.0",
            body.to_string(),
        ))
    }
}

type Table = Box<dyn Fn(&Request<Bytes>) -> Option<Response<Bytes>> + Send + Sync>;

/// Returns tables that respond with items, with each kind of error, or not at all.
fn tables() -> Vec<Table> {
    const JSON: &str = "application/x-amz-json-1.0";
    let item = json!({
        "year": { "N": "2013" },
        "title": { "S": format!("{CANARY}-item") },
        "etag": { "S": format!("{CANARY}-etag") },
    });
    let malformed = json!({ "year": { "S": format!("{CANARY}-no-year") } });
    let served =
        json!({ "Item": item, "Attributes": item, "Items": [item, malformed] }).to_string();
    vec![
        Box::new(move |_| Some(reply(200, JSON, served.clone()))),
        Box::new(failing(400, "ConditionalCheckFailedException")),
        Box::new(failing(400, "ValidationException")),
        Box::new(failing(400, "AccessDeniedException")),
        Box::new(failing(400, "UnrecognizedClientException")),
        Box::new(failing(400, "InvalidSignatureException")),
        Box::new(failing(400, "ProvisionedThroughputExceededException")),
        Box::new(failing(500, "InternalServerError")),
        Box::new(|request| Some(reply(503, "text/html", echo(request)))),
        Box::new(|request| Some(reply(200, JSON, echo(request)))),
        Box::new(|request| {
            Some(reply(
                200,
                JSON,
                json!({ "Item": echo(request), "Items": echo(request) }).to_string(),
            ))
        }),
        Box::new(|request| {
            Some(reply(
                200,
                JSON,
                json!({ "Item": { "year": { echo(request): 1 } } }).to_string(),
            ))
        }),
        Box::new(|_| None),
    ]
}

#[track_caller]
fn assert_no_canaries(lines: impl IntoIterator<Item = String>) -> BTreeSet<String> {
    let mut messages = BTreeSet::new();
    for line in lines {
        assert!(!line.contains(CANARY), "{line}");
        messages.insert(fields(&line)["message"].as_str().unwrap().to_owned());
    }
    messages
}

async fn assert_nothing_leaks_at(level: &'static str) {
    // In parallel, because most of the time is backoff between attempts.
    let running: Vec<_> = tables()
        .into_iter()
        .map(|table| tokio::spawn(messages(level, table)))
        .collect();
    let mut all = BTreeSet::new();
    for messages in running {
        all.extend(messages.await.unwrap());
    }
    // Without log lines, the test would prove nothing.
    assert!(all.len() >= 4, "{all:?}");
}

/// Sends every request to a function with this table. Returns the messages of its log, which has no
/// canary.
async fn messages(level: &str, table: Table) -> BTreeSet<String> {
    let traces = Arc::new(Mutex::new(Vec::new()));
    let taken = Arc::clone(&traces);
    let layer = Server::http(move |request| {
        taken
            .lock()
            .unwrap()
            .push(String::from_utf8_lossy(request.body()).into_owned());
        ready(Some(Response::default()))
    });
    let layer = layer.await.unwrap();
    let table = Server::http(move |request| ready(table(&request)))
        .await
        .unwrap();
    let launch = launch(level)
        .variable("AWS_ENDPOINT_URL", table.url())
        .variable("OTEL_EXPORTER_OTLP_ENDPOINT", layer.url());
    let mut environment = Environment::start(launch).await.unwrap();
    for request in requests_with_canaries() {
        let event = Event::new(request.event().to_string()).trace(TRACE);
        let invocation = environment.invoke(event).await.unwrap();
        assert!(
            matches!(invocation.outcome, InvocationOutcome::Response(_)),
            "{invocation:?}"
        );
    }
    for event in [
        format!("\"{CANARY}\""),
        json!({ CANARY: CANARY, "httpMethod": CANARY }).to_string(),
    ] {
        environment.invoke(Event::new(event)).await.unwrap();
    }
    let lines = environment.shutdown().await.unwrap().lines;
    let traces = traces.lock().unwrap();
    assert!(
        !traces.is_empty() && traces.iter().all(|trace| !trace.contains(CANARY)),
        "{traces:#?}"
    );
    assert_no_canaries(lines.into_iter().map(|line| line.text))
}

#[tokio::test]
async fn log_contains_neither_request_data_nor_secrets() {
    assert_nothing_leaks_at("INFO").await;
}

#[tokio::test]
async fn trace_level_log_contains_neither_request_data_nor_secrets() {
    assert_nothing_leaks_at("TRACE").await;
}

fn get_rush() -> Event {
    Event::new(
        RequestBuilder::new("GET", "/movies/2013/Rush")
            .event()
            .to_string(),
    )
}

async fn empty_table() -> Server {
    Server::http(|_| ready(Some(reply(200, "application/x-amz-json-1.0", "{}"))))
        .await
        .unwrap()
}

#[tokio::test]
async fn every_lambda_event_is_logged_once() {
    let table = empty_table().await;
    let mut environment =
        Environment::start(launch("INFO").variable("AWS_ENDPOINT_URL", table.url()))
            .await
            .unwrap();
    let not_a_request = ("other", "none", 400);
    for (event, (method, route, status)) in [
        (Event::new(r#""no request""#), not_a_request),
        (Event::new(r#"{"httpMethod":"GET"}"#), not_a_request),
        (get_rush(), ("GET", "/movies/{year}/{title}", 404)),
        (
            get_rush().time_limit(Duration::from_millis(1)),
            ("GET", "/movies/{year}/{title}", 503),
        ),
    ] {
        let before = environment.lines().len();
        environment.invoke(event).await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
        let lines = environment.lines_after(before);
        let lines: Vec<_> = lines
            .iter()
            .map(|line| fields(&line.text))
            .filter(|line| line["message"] == "request")
            .collect();
        let [line] = &lines[..] else {
            panic!("{status}: {lines:#?}")
        };
        assert_eq!(
            (&line["method"], &line["route"], &line["status"]),
            (&json!(method), &json!(route), &json!(status))
        );
    }
}

async fn every_request_is_logged_once_with_its_route(entry_point: EntryPoint) {
    let app = entry_point.start().await;
    let mut expected = Vec::new();
    for (method, target, logged_method, route, status) in [
        ("GET", "/health", "GET", "/health", 200),
        ("GET", "/nothing", "GET", "none", 404),
        ("PUT", "/health", "PUT", "/health", 405),
        (
            "HEAD",
            "/movies/2013/none",
            "HEAD",
            "/movies/{year}/{title}",
            404,
        ),
        ("GET", "/movies?limit=0", "GET", "/movies", 400),
        ("INVENTED", "/movies", "other", "/movies", 405),
    ] {
        assert_eq!(app.ask(method, target).await.status, status);
        expected.push(json!([logged_method, route, status, "client-1"]));
    }
    // The log is read through a pipe, so lines arrive later than responses.
    let begin = Instant::now();
    let lines = loop {
        let lines: Vec<_> = app.log().iter().map(|line| fields(line)).collect();
        let requests = lines.iter().filter(|line| line["message"] == "request");
        let requests: Vec<_> = requests
            .map(|line| {
                json!([
                    line["method"],
                    line["route"],
                    line["status"],
                    line["client_id"]
                ])
            })
            .collect();
        if requests.len() >= expected.len() || begin.elapsed() > Duration::from_secs(5) {
            break requests;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(lines, expected);
}

#[tokio::test]
async fn lambda_serves_though_its_log_cannot_be_written() {
    let table = empty_table().await;
    let script = format!("{}/without-a-log", env!("CARGO_TARGET_TMPDIR"));
    std::fs::write(
        &script,
        format!(
            "#!/bin/sh\nexec {} >/dev/full 2>&1\n",
            env!("CARGO_BIN_EXE_movies")
        ),
    )
    .unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    let launch = FunctionConfig::new(script)
        .variable("TABLE_NAME", "movies")
        .variable("AWS_ENDPOINT_URL", table.url());
    let mut environment = Environment::start(launch).await.unwrap();
    for (event, status) in [
        (get_rush(), 404),
        (Event::new("{}"), 400),
        (get_rush(), 404),
    ] {
        let invocation = environment.invoke(event).await.unwrap();
        let InvocationOutcome::Response(response) = &invocation.outcome else {
            panic!("{invocation:?}")
        };
        let response: Value = serde_json::from_slice(response).unwrap();
        assert_eq!(response["statusCode"], status);
    }
    // If DynamoDB fails, an ERROR line is logged as well.
    drop(table);
    let invocation = environment.invoke(get_rush()).await.unwrap();
    assert!(
        matches!(invocation.outcome, InvocationOutcome::Response(_)),
        "{invocation:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_server_log_contains_no_request_data() {
    let table = empty_table().await;
    let issuer = Issuer::new(concat!(env!("CARGO_TARGET_TMPDIR"), "/jwks-logs.json"));
    let mut command = app::server();
    command.args(issuer.arguments()).envs([
        ("AWS_ACCESS_KEY_ID", "canary-id"),
        ("AWS_SECRET_ACCESS_KEY", "canary-secret"),
        ("AWS_LAMBDA_LOG_LEVEL", "TRACE"),
        ("AWS_ENDPOINT_URL", table.url()),
    ]);
    let server = HttpServer::start(command);
    drop(table);
    let requests = [
        "GET /movies/2013/canary-title?canary=canary HTTP/1.1\r\nHost: canary\r\n\
         Authorization: Bearer canary.canary.canary\r\n",
        "GET /movies HTTP/1.1\r\nHost: x\r\nAuthorization: Basic canary\r\nCookie: canary\r\n",
        "canary-method /canary HTTP/1.1\r\nHost: x\r\n",
        "OPTIONS /movies/2013/canary HTTP/1.1\r\nHost: x\r\nOrigin: https://canary\r\n",
        "GET canary canary\r\n",
        "GET / HTTP/1.1\r\ncanary\r\n",
    ];
    for request in requests {
        server
            .send_bytes(format!("{request}Connection: close\r\n\r\n").as_bytes())
            .await;
    }
    let (_, log, printed) = server.stop();
    assert_eq!(printed.len(), 1, "{printed:?}");
    assert_eq!(
        log.iter()
            .filter(|line| fields(line)["message"] == "request")
            .count(),
        requests.len(),
        "{log:#?}"
    );
    assert!(!assert_no_canaries(log).is_empty());
}

#[test]
fn log_assertions_reject_unknown_fields_and_request_data() {
    assert!(
        std::panic::catch_unwind(|| fields(r#"{"message":"request","title":"Rush"}"#)).is_err()
    );
    assert!(
        std::panic::catch_unwind(|| assert_no_canaries([format!(r#"{{"message":"{CANARY}"}}"#)]))
            .is_err()
    );
}
