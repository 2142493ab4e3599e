//! Items that this API would not write, and unusual pages.

use super::Function;
use bytes::Bytes;
use hyper::{Request, Response};
use lambda_emulator::{Proxy, dynamodb};
use serde_json::{Value, json};
use std::future::ready;
use testkit::{RequestBuilder, sample::rush_item};

/// Starts a function whose table returns these responses in turn and then repeats the last one.
async fn function_with(responses: Vec<Value>) -> Function {
    let responses = std::sync::Mutex::new(responses);
    let table = move |request: Request<Bytes>| {
        let mut responses = responses.lock().unwrap();
        // The read at the start of the function does not count.
        let start = dynamodb::operation(&request) == "GetItem"
            && String::from_utf8_lossy(request.body()).contains(r#""N":"0""#);
        let response = match responses.len() {
            _ if start => json!({}),
            1 => responses[0].clone(),
            _ => responses.remove(0),
        };
        ready(Some(dynamodb::success(&response) as Response<Bytes>))
    };
    Function::on(Proxy::start(table).await.unwrap()).await
}

fn item(change: impl FnOnce(&mut Value)) -> Value {
    let mut item = rush_item();
    change(&mut item);
    item
}

/// Fault F21.
#[tokio::test]
async fn item_without_some_attributes_is_returned_and_counted() {
    for missing in [&["info"][..], &["etag"], &["info", "etag"]] {
        let item = item(|item| {
            missing
                .iter()
                .for_each(|name| drop(item.as_object_mut().unwrap().remove(*name)))
        });
        let mut function = function_with(vec![json!({ "Item": item })]).await;
        let seen = function.get().await;
        seen.served();
        assert_eq!(
            seen.json()["info"].get("plot").is_some(),
            !missing.contains(&"info"),
            "{seen:#?}"
        );
        assert!(seen.headers.get("etag").is_some(), "{seen:#?}");
        assert_eq!(seen.line()["damaged_rows"], 1, "{seen:#?}");
    }
}

/// Fault F22.
#[tokio::test]
async fn value_of_a_wrong_type_omits_only_that_value_or_item() {
    let partly = item(|item| item["info"]["M"]["rating"] = json!({ "BOOL": true }));
    let mut function = function_with(vec![json!({ "Item": partly })]).await;
    let seen = function.get().await;
    seen.served();
    assert_eq!(
        seen.json()["info"],
        json!({ "plot": "Two drivers, one season." })
    );
    assert_eq!(seen.line()["damaged_rows"], 1, "{seen:#?}");

    let no_movie = item(|item| item["year"] = json!({ "S": "2013" }));
    let mut function =
        function_with(vec![json!({ "Items": [no_movie, partly, rush_item()] })]).await;
    let seen = function.ask("GET", "/movies").await;
    assert_eq!(
        (
            seen.no_fault().status,
            seen.json()["movies"].as_array().unwrap().len()
        ),
        (200, 2),
        "{seen:#?}"
    );
    assert_eq!(seen.line()["damaged_rows"], 2, "{seen:#?}");

    // A well-formed item is not counted.
    let mut function = Function::start().await;
    assert!(function.get().await.line().get("damaged_rows").is_none());
}

/// Fault F23.
#[tokio::test]
async fn stored_number_keeps_every_digit() {
    let large = format!("1{}", "0".repeat(125));
    for (stored, returned) in [
        (
            "7.1234567890123456789012345678901234567",
            "7.1234567890123456789012345678901234567",
        ),
        ("1E125", large.as_str()),
        ("-0", "0"),
    ] {
        let item = item(|item| item["info"]["M"]["rating"] = json!({ "N": stored }));
        let mut function = function_with(vec![json!({ "Item": item })]).await;
        // 1E125 exceeds the contract's limit and is returned unchanged.
        let seen = function
            .send(RequestBuilder::new("GET", "/movies/2013/Rush").without_contract())
            .await;
        assert!(
            seen.status == 200 && seen.text.contains(&format!("\"rating\":{returned},")),
            "{seen:#?}"
        );
        seen.no_fault();
    }
}

/// Fault F24.
#[tokio::test]
async fn large_items_and_pages_cut_at_1_mb_are_read_on() {
    let large = item(|item| item["padding"] = json!({ "S": "x".repeat(400 * 1024 - 300) }));
    let mut function = function_with(vec![json!({ "Item": large })]).await;
    function.get().await.served();

    let named = |title: &str| item(|item| item["title"] = json!({ "S": title }));
    let key = json!({ "year": { "N": "2013" }, "title": { "S": "b" } });
    let pages = vec![
        json!({ "Items": [named("a"), named("b")], "LastEvaluatedKey": key }),
        json!({ "Items": [named("c")] }),
    ];
    let mut function = function_with(pages).await;
    let first = function.ask("GET", "/movies?limit=100").await;
    let next = first.json()["next"]
        .as_str()
        .unwrap_or_else(|| panic!("{first:#?}"))
        .to_owned();
    let second = function
        .ask("GET", &format!("/movies?limit=100&cursor={next}"))
        .await;
    let titles = |seen: &super::Exchange| {
        seen.json()["movies"]
            .as_array()
            .unwrap()
            .iter()
            .map(|movie| movie["title"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        (titles(&first), titles(&second)),
        (vec!["a".to_owned(), "b".to_owned()], vec!["c".to_owned()])
    );
    assert_eq!(second.json()["next"], Value::Null);
}

/// Fault F25.
#[tokio::test]
async fn at_most_five_empty_pages_are_read_for_one_response() {
    let last = json!({ "year": { "N": "2013" }, "title": { "S": "b" } });
    let empty = json!({ "Items": [], "LastEvaluatedKey": last });
    let mut function = function_with(vec![
        empty.clone(),
        empty.clone(),
        json!({ "Items": [rush_item()] }),
    ])
    .await;
    let seen = function.ask("GET", "/movies").await;
    assert_eq!(
        (
            seen.no_fault().table_requests(3).status,
            seen.json()["movies"].as_array().unwrap().len()
        ),
        (200, 1)
    );
    let mut function = function_with(vec![empty]).await;
    let seen = function.ask("GET", "/movies").await;
    assert_eq!(
        seen.no_fault().table_requests(5).json()["movies"],
        json!([]),
        "{seen:#?}"
    );
    let next = seen.json()["next"].as_str().unwrap().to_owned();
    assert_eq!(
        function
            .ask("GET", &format!("/movies?cursor={next}"))
            .await
            .status,
        200
    );
}

/// Fault F26.
#[tokio::test]
async fn attribute_of_an_unknown_type_is_ignored() {
    let unknown = json!({ "VECTOR": [1, 2, 3] });
    let outside = item(|item| item["embedding"] = unknown.clone());
    let inside = item(|item| item["info"]["M"]["embedding"] = unknown.clone());
    for item in [outside, inside] {
        let mut function = function_with(vec![json!({ "Item": item })]).await;
        let seen = function.get().await;
        seen.served();
        assert_eq!(
            seen.json()["info"]["plot"],
            "Two drivers, one season.",
            "{seen:#?}"
        );
        let mut function = function_with(vec![json!({ "Items": [item] })]).await;
        assert_eq!(
            function.ask("GET", "/movies").await.no_fault().json()["movies"]
                .as_array()
                .unwrap()
                .len(),
            1
        );
    }
}

#[tokio::test]
async fn idempotency_key_of_another_movie_differs_from_a_repeated_one() {
    // This is DynamoDB's response as documented; the tests in `writes` use the emulator.
    let reason = |etag: &str| {
        let item = json!({ "etag": { "S": etag } });
        json!({ "Code": "ConditionalCheckFailed", "Message": "-", "Item": item })
    };
    let post = || {
        RequestBuilder::new("POST", "/movies")
            .json(&json!({ "year": 2013, "title": "Rush" }))
            .header("Idempotency-Key", "k")
    };
    let mut function = Function::start().await;
    let etag = function.send(post()).await.headers["etag"]
        .as_str()
        .unwrap()
        .trim_matches('"')
        .to_owned();
    for (found, status) in [(etag.as_str(), 201), ("other", 422)] {
        let body = json!({
            "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
            "Message": "-",
            "CancellationReasons": [reason("a movie's"), reason(found)],
        });
        function.proxy.script([super::Fault::Response {
            status: 400,
            content_type: "application/x-amz-json-1.0".into(),
            body: body.to_string(),
        }]);
        let seen = function.send(post()).await;
        assert_eq!(
            seen.no_fault().table_requests(1).status,
            status,
            "{seen:#?}"
        );
    }
}

/// A value of an unknown type can be neither compared nor sent. It stays unchanged and does not
/// prevent writes of the movie.
///
/// Fault F26.
#[tokio::test]
async fn movie_with_an_attribute_of_an_unknown_type_can_be_written() {
    let unknown = json!({ "VECTOR": [1, 2, 3] });
    let outside = item(|item| item["embedding"] = unknown.clone());
    let inside = item(|item| item["info"]["M"]["embedding"] = unknown.clone());
    for item in [outside, inside] {
        let mut function =
            Function::on(Proxy::start(dynamodb::stub(vec![item])).await.unwrap()).await;
        let etag = function.get().await.etag();
        for method in ["PATCH", "PUT", "DELETE"] {
            let request = RequestBuilder::new(method, "/movies/2013/Rush")
                .json(&json!({ "info": { "rank": 1 } }));
            let seen = function.send(request.header("If-Match", &etag)).await;
            assert_eq!(
                seen.no_fault().table_requests(2).status,
                if method == "DELETE" { 204 } else { 200 },
                "{seen:#?}"
            );
        }
    }
}

/// The sample of testkit is an item as this API writes it: its stored ETag is that of its content.
#[tokio::test]
async fn read_returns_the_etag_of_the_items_content() {
    let mut function = Function::start().await;
    let seen = function.get().await;
    let stored = rush_item()["etag"]["S"].as_str().unwrap().to_owned();
    assert_eq!(
        seen.served().etag(),
        format!("\"{stored}\""),
        "the ETag of testkit's sample"
    );
    assert!(seen.line().get("damaged_rows").is_none(), "{seen:#?}");
}
