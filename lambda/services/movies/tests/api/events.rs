//! Events of API Gateway's REST proxy integration. They have the client's percent-encoded path, and
//! any map can be null.
//!
//! `recorded.json` has events that AWS delivered and that others published, each with the requested
//! target and its source. Ids, addresses and headers of the network are removed. The other events
//! have the complete form, with paths and tokens of this API and invented ids.
//! `scripts/local-aws/test_gateway.py` compares the emulated gateway with the same recordings.

use super::EntryPoint;
use serde_json::{Value, json};
use testkit::{RequestBuilder, sample::titled};

const RECORDED: &str = include_str!("events/recorded.json");
const ENCODED_PATH: &str = include_str!("events/encoded-path.json");
const RAW_SLASH: &str = include_str!("events/raw-slash.json");
const CUSTOM_DOMAIN: &str = include_str!("events/custom-domain.json");
const BASE64_BODY: &str = include_str!("events/base64-body.json");
const MULTI_VALUE_QUERY: &str = include_str!("events/multi-value-query.json");
const CONSOLE_TEST: &str = include_str!("events/console-test.json");
const HEADER_THAT_IS_NO_HOST: &str = include_str!("events/header-that-is-no-host.json");

#[tokio::test]
async fn recorded_events_are_read_as_they_were_sent() {
    if testkit::emulator().is_none() {
        return;
    }
    let app = EntryPoint::LAMBDA.start().await;
    let recordings: Vec<Value> = serde_json::from_str(RECORDED).unwrap();
    for mut recording in recordings {
        let target = recording["target"].as_str().unwrap().to_owned();
        let event = &mut recording["event"];
        app.invoke(&event.to_string())
            .await
            .assert_problem(404, "route_not_found");

        // The same request for a movie of this API.
        let title = event["path"]
            .as_str()
            .unwrap()
            .trim_start_matches('/')
            .to_owned();
        event["path"] = json!(format!("/movies/2013/{title}"));
        event["requestContext"]["authorizer"] =
            json!({ "claims": { "scope": "movies/read movies/write" } });
        let response = app.invoke(&event.to_string()).await;
        let requested = RequestBuilder::new(event["httpMethod"].as_str().unwrap(), &target);
        if requested.method() != "GET" {
            response.assert_problem(405, "method_not_allowed");
        } else if !requested.parameters().is_empty() {
            let mut names: Vec<_> = requested
                .parameters()
                .into_iter()
                .map(|(name, _)| name)
                .collect();
            names.sort_unstable();
            assert_eq!(response.assert_problem(400, "invalid_request"), names);
        } else {
            response.assert_problem(404, "movie_not_found");
            let title = percent_encoding::percent_decode_str(&title)
                .decode_utf8()
                .unwrap();
            app.create(&titled(&title)).await;
            assert_eq!(app.invoke(&event.to_string()).await.json()["title"], *title);
        }
    }
}

#[tokio::test]
async fn encoded_path_of_an_event_is_decoded_once() {
    if testkit::emulator().is_none() {
        return;
    }
    let app = EntryPoint::LAMBDA.start().await;
    let title = "V/H/S + 100%25?#é";
    app.create(&json!({ "year": 1998, "title": title })).await;
    let response = app.invoke(ENCODED_PATH).await;
    assert_eq!(
        (response.status, response.json()["title"].clone()),
        (200, json!(title))
    );
    assert_eq!(
        response.header("x-request-id"),
        Some("ff7a0efa-97df-4a02-abee-000000000001")
    );
}

#[tokio::test]
async fn stage_domain_and_console_events_reach_the_same_movie() {
    if testkit::emulator().is_none() {
        return;
    }
    let app = EntryPoint::LAMBDA.start().await;
    app.create(&json!({ "year": 2011, "title": "50/50" })).await;
    for event in [RAW_SLASH, CUSTOM_DOMAIN, CONSOLE_TEST] {
        assert_eq!(app.invoke(event).await.json()["title"], "50/50");
    }
}

#[tokio::test]
async fn headers_do_not_affect_routing() {
    if testkit::emulator().is_none() {
        return;
    }
    let app = EntryPoint::LAMBDA.start().await;
    app.create(&json!({ "year": 2011, "title": "50/50" })).await;
    assert_eq!(app.invoke(HEADER_THAT_IS_NO_HOST).await.status, 200);
    assert_eq!(
        app.invoke(RAW_SLASH).await.status,
        200,
        "the movie is still there"
    );
}

