//! Problem details: they name every invalid field, the required scope and the next step, with the
//! texts of the contract.

use super::{EntryPoint, READ, WRITE, contract};
use serde_json::Value;
use testkit::{RequestBuilder, Response};

behaviours![
    every_invalid_parameter_is_named_once,
    forbidden_response_names_the_needed_scope,
    unknown_path_is_404_and_unknown_method_405_for_every_scope,
    common_mistakes_are_400_with_the_field_named,
];

/// Returns the field and the message of each error of a problem.
fn messages(response: &Response) -> Vec<(String, String)> {
    let text = |error: &Value, member: &str| error[member].as_str().unwrap().to_owned();
    let errors = response.json()["errors"].as_array().unwrap().clone();
    errors
        .iter()
        .map(|error| (text(error, "field"), text(error, "message")))
        .collect()
}

#[test]
fn contract_has_a_valid_example_of_every_error_code() {
    let problem = contract().schema("Problem");
    let codes: Vec<_> = problem["properties"]["code"]["enum"]
        .as_array()
        .unwrap()
        .iter()
        .collect();
    let examples = contract().problems();
    for code in &codes {
        let example = examples
            .get(code.as_str().unwrap())
            .unwrap_or_else(|| panic!("no {code}"));
        let status = u16::try_from(example["status"].as_u64().unwrap()).unwrap();
        let status = http::StatusCode::from_u16(status).unwrap();
        assert_eq!(
            example["title"],
            status.canonical_reason().unwrap(),
            "{code}"
        );
    }
    assert_eq!(examples.len(), codes.len());
}

/// Responses to HEAD, and 204, have no body.
#[test]
fn every_body_of_the_contract_has_an_example() {
    let contract = contract();
    for (path, item) in contract.document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let Some(responses) = operation["responses"].as_object() else {
                continue;
            };
            let bodies = responses.values().chain([&operation["requestBody"]]);
            for body in bodies.map(|body| contract.follow(body)) {
                for (media_type, content) in body["content"].as_object().into_iter().flatten() {
                    let examples = content["examples"].as_object();
                    let found = examples.is_some_and(|examples| !examples.is_empty());
                    assert!(found, "{method} {path} {media_type} {body}");
                }
            }
        }
    }
}

async fn every_invalid_parameter_is_named_once(entry_point: EntryPoint) {
    let app = entry_point.start().await;
    for (query, expected) in [
        ("limit=500&colour=red", vec!["colour", "limit"]),
        ("sort=foo", vec!["sort"]),
        (
            "sort=foo&title=&title_prefix=",
            vec!["sort", "title", "title_prefix"],
        ),
        (
            "year=13&year=2013&colour=red&cursor=x&title=a",
            vec!["colour", "cursor", "year"],
        ),
        (
            "cursor=x&limit=0&colour=red",
            vec!["colour", "cursor", "limit"],
        ),
        ("colour=red&colour=blue&limit=", vec!["colour", "limit"]),
    ] {
        let response = app.ask("GET", &format!("/movies?{query}")).await;
        assert_eq!(
            response.assert_problem(400, "invalid_request"),
            expected,
            "{query}"
        );
    }
    let response = app.ask("GET", "/movies?sort=foo").await;
    assert_eq!(
        messages(&response),
        [("sort".to_owned(), "must be title or -title".to_owned())]
    );
}

async fn forbidden_response_names_the_needed_scope(entry_point: EntryPoint) {
    let app = entry_point.start().await;
    for (method, template) in contract().operations() {
        let path = contract().path(&template);
        let read = matches!(method.as_str(), "GET" | "HEAD");
        let (given, needed) = if read {
            ("openid", READ)
        } else {
            (READ, WRITE)
        };
        let response = app
            .send(RequestBuilder::new(&method, &path).scope(Some(given)))
            .await;
        let challenge =
            format!(r#"Bearer realm="movies", error="insufficient_scope", scope="{needed}""#);
        assert_eq!(
            response.header("www-authenticate"),
            Some(&*challenge),
            "{method} {path}"
        );
        if method != "HEAD" {
            response.assert_problem(403, "forbidden");
            let detail = format!("This operation needs an access token with the scope {needed}.");
            assert_eq!(response.json()["detail"], detail, "{method} {path}");
        }
    }
}

async fn unknown_path_is_404_and_unknown_method_405_for_every_scope(entry_point: EntryPoint) {
    let app = entry_point.start().await;
    for scope in [None, Some("openid"), Some(READ), Some(WRITE)] {
        let ask =
            |method: &str, path: &str| app.send(RequestBuilder::new(method, path).scope(scope));
        for (method, path) in [
            ("GET", "/nothing"),
            ("PUT", "/movies/2013"),
            ("GET", "/movies/2013/"),
            ("GET", "/movies//Rush"),
        ] {
            let response = ask(method, path).await;
            response.assert_problem(404, "route_not_found");
            assert_eq!(
                response.json()["detail"],
                "No such route. See the API reference."
            );
        }
        for (method, path) in [
            ("POST", "/"),
            ("DELETE", "/health"),
            ("POST", "/movies/2013/Rush"),
        ] {
            let response = ask(method, path).await;
            response.assert_problem(405, "method_not_allowed");
            let detail = "This method is not allowed here. See the Allow header.";
            assert_eq!(response.json()["detail"], detail);
            assert!(response.header("allow").is_some());
        }
    }
}

/// Seven mistakes of new clients. `smoke` sends the same requests through the gateway.
async fn common_mistakes_are_400_with_the_field_named(entry_point: EntryPoint) {
    let app = entry_point.start().await;
    for (body, field) in [
        (r#"{"title":"x"}"#, "year"),
        (r#"{"year":"2013","title":"x"}"#, "year"),
        (
            r#"{"year":2013,"title":"x","info":{"rating":11}}"#,
            "info.rating",
        ),
        (
            r#"{"year":2013,"title":"x","info":{"genre":["Drama"]}}"#,
            "info.genre",
        ),
        (
            r#"{"year":2013,"title":"x","info":{"release_date":"2013-09-02"}}"#,
            "info.release_date",
        ),
        (r#"{"year":2013,"title":"x""#, "body"),
    ] {
        let request = RequestBuilder::new("POST", "/movies").body("application/json", body);
        let response = app.send(request).await;
        assert_eq!(
            response.assert_problem(400, "invalid_request"),
            [field],
            "{body}"
        );
    }
}
