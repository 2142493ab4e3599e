//! Faults of Lambda: failed polls, little remaining time, invalid events and invalid configuration.

use super::{Fault, Function, binary};
use lambda_emulator::{Environment, Event, FunctionConfig, InvocationOutcome, NextFault};
use std::time::{Duration, Instant};
use testkit::RequestBuilder;

/// Fault F30.
#[tokio::test]
async fn missing_or_invalid_variable_fails_init_and_is_named() {
    let launch =
        || FunctionConfig::new(binary()).variable("AWS_ENDPOINT_URL", "http://127.0.0.1:9");
    for (launch, named) in [
        (launch(), "TABLE_NAME"),
        (launch().variable("TABLE_NAME", ""), "TABLE_NAME"),
        (
            launch()
                .variable("TABLE_NAME", "t")
                .variable("REGION", "Ireland!"),
            "REGION",
        ),
        (
            launch()
                .variable("TABLE_NAME", "t")
                .variable("CORS_ORIGINS", "*"),
            "CORS_ORIGINS",
        ),
        (
            launch()
                .variable("TABLE_NAME", "t")
                .variable("AWS_LAMBDA_LOG_LEVEL", "VERBOSE"),
            "AWS_LAMBDA_LOG_LEVEL",
        ),
    ] {
        let begin = Instant::now();
        let error = Environment::start(launch).await.unwrap_err().to_string();
        assert!(
            error.starts_with("INIT failed") && error.contains(named),
            "{error}"
        );
        assert!(
            begin.elapsed() < Duration::from_secs(2),
            "{:?}",
            begin.elapsed()
        );
    }
}

/// Fault F31.
#[tokio::test]
async fn failed_poll_of_the_runtime_api_is_retried() {
    let mut function = Function::start().await;
    for fault in [
        NextFault::Status(500),
        NextFault::HangUp,
        NextFault::Status(503),
    ] {
        function.environment.fail_next_polls([fault]);
        function.get().await.served();
        function.get().await.served();
    }
}

/// Fault F31.
#[tokio::test]
async fn request_with_too_little_time_left_is_503_without_a_table_request() {
    let mut function = Function::start().await;
    for left in [0, 250] {
        let request =
            RequestBuilder::new("GET", "/movies/2013/Rush").time_limit(Duration::from_millis(left));
        function
            .send(request)
            .await
            .failed(503, "deadline")
            .table_requests(0)
            .within(200);
    }
    // With more time left, requests to the table are attempted until the deadline.
    function.proxy.set_default_fault(Fault::Silence);
    let request =
        RequestBuilder::new("GET", "/movies/2013/Rush").time_limit(Duration::from_millis(1200));
    function
        .send(request)
        .await
        .failed(503, "deadline")
        .within(1150);
    function.assert_recovered().await;
}

#[cfg(target_os = "linux")]
/// Fault F32.
#[tokio::test]
async fn too_long_or_malformed_bodies_are_rejected_in_bounded_memory() {
    let mut function = Function::start().await;
    let post = |body: &str| RequestBuilder::new("POST", "/movies").body("application/json", body);
    for length in [64 * 1024 + 1, 6 << 20] {
        function
            .send(post(&" ".repeat(length)))
            .await
            .rejected(413, "payload_too_large")
            .table_requests(0);
    }
    for (body, status, code) in [
        ("!", 400, "invalid_request"),
        (&"A".repeat(6 << 20), 413, "payload_too_large"),
    ] {
        function
            .send(post(body).base64())
            .await
            .rejected(status, code)
            .table_requests(0);
    }
    // Compressed bodies are rejected without decompression, so that none can be a bomb.
    function
        .send(post("H4sIAAAAAAAA").header("Content-Encoding", "gzip"))
        .await
        .rejected(415, "unsupported_media_type")
        .table_requests(0);
    let most = function
        .environment
        .function()
        .max_resident_bytes()
        .unwrap();
    assert!(most < 64 << 20, "{} MiB", most >> 20);
    function.assert_recovered().await;
}

#[tokio::test]
async fn event_that_is_not_a_request_is_400() {
    let mut function = Function::start().await;
    for event in ["{}", "[]", "null", "{\"httpMethod\":1}"] {
        let invocation = function
            .environment
            .invoke(Event::new(event))
            .await
            .unwrap();
        let InvocationOutcome::Response(response) = &invocation.outcome else {
            panic!("{invocation:?}")
        };
        assert!(
            String::from_utf8_lossy(response).contains("\"statusCode\":400"),
            "{response:?}"
        );
    }
    function.assert_recovered().await;
}
