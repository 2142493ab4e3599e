//! What the table holds is not what this API writes, or comes in odd pages.

use super::Function;
use bytes::Bytes;
use hyper::{Request, Response};
use lambda_emulator::{Proxy, dynamodb};
use serde_json::{Value, json};
use std::future::ready;
use testkit::{RequestBuilder, sample::rush_item};

/// A function on a table that gives these answers to each call in turn, and the last one from then on.
async fn answering(answers: Vec<Value>) -> Function {
    let answers = std::sync::Mutex::new(answers);
    let table = move |request: Request<Bytes>| {
        let mut answers = answers.lock().unwrap();
        // The start's own read is not among them.
        let start = dynamodb::operation(&request) == "GetItem"
            && String::from_utf8_lossy(request.body()).contains(r#""N":"0""#);
        let answer = match answers.len() {
            _ if start => json!({}),
            1 => answers[0].clone(),
            _ => answers.remove(0),
        };
        ready(Some(dynamodb::success(&answer) as Response<Bytes>))
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
    for lacking in [&["info"][..], &["etag"], &["info", "etag"]] {
        let item = item(|item| {
            lacking
                .iter()
                .for_each(|name| drop(item.as_object_mut().unwrap().remove(*name)))
        });
        let mut function = answering(vec![json!({ "Item": item })]).await;
        let seen = function.get().await;
        seen.served();
        assert_eq!(
            seen.json()["info"].get("plot").is_some(),
            !lacking.contains(&"info"),
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
    let mut function = answering(vec![json!({ "Item": partly })]).await;
    let seen = function.get().await;
    seen.served();
    assert_eq!(
        seen.json()["info"],
        json!({ "plot": "Two drivers, one season." })
    );
    assert_eq!(seen.line()["damaged_rows"], 1, "{seen:#?}");

    let no_movie = item(|item| item["year"] = json!({ "S": "2013" }));
    let mut function = answering(vec![json!({ "Items": [no_movie, partly, rush_item()] })]).await;
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

    // A row as it should be is none of them.
    let mut function = Function::start().await;
    assert!(function.get().await.line().get("damaged_rows").is_none());
}

/// Fault F23.
#[tokio::test]
async fn stored_number_keeps_every_digit() {
    let large = format!("1{}", "0".repeat(125));
    for (stored, answered) in [
        (
            "7.1234567890123456789012345678901234567",
            "7.1234567890123456789012345678901234567",
        ),
        ("1E125", large.as_str()),
        ("-0", "0"),
    ] {
        let item = item(|item| item["info"]["M"]["rating"] = json!({ "N": stored }));
        let mut function = answering(vec![json!({ "Item": item })]).await;
        // The last of these is beyond the contract's limit, and returned as it is.
        let seen = function
            .send(RequestBuilder::new("GET", "/movies/2013/Rush").without_contract())
            .await;
        assert!(
            seen.status == 200 && seen.text.contains(&format!("\"rating\":{answered},")),
            "{seen:#?}"
        );
        seen.no_fault();
    }
}

/// Fault F24.
#[tokio::test]
async fn large_items_and_pages_cut_at_1_mb_are_read_on() {
    let large = item(|item| item["padding"] = json!({ "S": "x".repeat(400 * 1024 - 300) }));
    let mut function = answering(vec![json!({ "Item": large })]).await;
    function.get().await.served();

    let named = |title: &str| item(|item| item["title"] = json!({ "S": title }));
    let key = json!({ "year": { "N": "2013" }, "title": { "S": "b" } });
    let pages = vec![
        json!({ "Items": [named("a"), named("b")], "LastEvaluatedKey": key }),
        json!({ "Items": [named("c")] }),
    ];
    let mut function = answering(pages).await;
    let first = function.ask("GET", "/movies?limit=100").await;
    let next = first.json()["next"]
        .as_str()
        .unwrap_or_else(|| panic!("{first:#?}"))
        .to_owned();
    let second = function
        .ask("GET", &format!("/movies?limit=100&cursor={next}"))
        .await;
    let titles = |seen: &super::Seen| {
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
    let empty = json!({ "Items": [], "LastEvaluatedKey": { "year": { "N": "2013" }, "title": { "S": "b" } } });
    let mut function = answering(vec![
        empty.clone(),
        empty.clone(),
        json!({ "Items": [rush_item()] }),
    ])
    .await;
    let seen = function.ask("GET", "/movies").await;
    assert_eq!(
        (
            seen.no_fault().calls(3).status,
            seen.json()["movies"].as_array().unwrap().len()
        ),
        (200, 1)
    );
    let mut function = answering(vec![empty]).await;
    let seen = function.ask("GET", "/movies").await;
    assert_eq!(
        seen.no_fault().calls(5).json()["movies"],
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
        let mut function = answering(vec![json!({ "Item": item })]).await;
        let seen = function.get().await;
        seen.served();
        assert_eq!(
            seen.json()["info"]["plot"],
            "Two drivers, one season.",
            "{seen:#?}"
        );
        let mut function = answering(vec![json!({ "Items": [item] })]).await;
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
    // In DynamoDB's words; on an emulator it is in `writes`.
    let reason = |etag: &str| json!({ "Code": "ConditionalCheckFailed", "Message": "-", "Item": { "etag": { "S": etag } } });
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
            "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException", "Message": "-",
            "CancellationReasons": [reason("a movie's"), reason(found)],
        });
        function.proxy.script([super::Fault::Answer {
            status: 400,
            content_type: "application/x-amz-json-1.0".into(),
            body: body.to_string(),
        }]);
        let seen = function.send(post()).await;
        assert_eq!(seen.no_fault().calls(1).status, status, "{seen:#?}");
    }
}

/// What cannot be read cannot be compared or sent either: it stays as it is, and keeps nobody from
/// the movie.
///
/// Fault F26.
#[tokio::test]
async fn movie_with_an_attribute_of_an_unknown_type_can_be_written() {
    let unknown = json!({ "VECTOR": [1, 2, 3] });
    let outside = item(|item| item["embedding"] = unknown.clone());
    let inside = item(|item| item["info"]["M"]["embedding"] = unknown.clone());
    for item in [outside, inside] {
        let mut function =
            Function::on(Proxy::start(dynamodb::canned(vec![item])).await.unwrap()).await;
        let etag = function.get().await.etag();
        for method in ["PATCH", "PUT", "DELETE"] {
            let request = RequestBuilder::new(method, "/movies/2013/Rush")
                .json(&json!({ "info": { "rank": 1 } }));
            let seen = function.send(request.header("If-Match", &etag)).await;
            assert_eq!(
                seen.no_fault().calls(2).status,
                if method == "DELETE" { 204 } else { 200 },
                "{seen:#?}"
            );
        }
    }
}

/// The tests' sample is as this API writes it: its ETag is that of what it holds.
#[tokio::test]
async fn a_read_returns_the_etag_of_what_the_item_holds() {
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
