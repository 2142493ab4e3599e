//! The contract as a list of what must be there.

use super::{App, READ, WRITE, contract};
use movies::domain::{Info, ListQuery, Title, Year};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use testkit::{RequestBuilder, Response, assert_contract, sample::rush};

#[tokio::test]
async fn every_operation_of_the_contract_is_routed() {
    let app = App::new().await;
    let mut methods = BTreeMap::<_, BTreeSet<_>>::new();
    for (method, path) in contract().operations() {
        let path = path.replace("{year}", "2013").replace("{title}", "Rush");
        methods
            .entry(path.clone())
            .or_default()
            .insert(method.clone());
        let answer = app.ask(&method, &path).await;
        assert_ne!(answer.status, 405, "{method} {path}");
        if method != "HEAD" && answer.status == 404 {
            answer.assert_problem(404, "movie_not_found");
        }
    }
    // And no other is.
    for (path, methods) in methods {
        let answer = app.ask("TRACE", &path).await;
        let allowed = answer
            .header("allow")
            .unwrap()
            .split(", ")
            .map(str::to_owned)
            .collect::<BTreeSet<_>>();
        assert_eq!(allowed, methods, "{path}");
    }
}

#[tokio::test]
async fn an_operation_takes_the_scopes_that_the_contract_declares() {
    let app = App::new().await;
    let contract = contract();
    for (method, template) in contract.operations() {
        let path = template
            .replace("{year}", "2013")
            .replace("{title}", "Rush");
        let operation = contract.operation(&method, &path).unwrap();
        let security = operation
            .get("security")
            .unwrap_or(&contract.document["security"]);
        let declared: Vec<&str> = security
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["oauth2"][0].as_str().unwrap())
            .collect();
        for scope in [READ, WRITE] {
            let answer = app
                .send(RequestBuilder::new(&method, &path).scope(Some(scope)))
                .await;
            assert_eq!(
                answer.status != 403,
                declared.contains(&scope),
                "{method} {path} with {scope}"
            );
        }
        for scope in [
            None,
            Some(""),
            Some("movies/readwrite"),
            Some("openid movies/reads"),
        ] {
            assert_eq!(
                app.send(RequestBuilder::new(&method, &path).scope(scope))
                    .await
                    .status,
                403,
                "{method} {path} with {scope:?}"
            );
        }
    }
}

#[test]
fn the_codes_limits_follow_the_contract() {
    let contract = contract();
    let year = contract.schema("MovieYear");
    assert_eq!(
        (year["minimum"].as_u64(), year["maximum"].as_u64()),
        (Some(Year::MIN.into()), Some(Year::MAX.into()))
    );
    assert_eq!(contract.schema("MovieTitle")["maxLength"], Title::MAX_BYTES);
    let parameters = &contract.document["components"]["parameters"];
    assert_eq!(
        (
            &parameters["Year"]["schema"],
            &parameters["YearQuery"]["schema"]
        ),
        (year, year)
    );
    let limit = &parameters["Limit"]["schema"];
    assert_eq!(
        (
            &limit["maximum"],
            &limit["default"],
            &contract.schema("MoviePage")["properties"]["movies"]["maxItems"]
        ),
        (
            &json!(ListQuery::MAX_LIMIT),
            &json!(ListQuery::DEFAULT_LIMIT),
            &json!(ListQuery::MAX_LIMIT)
        )
    );

    // At a limit a field passes, one beyond it does not.
    let passes = |field: &str, value: Value| {
        let text = json!({ "year": 2013, "title": "a", "info": { field: value } }).to_string();
        movies::http::body::read_movie(&text).is_ok()
    };
    let properties = contract.schema("Info")["properties"].as_object().unwrap();
    for (field, schema) in properties {
        let schema = contract.follow(schema);
        match schema["type"].as_str().unwrap() {
            "array" => {
                let item = contract.follow(&schema["items"]);
                let (items, length) = (
                    schema["maxItems"].as_u64().unwrap(),
                    item["maxLength"].as_u64().unwrap(),
                );
                let list = |items: u64, length: u64| {
                    json!(vec![
                        "é".repeat(length.try_into().unwrap());
                        items.try_into().unwrap()
                    ])
                };
                assert!(
                    passes(field, list(items, length)) && !passes(field, list(items + 1, 1)),
                    "{field}"
                );
                assert!(
                    !passes(field, list(1, length + 1))
                        && !passes(field, list(1, 0))
                        && passes(field, json!([])),
                    "{field}"
                );
            }
            "integer" | "number" => {
                let (low, high) = (
                    schema["minimum"].as_i64().unwrap(),
                    schema["maximum"].as_i64().unwrap(),
                );
                assert!(
                    passes(field, json!(low)) && passes(field, json!(high)),
                    "{field}"
                );
                assert!(
                    !passes(field, json!(low - 1)) && !passes(field, json!(high + 1)),
                    "{field}"
                );
            }
            "string" if field == "release_date" => {
                assert!(passes(field, schema["example"].clone()));
            }
            "string" => {
                let most = usize::try_from(schema["maxLength"].as_u64().unwrap()).unwrap();
                let text = |length: usize| {
                    if field == "image_url" {
                        format!("https://{}", "x".repeat(length - 8))
                    } else {
                        "é".repeat(length)
                    }
                };
                assert!(
                    passes(field, json!(text(most)))
                        && !passes(field, json!(text(most + 1)))
                        && !passes(field, json!("")),
                    "{field}"
                );
            }
            other => panic!("{field}: {other}"),
        }
    }
    // A field that the contract lacks would not be seen above.
    let Info {
        directors: _,
        release_date: _,
        rating: _,
        genres: _,
        image_url: _,
        plot: _,
        rank: _,
        running_time_secs: _,
        actors: _,
    } = Info::default();
    assert_eq!(properties.len(), 9);
}