#[tokio::test]
async fn base64_body_is_decoded() {
    if testkit::emulator().is_none() {
        return;
    }
    let app = EntryPoint::LAMBDA.start().await;
    let response = app.invoke(BASE64_BODY).await;
    assert_eq!(
        (response.status, response.json()["info"].clone()),
        (201, json!({ "actors": ["Amélie Poulain"] }))
    );
    let mut event: Value = serde_json::from_str(BASE64_BODY).unwrap();
    event["body"] = json!("not base64!");
    assert_eq!(
        app.invoke(&event.to_string())
            .await
            .assert_problem(400, "invalid_request"),
        ["body"]
    );
    event["body"] = json!("A".repeat(1 << 20));
    app.invoke(&event.to_string())
        .await
        .assert_problem(413, "payload_too_large");
}

#[tokio::test]
async fn base64_body_that_is_not_utf_8_is_400() {
    if testkit::emulator().is_none() {
        return;
    }
    let app = EntryPoint::LAMBDA.start().await;
    let mut event = RequestBuilder::new("POST", "/movies")
        .json(&titled("a"))
        .event();
    event["isBase64Encoded"] = json!(true);
    event["body"] = json!("eyJ5ZWFyIjoyMDEzLCJ0aXRsZSI6Iv8ifQ=="); // {"year":2013,"title":"<FF>"}
    let response = app.invoke(&event.to_string()).await;
    assert_eq!(response.assert_problem(400, "invalid_request"), ["body"]);
}

#[tokio::test]
async fn event_with_an_empty_path_is_404() {
    if testkit::emulator().is_none() {
        return;
    }
    let app = EntryPoint::LAMBDA.start().await;
    app.ask("GET", "")
        .await
        .assert_problem(404, "route_not_found");
}

#[tokio::test]
async fn repeated_parameter_of_an_event_is_400() {
    if testkit::emulator().is_none() {
        return;
    }
    let app = EntryPoint::LAMBDA.start().await;
    app.create(&titled("Rush")).await;
    assert_eq!(
        app.invoke(MULTI_VALUE_QUERY)
            .await
            .assert_problem(400, "invalid_request"),
        ["year"]
    );
    let mut event: Value = serde_json::from_str(MULTI_VALUE_QUERY).unwrap();
    event["queryStringParameters"] = json!({ "year": "2013" });
    event["multiValueQueryStringParameters"] = Value::Null;
    assert_eq!(
        app.invoke(&event.to_string()).await.json()["movies"][0]["title"],
        "Rush"
    );
    event["queryStringParameters"] = json!(["year"]);
    event["requestContext"]["requestId"] = Value::Null; // then the id is that of the invocation
    app.invoke(&event.to_string())
        .await
        .assert_problem(400, "invalid_request");
}

#[tokio::test]
async fn event_without_a_verified_scope_is_403() {
    if testkit::emulator().is_none() {
        return;
    }
    let app = EntryPoint::LAMBDA.start().await;
    app.create(&json!({ "year": 2011, "title": "50/50" })).await;
    for authorizer in [
        Value::Null,
        json!({}),
        json!({ "claims": null }),
        json!({ "claims": {} }),
        json!({ "claims": { "scope": "openid" } }),
    ] {
        let mut event: Value = serde_json::from_str(RAW_SLASH).unwrap();
        event["requestContext"]["authorizer"] = authorizer;
        app.invoke(&event.to_string())
            .await
            .assert_problem(403, "forbidden");
    }
}

#[tokio::test]
async fn event_that_is_not_a_request_is_400() {
    if testkit::emulator().is_none() {
        return;
    }
    let app = EntryPoint::LAMBDA.start().await;
    // Lambda itself rejects a payload that is not JSON.
    for event in [
        "null",
        "{}",
        "[]",
        "\"x\"",
        r#"{"version":"2.0","rawPath":"/health"}"#,
        r#"{"httpMethod":"GET"}"#,
        r#"{"httpMethod":"G T","path":"/","requestContext":{}}"#,
    ] {
        app.invoke(event)
            .await
            .assert_problem(400, "invalid_request");
    }
}
