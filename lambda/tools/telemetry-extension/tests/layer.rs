//! The extension and the function as compiled binaries, in an emulated execution environment that
//! freezes as Lambda's does.

#![allow(clippy::unwrap_used, clippy::panic, reason = "failures in tests")]

use bytes::Bytes;
use http::{Request, Response};
use lambda_emulator::{
    Environment, Event, FunctionConfig, Invocation, InvocationOutcome, Server, TestCa, dynamodb,
};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::any_value::Value as Any,
    trace::v1::{Span, span::SpanKind},
};
use serde_json::{Value, json};
use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc, LazyLock, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

/// An address that refuses connections.
const UNREACHABLE: &str = "http://127.0.0.1:1";
const TRACE: &str = "5759e988bd862e3fe1be46a994272793";
const PARENT: &str = "53995c3f42cd8ad8";
/// A little longer than `FLUSH_AFTER`.
const UNTIL_DUE: Duration = Duration::from_millis(5_100);
/// Upper bound of a response time with the stub table. Every failing send takes longer.
const MAX_RESPONSE_TIME: Duration = Duration::from_millis(290);

/// The function's binary. It is built here, because Cargo builds only the binaries of the tested
/// crate.
static FUNCTION: LazyLock<PathBuf> = LazyLock::new(|| {
    let target = Path::new(env!("CARGO_BIN_EXE_telemetry-extension"))
        .ancestors()
        .nth(2)
        .unwrap();
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml");
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args([
            "build",
            "--quiet",
            "-p",
            "movies",
            "--manifest-path",
            manifest,
        ])
        .arg("--target-dir")
        .arg(target);
    assert!(
        cargo.status().unwrap().success(),
        "the function cannot be built"
    );
    target.join("debug/movies")
});

/// The requests that X-Ray's endpoint received.
#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<Request<Bytes>>>>);

impl Sink {
    fn take(&self, request: Request<Bytes>) {
        self.0.lock().unwrap().push(request);
    }