/// The contract repeats each field, since a reference cannot be nullable.
#[test]
fn a_patchs_fields_are_a_movies_with_null_allowed() {
    let contract = contract();
    let mut expected = serde_json::Map::new();
    for (name, field) in contract.schema("Info")["properties"].as_object().unwrap() {
        let mut field = contract.follow(field).clone();
        field["nullable"] = json!(true);
        expected.insert(name.clone(), field);
    }
    assert_eq!(
        contract.schema("InfoPatch")["properties"]
            .as_object()
            .unwrap(),
        &expected
    );
}

#[test]
fn the_judge_refuses_what_the_contract_does_not_have() {
    let answer = |status: u16, body: Value| Response {
        status,
        headers: json!({ "content-type": "application/json", "x-request-id": "request-1", "etag": format!("\"{}\"", "0".repeat(32)) }),
        text: body.to_string(),
    };
    let judged = |answer: Response| {
        std::panic::catch_unwind(|| {
            assert_contract(contract(), "GET", "/movies/2013/Rush", None, &answer)
        })
        .is_ok()
    };
    assert!(judged(answer(200, rush())));
    assert!(
        !judged(answer(418, rush())),
        "a status that is not declared"
    );
    assert!(
        !judged(answer(200, json!({ "year": 2013 }))),
        "a body without title"
    );
    assert!(
        !judged(answer(
            200,
            json!({ "year": 2013, "title": "a", "etag": "x" })
        )),
        "a field that is not declared"
    );
    for (header, value) in [
        ("etag", Value::Null),
        ("etag", json!("\"0\"")),
        ("x-request-id", Value::Null),
        ("content-type", json!("text/plain")),
    ] {
        let mut wrong = answer(200, rush());
        wrong.headers[header] = value;
        assert!(!judged(wrong), "{header}");
    }
    let mut problem = answer(
        404,
        json!({ "type": "about:blank", "title": "Not Found", "status": 404, "code": "movie_not_found", "detail": "No movie with this year and title.", "request_id": "request-1" }),
    );
    problem.headers["content-type"] = json!("application/problem+json");
    assert!(judged(problem.clone()));
    assert!(
        !judged(Response {
            text: problem.text.replace("404", "409"),
            ..problem.clone()
        }),
        "another status in the body"
    );
    assert!(
        !judged(Response {
            text: problem.text.replace("request-1", "request-2"),
            ..problem
        }),
        "another request's id in the body"
    );
}
