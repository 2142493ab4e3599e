//! DynamoDB answers, and not as it should.

use super::{Fault, Function, SESSION_TOKEN, cancelled, error};
use serde_json::json;
use testkit::{RequestBuilder, sample::rush_item};

/// Once and for two attempts it is not noticed; for ever, it is told after three.
async fn passes_or_is_told(fault: Fault, cause: &str) {
    for failures in 1..=2 {
        let mut function = Function::start().await;
        function.proxy.script(vec![fault.clone(); failures]);
        function
            .get()
            .await
            .served()
            .calls(failures + 1)
            .within(1000);
    }
    let mut function = Function::start().await;
    function.proxy.otherwise(fault);
    function
        .get()
        .await
        .failed(503, cause)
        .calls(3)
        .within(1000);
    function.unharmed().await;
}

#[tokio::test]
async fn f01_f02_a_throttled_table_is_asked_three_times_at_the_most() {
    passes_or_is_told(
        error(400, "ProvisionedThroughputExceededException"),
        "throttled",
    )
    .await;
}

#[tokio::test]
async fn f03_every_way_of_throttling_is_one() {
    passes_or_is_told(error(400, "ThrottlingException"), "throttled").await;
    passes_or_is_told(error(400, "RequestLimitExceeded"), "throttled").await;
}

#[tokio::test]
async fn f04_a_failing_table_is_asked_again() {
    passes_or_is_told(error(500, "InternalServerError"), "table").await;
}

#[tokio::test]
async fn f05_an_error_page_in_html_is_a_failing_table() {
    let body = "<html><body>Service Unavailable at amazon</body></html>";
    passes_or_is_told(
        Fault::Answer {
            status: 503,
            content_type: "text/html".into(),
            body: body.into(),
        },
        "table",
    )
    .await;
}

#[tokio::test]
async fn f13_a_broken_document_is_told() {
    let empty = Fault::Answer {
        status: 200,
        content_type: "application/x-amz-json-1.0".into(),
        body: "{\"Item\":".into(),
    };
    for fault in [Fault::Half, empty] {
        let mut function = Function::start().await;
        function.proxy.otherwise(fault);
        function.get().await.failed(503, "garbled").within(1000);
        function.unharmed().await;
    }
}

