//! Error responses and malformed responses of DynamoDB.

use super::{Fault, Function, SESSION_TOKEN, cancelled, error};
use serde_json::json;
use testkit::{RequestBuilder, sample::rush_item};

/// Asserts that a request succeeds after one or two of these faults, and fails with `cause` after
/// three.
async fn assert_retried_then_failed(fault: Fault, cause: &str) {
    for failures in 1..=2 {
        let mut function = Function::start().await;
        function.proxy.script(vec![fault.clone(); failures]);
        function
            .get()
            .await
            .served()
            .table_requests(failures + 1)
            .within(1000);
    }
    let mut function = Function::start().await;
    function.proxy.set_default_fault(fault);
    function
        .get()
        .await
        .failed(503, cause)
        .table_requests(3)
        .within(1000);
    function.assert_recovered().await;
}

/// Fault F01 and F02.
#[tokio::test]
async fn throttled_request_is_attempted_at_most_three_times() {
    assert_retried_then_failed(
        error(400, "ProvisionedThroughputExceededException"),
        "throttled",
    )
    .await;
}

/// Fault F03.
#[tokio::test]
async fn every_throttling_error_is_retried() {
    assert_retried_then_failed(error(400, "ThrottlingException"), "throttled").await;
    assert_retried_then_failed(error(400, "RequestLimitExceeded"), "throttled").await;
}

/// Fault F04.
#[tokio::test]
async fn internal_server_error_is_retried() {
    assert_retried_then_failed(error(500, "InternalServerError"), "table").await;
}

/// Fault F05.
#[tokio::test]
async fn html_error_page_is_retried() {
    let body = "<html><body>Service Unavailable at amazon</body></html>";
    assert_retried_then_failed(
        Fault::Response {
            status: 503,
            content_type: "text/html".into(),
            body: body.into(),
        },
        "table",
    )
    .await;
}

/// Fault F13.
#[tokio::test]
async fn invalid_json_of_the_table_is_503() {
    let empty = Fault::Response {
        status: 200,
        content_type: "application/x-amz-json-1.0".into(),
        body: "{\"Item\":".into(),
    };
    for fault in [Fault::Half, empty] {
        let mut function = Function::start().await;
        function.proxy.set_default_fault(fault);
        function.get().await.failed(503, "garbled").within(1000);
        function.assert_recovered().await;
    }
}

/// TLS protects the response in transit. The SDK does not read `x-amz-crc32`, and neither do we.
///
/// Fault F14.
#[tokio::test]
async fn wrong_x_amz_crc32_is_ignored() {
    let mut function = Function::start().await;
    function.proxy.script([Fault::Checksum(1)]);
    function.get().await.served().table_requests(1);
}

#[cfg(target_os = "linux")]
/// Fault F15.
#[tokio::test]
async fn response_of_16_mb_is_not_read_to_its_end() {
    for announced in [true, false] {
        let mut function = Function::start().await;
        function.proxy.set_default_fault(Fault::Huge {
            bytes: 16 << 20,
            announced,
        });
        function.get().await.failed(503, "garbled");
        let most = function
            .environment
            .function()
            .max_resident_bytes()
            .unwrap();
        assert!(most < 64 << 20, "{} MiB", most >> 20);
        function.assert_recovered().await;
    }
}

/// Fault F17.
#[tokio::test]
async fn rejected_credentials_are_503_and_never_logged() {
    // If a signature is wrong, AWS's message repeats the signed string, with the session token.
    let message = format!(
        "The Canonical String for this request should have been \
         'POST\\nx-amz-security-token:{SESSION_TOKEN}'"
    );
    for code in [
        "ExpiredTokenException",
        "UnrecognizedClientException",
        "InvalidSignatureException",
    ] {
        let body =
            json!({ "__type": format!("com.amazon.coral.service#{code}"), "message": message })
                .to_string();
        let mut function = Function::start().await;
        function.proxy.set_default_fault(Fault::Response {
            status: 400,
            content_type: "application/x-amz-json-1.0".into(),
            body,
        });
        function
            .get()
            .await
            .failed(503, "credentials")
            .table_requests(1)
            .within(500);
        function.assert_recovered().await;
    }
}

/// Fault F18.
#[tokio::test]
async fn access_denied_is_500_and_not_retried() {
    for code in [
        "AccessDeniedException",
        "KMSAccessDeniedException",
        "KMSDisabledException",
        "KMSInvalidStateException",
    ] {
        let mut function = Function::start().await;
        function.proxy.set_default_fault(error(400, code));
        function
            .get()
            .await
            .failed(500, "denied")
            .table_requests(1)
            .within(500);
        function.assert_recovered().await;
    }
}

#[tokio::test]
async fn request_that_dynamodb_rejects_as_invalid_is_500() {
    for code in ["ValidationException", "SerializationException"] {
        let mut function = Function::start().await;
        function.proxy.set_default_fault(error(400, code));
        function
            .get()
            .await
            .failed(500, "defect")
            .table_requests(1)
            .within(500);
        function.assert_recovered().await;
    }
}

/// Fault F19.
#[tokio::test]
async fn missing_table_is_503_and_not_retried() {
    let mut function = Function::start().await;
    function
        .proxy
        .set_default_fault(error(400, "ResourceNotFoundException"));
    function
        .get()
        .await
        .failed(503, "missing")
        .table_requests(1)
        .within(500);
    function.assert_recovered().await;
}