    fn requests(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    /// Returns the spans of all requests, parsed by OpenTelemetry's own types.
    fn spans(&self) -> Vec<Span> {
        let requests = self.0.lock().unwrap();
        let documents = requests.iter().map(|request| {
            serde_json::from_slice::<ExportTraceServiceRequest>(request.body()).unwrap()
        });
        documents
            .flat_map(|document| document.resource_spans)
            .flat_map(|part| part.scope_spans)
            .flat_map(|scope| scope.spans)
            .collect()
    }

    /// Starts a server that responds at once.
    async fn serve(&self) -> Server {
        let sink = self.clone();
        Server::http(move |request| {
            sink.take(request);
            std::future::ready(Some(Response::new(Bytes::from_static(b"{}"))))
        })
        .await
        .unwrap()
    }
}

async fn table() -> Server {
    Server::http(dynamodb::stub(vec![
        json!({ "year": { "N": "2013" }, "title": { "S": "Rush" } }),
    ]))
    .await
    .unwrap()
}

/// Returns a port that the extension binds later. It is below the ephemeral range, because another
/// process may be given an ephemeral port in the meantime.
fn free_port() -> u16 {
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    loop {
        let next = std::process::id().wrapping_mul(100) + TAKEN.fetch_add(1, Ordering::Relaxed);
        let port = 10_000 + (next % 20_000) as u16;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

fn without_layer(table: &Server, sink: &str) -> FunctionConfig {
    FunctionConfig::new(&*FUNCTION)
        .variable("AWS_ENDPOINT_URL_DYNAMODB", table.url())
        .variable("AWS_ENDPOINT_URL_XRAY", sink)
        .variable(
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            format!("http://127.0.0.1:{}", free_port()),
        )
        .variable("TABLE_NAME", "movies")
}

fn with_layer(table: &Server, sink: &str) -> FunctionConfig {
    without_layer(table, sink).extension(env!("CARGO_BIN_EXE_telemetry-extension"))
}

fn get(title: &str) -> Event {
    let claims = json!({ "scope": "movies/read", "client_id": "client-1" });
    let event = json!({
        "httpMethod": "GET", "path": format!("/movies/2013/{title}"),
        "headers": null, "multiValueHeaders": null,
        "queryStringParameters": null, "multiValueQueryStringParameters": null,
        "body": null, "isBase64Encoded": false,
        "requestContext": { "httpMethod": "GET", "requestId": "request-1", "authorizer": { "claims": claims } },
    });
    Event::new(event.to_string())
}

fn sampled(title: &str) -> Event {
    get(title).trace(format!(
        "Root=1-{}-{};Parent={PARENT};Sampled=1",
        &TRACE[..8],
        &TRACE[8..]
    ))
}

#[track_caller]
fn status(invocation: &Invocation) -> u64 {
    let InvocationOutcome::Response(body) = &invocation.outcome else {
        panic!("{invocation:?}")
    };
    serde_json::from_slice::<Value>(body).unwrap()["statusCode"]
        .as_u64()
        .unwrap()
}

fn attribute(span: &Span, key: &str) -> Option<String> {
    match span
        .attributes
        .iter()
        .find(|pair| pair.key == key)?
        .value
        .as_ref()?
        .value
        .as_ref()?
    {
        Any::StringValue(text) => Some(text.clone()),
        Any::IntValue(number) => Some(number.to_string()),
        other => panic!("{other:?}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn spans_of_a_request_are_sent_signed_over_https() {
    let (authority, sink) = (TestCa::new().unwrap(), Sink::default());
    let xray = {
        let sink = sink.clone();
        Server::https(&authority, move |request| {
            sink.take(request);
            std::future::ready(Some(Response::new(Bytes::from_static(b"{}"))))
        })
    };
    let (xray, table) = (xray.await.unwrap(), table().await);
    let mut environment = Environment::start(
        with_layer(&table, xray.url()).variable("SSL_CERT_FILE", authority.file()),
    )
    .await
    .unwrap();
    assert_eq!(
        status(&environment.invoke(sampled("Rush")).await.unwrap()),
        200
    );
    let ended = environment.shutdown().await.unwrap();
    assert!(ended.in_time, "{ended:?}");

    let spans = sink.spans();
    let of = |kind: SpanKind| {
        spans
            .iter()
            .find(|span| span.kind == i32::from(kind))
            .unwrap_or_else(|| panic!("{kind:?} in {spans:#?}"))
    };
    let (server, client) = (of(SpanKind::Server), of(SpanKind::Client));
    assert_eq!(spans.len(), 2);
    for span in [server, client] {
        assert_eq!(
            (hex(&span.trace_id).as_str(), span.span_id.len()),
            (TRACE, 8)
        );
        assert!(
            0 < span.start_time_unix_nano && span.start_time_unix_nano <= span.end_time_unix_nano
        );
    }
    assert_eq!(hex(&server.parent_span_id), PARENT);
    assert_eq!(client.parent_span_id, server.span_id);
    assert_eq!(
        (server.name.as_str(), client.name.as_str()),
        ("GET /movies/{year}/{title}", "DynamoDB.GetItem")
    );
    let given = |span: &Span, key: &str| {
        attribute(span, key).unwrap_or_else(|| panic!("{key} in {span:#?}"))
    };
    assert_eq!(given(server, "http.route"), "/movies/{year}/{title}");
    assert_eq!(given(server, "http.request.method"), "GET");
    assert_eq!(given(server, "http.response.status_code"), "200");
    assert_eq!(given(server, "request_id"), "request-1");
    assert_eq!(given(client, "db.operation.name"), "GetItem");
    assert_eq!(given(client, "db.system.name"), "aws.dynamodb");

    let requests = sink.0.lock().unwrap();
    let [request] = &requests[..] else {
        panic!("{requests:?}")
    };
    assert!(
        !String::from_utf8_lossy(request.body()).contains("Rush"),
        "a trace contains the title"
    );
    let header = |name: &str| request.headers()[name].to_str().unwrap();
    assert_eq!(
        (request.uri().path(), header("content-type")),
        ("/v1/traces", "application/json")
    );
    let authorization = header("authorization");
    assert!(
        authorization.starts_with("AWS4-HMAC-SHA256 Credential=AKIAEMULATED/"),
        "{authorization}"
    );
    assert!(authorization.contains(
        "/eu-west-1/xray/aws4_request, \
             SignedHeaders=content-type;host;x-amz-date;x-amz-security-token, Signature="
    ));
    assert_eq!(
        signature(request),
        authorization.rsplit('=').next().unwrap(),
        "the signature does not match the request"
    );
    assert_eq!(header("x-amz-security-token"), "token");
}

/// Computes the expected SigV4 signature of a request with OpenSSL, following AWS's documentation,
/// independently of the library.
fn signature(request: &Request<Bytes>) -> String {
    use std::{io::Write, process::Stdio};
    let openssl = |arguments: &[&str], input: &[u8]| {
        let mut child = Command::new("openssl")
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        let output = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
        output.trim().rsplit(' ').next().unwrap().to_owned()
    };
    let hash = |input: &[u8]| openssl(&["dgst", "-sha256", "-hex"], input);
    let hmac = |key: &str, input: &str| {
        openssl(
            &[
                "dgst",
                "-sha256",
                "-hex",
                "-mac",
                "HMAC",
                "-macopt",
                &format!("hexkey:{key}"),
            ],
            input.as_bytes(),
        )
    };
    let header = |name: &str| request.headers()[name].to_str().unwrap();

    let names = ["content-type", "host", "x-amz-date", "x-amz-security-token"];
    let headers: String = names
        .iter()
        .map(|name| format!("{name}:{}\n", header(name)))
        .collect();
    let canonical = format!(
        "POST\n/v1/traces\n\n{headers}\n{}\n{}",
        names.join(";"),
        hash(request.body())
    );
    let time = header("x-amz-date");
    let scope = format!("{}/eu-west-1/xray/aws4_request", &time[..8]);
    let text = format!(
        "AWS4-HMAC-SHA256\n{time}\n{scope}\n{}",
        hash(canonical.as_bytes())
    );
    let key = scope
        .split('/')
        .fold(hex(b"AWS4secret"), |key, part| hmac(&key, part));
    hmac(&key, &text)
}

#[tokio::test]
async fn an_unsampled_request_sends_nothing() {
    let (sink, table) = (Sink::default(), table().await);
    let xray = sink.serve().await;
    let mut environment = Environment::start(with_layer(&table, xray.url()))
        .await
        .unwrap();
    let refused = get("Rush").trace(format!(
        "Root=1-{}-{};Parent={PARENT};Sampled=0",
        &TRACE[..8],
        &TRACE[8..]
    ));
    for event in [get("Rush"), refused] {
        assert_eq!(status(&environment.invoke(event).await.unwrap()), 200);
    }
    assert!(environment.shutdown().await.unwrap().in_time);
    assert_eq!(sink.requests(), 0);
}

#[tokio::test]
async fn the_function_works_without_the_extension() {
    let table = table().await;
    let mut environment = Environment::start(without_layer(&table, "")).await.unwrap();
    for event in [get("Rush"), sampled("Rush")] {
        let invocation = environment.invoke(event).await.unwrap();
        assert_eq!(status(&invocation), 200);
        assert!(invocation.busy < MAX_RESPONSE_TIME, "{invocation:?}");
    }
    let lines = environment.shutdown().await.unwrap().lines;
    assert!(
        lines
            .iter()
            .all(|line| line.text.contains(r#""message":"request""#)),
        "{lines:#?}"
    );
}

#[tokio::test]
async fn spans_are_sent_after_a_response_once_they_are_due() {
    const TABLE_TAKES: Duration = Duration::from_millis(200);
    let table = Server::http(|_| async {
        tokio::time::sleep(TABLE_TAKES).await;
        Some(dynamodb::success(&json!({})))
    });
    let (sink, table) = (Sink::default(), table.await.unwrap());
    let sent = Arc::new(Mutex::new(None));
    let xray = {
        let (sink, sent) = (sink.clone(), Arc::clone(&sent));
        Server::http(move |request| {
            sent.lock().unwrap().get_or_insert(Instant::now());
            sink.take(request);
            std::future::ready(Some(Response::new(Bytes::from_static(b"{}"))))
        })
    };
    let xray = xray.await.unwrap();
    let mut environment = Environment::start(with_layer(&table, xray.url()))
        .await
        .unwrap();
    environment.invoke(sampled("Rush")).await.unwrap();
    assert_eq!(sink.requests(), 0, "sent before it was due");
    tokio::time::sleep(UNTIL_DUE).await;
    assert_eq!(sink.requests(), 0, "sent by a frozen environment");
    // Not sampled: the end of the invocation is reported by Lambda alone.
    let begin = Instant::now();
    let invocation = environment.invoke(get("Rush")).await.unwrap();
    assert_eq!((sink.requests(), sink.spans().len()), (1, 2));
    assert!(
        invocation.latency >= TABLE_TAKES
            && sent.lock().unwrap().unwrap() - begin >= invocation.latency,
        "sent before the response: {invocation:?}"
    );
    environment.shutdown().await.unwrap();
    assert_eq!(sink.requests(), 1, "sent twice");
}

/// An OTLP document of one span.
fn document(name: &str) -> String {
    let span = json!({
        "traceId": TRACE, "spanId": PARENT, "name": name,
        "startTimeUnixNano": "1", "endTimeUnixNano": "2",
    });
    json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": [span] }] }] }).to_string()
}

/// Sends a document to the extension and asserts that it is accepted.
async fn post(port: u16, document: String) {
    let client = hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new())
        .build_http();
    let request = Request::post(format!("http://127.0.0.1:{port}/v1/traces"));
    let request = request
        .body(http_body_util::Full::new(Bytes::from(document)))
        .unwrap();
    assert_eq!(client.request(request).await.unwrap().status(), 200);
}

/// Returns the names of the spans that arrive when the extension receives one while it sends
/// another, to a sink with these responses.
async fn names_of_spans_received_during_a_send(statuses: &'static [u16]) -> Vec<String> {
    let (table, port, sink) = (table().await, free_port(), Sink::default());
    let xray = {
        let sink = sink.clone();
        Server::http(move |request| {
            let request_number = sink.requests();
            let status = statuses[request_number.min(statuses.len() - 1)];
            if status == 200 {
                sink.take(request);
            } else {
                sink.take(Request::new(Bytes::from_static(br#"{"resourceSpans":[]}"#)));
            }
            async move {
                if request_number == 0 {
                    post(port, document("during")).await;
                }
                Response::builder()
                    .status(status)
                    .body(Bytes::from_static(b"{}"))
                    .ok()
            }
        })
    };
    let xray = xray.await.unwrap();
    let launch = with_layer(&table, xray.url()).never_frozen();
    let launch = launch.variable(
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        format!("http://127.0.0.1:{port}"),
    );
    let mut environment = Environment::start(launch).await.unwrap();
    post(port, document("before")).await;
    tokio::time::sleep(UNTIL_DUE).await;
    environment.invoke(get("Rush")).await.unwrap();
    let ended = environment.shutdown().await.unwrap();
    assert!(ended.in_time, "{ended:?}");
    sink.spans().into_iter().map(|span| span.name).collect()
}

#[tokio::test]
async fn spans_received_during_a_send_are_sent_by_the_next_send() {
    assert_eq!(
        names_of_spans_received_during_a_send(&[200]).await,
        ["before", "during"]
    );
}

#[tokio::test]
async fn spans_of_a_failed_send_are_sent_again_before_later_ones() {
    assert_eq!(
        names_of_spans_received_during_a_send(&[500, 200]).await,
        ["before", "during"]
    );
}

#[tokio::test]
async fn spans_received_during_a_rejected_send_are_sent_later() {
    assert_eq!(
        names_of_spans_received_during_a_send(&[400, 200]).await,
        ["during"]
    );
}

/// The way a sink fails.
#[derive(Clone, Copy, Debug)]
enum SinkFault {
    Slow,
    Hangs,
    HangsUp,
    Fails,
    Refuses,
}

/// Asserts that a failing sink delays no response while spans are due: the environment stays busy
/// at most for the time limit of one send, and only once.
async fn assert_no_delay(fault: SinkFault) {
    let table = table().await;
    let sink = Sink::default();
    let seen = sink.clone();
    let server = Server::http(move |request| {
        seen.take(request);
        async move {
            let failed = || Response::builder().status(500).body(Bytes::new()).ok();
            match fault {
                SinkFault::Slow => tokio::time::sleep(Duration::from_millis(330)).await,
                SinkFault::Hangs => std::future::pending().await,
                SinkFault::HangsUp => return None,
                SinkFault::Fails => return failed(),
                SinkFault::Refuses => {}
            }
            Some(Response::new(Bytes::from_static(b"{}")))
        }
    });
    let server = server.await.unwrap();
    let url = if matches!(fault, SinkFault::Refuses) {
        UNREACHABLE
    } else {
        server.url()
    };
    let mut environment = Environment::start(with_layer(&table, url)).await.unwrap();
    environment.invoke(sampled("Rush")).await.unwrap();
    tokio::time::sleep(UNTIL_DUE).await;
    let mut held = 0;
    for _ in 0..10 {
        let invocation = environment.invoke(sampled("Rush")).await.unwrap();
        assert_eq!(status(&invocation), 200);
        assert!(
            invocation.latency < MAX_RESPONSE_TIME,
            "{fault:?}: {invocation:?}"
        );
        assert!(
            invocation.busy < Duration::from_millis(1_500),
            "{fault:?}: {invocation:?}"
        );
        held += usize::from(invocation.busy > MAX_RESPONSE_TIME);
    }
    // A busy machine may add one or two. Without the retry interval it would be ten.
    assert!(held <= 3, "{fault:?}: held {held} times");
    let begin = Instant::now();
    let ended = environment.shutdown().await.unwrap();
    assert!(ended.in_time, "{fault:?}: {:?} {ended:?}", begin.elapsed());
    let warnings: Vec<_> = ended
        .lines
        .iter()
        .filter(|line| line.process == "telemetry-extension")
        .collect();
    if matches!(fault, SinkFault::Slow) {
        // In time, or on a busy machine slightly late.
        assert!(warnings.len() <= 1, "{fault:?}: {warnings:#?}");
    } else {
        assert_eq!(
            warnings.len(),
            2,
            "{fault:?}: once when due, once at the end: {warnings:#?}"
        );
        let lost = warnings[1]
            .text
            .split(" spans were lost")
            .next()
            .and_then(|text| text.rsplit('"').next()?.parse::<u32>().ok());
        // Two spans for each of eleven requests. On a busy machine the function may hand over some
        // of them too late.
        assert!(
            lost.is_some_and(|lost| (2..=22).contains(&lost)),
            "{fault:?}: {warnings:#?}"
        );
    }
    match fault {
        SinkFault::Refuses => {}
        // The second request may fail on a connection that the first left half closed.
        SinkFault::HangsUp => assert!(
            (1..=2).contains(&sink.requests()),
            "{fault:?}: more than once when due, once at the end"
        ),
        _ => assert_eq!(
            sink.requests(),
            2,
            "{fault:?}: once when due, once at the end"
        ),
    }
}

#[tokio::test]
async fn a_slow_sink_delays_no_response() {
    assert_no_delay(SinkFault::Slow).await;
}

#[tokio::test]
async fn a_hanging_sink_delays_no_response() {
    assert_no_delay(SinkFault::Hangs).await;
}

#[tokio::test]
async fn a_sink_that_closes_connections_delays_no_response() {
    assert_no_delay(SinkFault::HangsUp).await;
}

#[tokio::test]
async fn a_failing_sink_delays_no_response() {
    assert_no_delay(SinkFault::Fails).await;
}

#[tokio::test]
async fn an_unreachable_sink_delays_no_response() {
    assert_no_delay(SinkFault::Refuses).await;
}

#[tokio::test]
async fn a_port_in_use_costs_traces_and_fails_no_request() {
    let (sink, table) = (Sink::default(), table().await);
    let xray = sink.serve().await;
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let launch = with_layer(&table, xray.url()).variable(
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        format!("http://{}", taken.local_addr().unwrap()),
    );
    let mut environment = Environment::start(launch).await.unwrap();
    // The listener accepts and never responds: the slowest case of a hand-over.
    let invocation = environment.invoke(sampled("Rush")).await.unwrap();
    assert_eq!(status(&invocation), 200);
    assert!(invocation.busy < MAX_RESPONSE_TIME, "{invocation:?}");
    let ended = environment.shutdown().await.unwrap();
    assert!(
        ended.in_time
            && ended
                .lines
                .iter()
                .any(|line| line.text.contains("cannot be bound")),
        "{ended:#?}"
    );
}

/// An extension that exits fails the invocation.
#[test]
fn an_unwritable_log_does_not_end_the_extension() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_telemetry-extension"))
        .env(
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            format!("http://{}", taken.local_addr().unwrap()),
        )
        .env(
            "AWS_LAMBDA_RUNTIME_API",
            UNREACHABLE.trim_start_matches("http://"),
        )
        .stdout(
            std::fs::OpenOptions::new()
                .write(true)
                .open("/dev/full")
                .unwrap(),
        )
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(500));
    let ended = child.try_wait().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(ended, None);
}

#[tokio::test]
async fn memory_stays_bounded_while_the_sink_is_down() {
    let table = table().await;
    let port = free_port();
    let launch = with_layer(&table, UNREACHABLE);
    let launch = launch
        .variable(
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            format!("http://127.0.0.1:{port}"),
        )
        .never_frozen();
    let environment = Environment::start(launch).await.unwrap();
    let resident = || environment.extensions()[0].max_resident_bytes().unwrap();
    let spans = vec![json!({ "name": "x".repeat(900) }); 100];
    let document = json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": spans }] }] }).to_string();
    let client = hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new())
        .build_http();
    let post = async |times: usize| {
        for _ in 0..times {
            let body = http_body_util::Full::new(Bytes::from(document.clone()));
            let request = Request::post(format!("http://127.0.0.1:{port}/v1/traces"))
                .body(body)
                .unwrap();
            assert_eq!(client.request(request).await.unwrap().status(), 200);
        }
    };
    post(50).await; // 4.5 MB: the buffer is full
    let full = resident();
    post(1_000).await; // 90 MB
    let grown = resident() - full;
    assert!(grown < 2 << 20, "from {full} by {grown} bytes");
    let ended = environment.shutdown().await.unwrap();
    assert!(
        ended
            .lines
            .iter()
            .any(|line| line.text.contains("spans were dropped")),
        "{ended:#?}"
    );
}