/// TLS protects a response on its way; the SDK does not read `x-amz-crc32`, and neither do we.
#[tokio::test]
async fn f14_a_wrong_x_amz_crc32_is_ignored() {
    let mut function = Function::start().await;
    function.proxy.script([Fault::Checksum(1)]);
    function.get().await.served().calls(1);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn f15_an_endless_answer_is_not_read_on() {
    for announced in [true, false] {
        let mut function = Function::start().await;
        function.proxy.otherwise(Fault::Huge {
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
        function.unharmed().await;
    }
}

#[tokio::test]
async fn f17_refused_credentials_are_counted_as_such_and_never_logged() {
    // AWS repeats what was signed, the session token too, when a signature is wrong.
    let message = format!(
        "The Canonical String for this request should have been 'POST\\nx-amz-security-token:{SESSION_TOKEN}'"
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
        function.proxy.otherwise(Fault::Answer {
            status: 400,
            content_type: "application/x-amz-json-1.0".into(),
            body,
        });
        function
            .get()
            .await
            .failed(503, "credentials")
            .calls(1)
            .within(500);
        function.unharmed().await;
    }
}

#[tokio::test]
async fn f18_what_is_denied_is_not_tried_again_and_counted_as_such() {
    for code in [
        "AccessDeniedException",
        "KMSAccessDeniedException",
        "KMSDisabledException",
        "KMSInvalidStateException",
    ] {
        let mut function = Function::start().await;
        function.proxy.otherwise(error(400, code));
        function
            .get()
            .await
            .failed(500, "denied")
            .calls(1)
            .within(500);
        function.unharmed().await;
    }
}

#[tokio::test]
async fn a_call_that_the_table_does_not_take_is_a_defect_of_ours() {
    for code in ["ValidationException", "SerializationException"] {
        let mut function = Function::start().await;
        function.proxy.otherwise(error(400, code));
        function
            .get()
            .await
            .failed(500, "defect")
            .calls(1)
            .within(500);
        function.unharmed().await;
    }
}

#[tokio::test]
async fn f19_a_missing_table_is_not_asked_again() {
    let mut function = Function::start().await;
    function
        .proxy
        .otherwise(error(400, "ResourceNotFoundException"));
    function
        .get()
        .await
        .failed(503, "missing")
        .calls(1)
        .within(500);
    function.unharmed().await;
}

#[tokio::test]
async fn f20_a_failed_condition_is_an_answer_and_a_conflict_is_tried_again() {
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
        .otherwise(cancelled(&["ConditionalCheckFailed"]));
    function
        .send(post())
        .await
        .refused(409, "movie_exists")
        .calls(1);
    function.proxy.otherwise(Fault::None);
    let stale = RequestBuilder::new("PUT", "/movies/2013/Rush")
        .json(&json!({}))
        .header("If-Match", "\"a\"");
    function
        .send(stale)
        .await
        .refused(412, "precondition_failed")
        .calls(1);
    // Others change the movie between each read and its write.
    let overtaken = || [Fault::None, cancelled(&["ConditionalCheckFailed"])];
    for (method, status) in [("PUT", 503), ("DELETE", 503), ("PATCH", 409)] {
        function
            .proxy
            .script([overtaken(), overtaken(), overtaken()].concat());
        let seen = function.send(conditional(method)).await;
        match status {
            503 => seen.failed(503, "conflict"),
            _ => seen.refused(409, "edit_conflict"),
        };
        seen.calls(6);
        function.proxy.script(overtaken());
        assert!(
            matches!(
                function
                    .send(conditional(method))
                    .await
                    .no_fault()
                    .calls(4)
                    .status,
                200 | 204
            ),
            "{method}"
        );
    }
    function.unharmed().await;

    function.proxy.script([cancelled(&["TransactionConflict"])]);
    let made = function.send(post()).await;
    assert_eq!(made.no_fault().calls(2).status, 201, "{made:#?}");
    function.proxy.script([
        cancelled(&["None", "TransactionConflict"]),
        cancelled(&["ConditionalCheckFailed", "None"]),
    ]);
    function
        .send(post().header("Idempotency-Key", "k"))
        .await
        .refused(409, "movie_exists")
        .calls(2);

    function
        .proxy
        .otherwise(cancelled(&["TransactionConflict"]));
    function
        .send(post())
        .await
        .failed(503, "conflict")
        .calls(3)
        .within(1000);
    for method in ["PUT", "PATCH", "DELETE"] {
        let mut function = Function::start().await;
        function.proxy.script([Fault::None]);
        function
            .proxy
            .otherwise(cancelled(&["TransactionConflict"]));
        function
            .send(conditional(method))
            .await
            .failed(503, "conflict")
            .calls(4)
            .within(1000);
    }
    function.unharmed().await;
}

/// DynamoDB prepares the items of a transaction each on its own: a creation that races its own
/// retry can find the movie written and the key still locked, or the other way round.
#[tokio::test]
async fn f20_a_creation_that_races_its_own_retry_is_never_a_conflict_with_itself() {
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
            "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException", "Message": "-", "CancellationReasons": reasons.map(reason),
        });
        Fault::Answer {
            status: 400,
            content_type: "application/x-amz-json-1.0".into(),
            body: body.to_string(),
        }
    };
    for (reasons, calls) in [
        ([FAILED, FAILED], 1),
        ([FAILED, LOCKED], 2),
        ([LOCKED, FAILED], 1),
        ([LOCKED, LOCKED], 2),
    ] {
        // Once; then the first has come to its end and the key is found.
        function
            .proxy
            .script([mixed(reasons), mixed([FAILED, FAILED])]);
        let again = function.send(post()).await;
        assert_eq!(
            again.no_fault().calls(calls).status,
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
        function.proxy.otherwise(mixed(reasons));
        let cause = if reasons[1] == LOCKED {
            "conflict"
        } else {
            "throttled"
        };
        function
            .send(post())
            .await
            .failed(503, cause)
            .calls(3)
            .within(1000);
    }
}

#[tokio::test]
async fn f18_a_throttled_key_service_is_asked_again_and_locks_nobody_out() {
    passes_or_is_told(error(400, "KMSThrottlingException"), "throttled").await;
    passes_or_is_told(error(500, "KMSInternalException"), "table").await;
}

#[tokio::test]
async fn a_clock_that_is_wrong_is_counted_as_credentials() {
    let mut function = Function::start().await;
    function.proxy.otherwise(error(400, "RequestTimeTooSkewed"));
    function.get().await.failed(503, "credentials").calls(1);
    function.unharmed().await;
}