/// Fault F20.
#[tokio::test]
async fn failed_condition_is_a_response_and_a_transaction_conflict_is_retried() {
    let post =
        || RequestBuilder::new("POST", "/movies").json(&json!({ "year": 2013, "title": "Rush" }));
    let etag = format!("\"{}\"", rush_item()["etag"]["S"].as_str().unwrap());
    let conditional = |method: &str| {
        RequestBuilder::new(method, "/movies/2013/Rush").json(&json!({ "info": { "rank": 1 } }))
    };
    let conditional = |method: &str| conditional(method).header("If-Match", &etag);

    let mut function = Function::start().await;
    function
        .proxy
        .set_default_fault(cancelled(&["ConditionalCheckFailed"]));
    function
        .send(post())
        .await
        .rejected(409, "movie_exists")
        .table_requests(1);
    function.proxy.set_default_fault(Fault::None);
    let stale = RequestBuilder::new("PUT", "/movies/2013/Rush")
        .json(&json!({}))
        .header("If-Match", "\"a\"");
    function
        .send(stale)
        .await
        .rejected(412, "precondition_failed")
        .table_requests(1);
    // Another writer changes the movie between each read and its write.
    let changed_in_between = || [Fault::None, cancelled(&["ConditionalCheckFailed"])];
    for (method, status) in [("PUT", 503), ("DELETE", 503), ("PATCH", 409)] {
        function.proxy.script(
            [
                changed_in_between(),
                changed_in_between(),
                changed_in_between(),
            ]
            .concat(),
        );
        let seen = function.send(conditional(method)).await;
        match status {
            503 => seen.failed(503, "conflict"),
            _ => seen.rejected(409, "edit_conflict"),
        };
        seen.table_requests(6);
        function.proxy.script(changed_in_between());
        assert!(
            matches!(
                function
                    .send(conditional(method))
                    .await
                    .no_fault()
                    .table_requests(4)
                    .status,
                200 | 204
            ),
            "{method}"
        );
    }
    function.assert_recovered().await;

    function.proxy.script([cancelled(&["TransactionConflict"])]);
    let created = function.send(post()).await;
    assert_eq!(
        created.no_fault().table_requests(2).status,
        201,
        "{created:#?}"
    );
    function.proxy.script([
        cancelled(&["None", "TransactionConflict"]),
        cancelled(&["ConditionalCheckFailed", "None"]),
    ]);
    function
        .send(post().header("Idempotency-Key", "k"))
        .await
        .rejected(409, "movie_exists")
        .table_requests(2);

    function
        .proxy
        .set_default_fault(cancelled(&["TransactionConflict"]));
    function
        .send(post())
        .await
        .failed(503, "conflict")
        .table_requests(3)
        .within(1000);
    for method in ["PUT", "PATCH", "DELETE"] {
        let mut function = Function::start().await;
        function.proxy.script([Fault::None]);
        function
            .proxy
            .set_default_fault(cancelled(&["TransactionConflict"]));
        function
            .send(conditional(method))
            .await
            .failed(503, "conflict")
            .table_requests(4)
            .within(1000);
    }
    function.assert_recovered().await;
}

/// DynamoDB prepares each item of a transaction on its own. A creation that races its own retry can
/// therefore find the movie written and the key still locked, or the reverse.
///
/// Fault F20.
#[tokio::test]
async fn create_that_races_its_own_retry_is_never_409() {
    const FAILED: &str = "ConditionalCheckFailed";
    const LOCKED: &str = "TransactionConflict";
    let post = || {
        RequestBuilder::new("POST", "/movies")
            .json(&json!({ "year": 2013, "title": "Rush" }))
            .header("Idempotency-Key", "k")
    };
    let mut function = Function::start().await;
    let first = function.send(post()).await;
    let etag = first.headers["etag"]
        .as_str()
        .unwrap()
        .trim_matches('"')
        .to_owned();
    let mixed = |reasons: [&str; 2]| {
        let reason =
            |code: &str| json!({ "Code": code, "Message": "-", "Item": { "etag": { "S": etag } } });
        let body = json!({
                "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
            "Message": "-",
            "CancellationReasons": reasons.map(reason),
        });
        Fault::Response {
            status: 400,
            content_type: "application/x-amz-json-1.0".into(),
            body: body.to_string(),
        }
    };
    for (reasons, table_requests) in [
        ([FAILED, FAILED], 1),
        ([FAILED, LOCKED], 2),
        ([LOCKED, FAILED], 1),
        ([LOCKED, LOCKED], 2),
    ] {
        // After one such response the first creation has ended, and the key is found.
        function
            .proxy
            .script([mixed(reasons), mixed([FAILED, FAILED])]);
        let again = function.send(post()).await;
        assert_eq!(
            again.no_fault().table_requests(table_requests).status,
            201,
            "{reasons:?}: {again:#?}"
        );
        assert_eq!(
            (&again.text, &again.headers["etag"]),
            (&first.text, &first.headers["etag"]),
            "{reasons:?}"
        );
    }
    for reasons in [
        [FAILED, LOCKED],
        [LOCKED, LOCKED],
        ["None", LOCKED],
        [FAILED, "ThrottlingError"],
    ] {
        let mut function = Function::start().await;
        function.proxy.set_default_fault(mixed(reasons));
        let cause = if reasons[1] == LOCKED {
            "conflict"
        } else {
            "throttled"
        };
        function
            .send(post())
            .await
            .failed(503, cause)
            .table_requests(3)
            .within(1000);
    }
}

/// Fault F18.
#[tokio::test]
async fn throttled_kms_is_retried_and_not_counted_as_access_denied() {
    assert_retried_then_failed(error(400, "KMSThrottlingException"), "throttled").await;
    assert_retried_then_failed(error(500, "KMSInternalException"), "table").await;
}

#[tokio::test]
async fn clock_skew_is_counted_as_credentials() {
    let mut function = Function::start().await;
    function
        .proxy
        .set_default_fault(error(400, "RequestTimeTooSkewed"));
    function
        .get()
        .await
        .failed(503, "credentials")
        .table_requests(1);
    function.assert_recovered().await;
}
