//! Compares operations, scopes and limits with the contract, in both directions.

use super::{EntryPoint, contract};
use movies::domain::{Field, Info};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use testkit::{
    RequestBuilder, Response, assert_contract,
    sample::{rush, titled},
    suite,
};

behaviours![
    every_operation_of_the_contract_is_routed_and_no_other,
    every_operation_accepts_exactly_the_scopes_of_the_contract,
    limits_of_a_movies_fields_are_those_of_the_contract,
    limits_of_year_and_title_are_those_of_the_contract,
    page_sizes_are_those_of_the_contract,
];

async fn every_operation_of_the_contract_is_routed_and_no_other(entry_point: EntryPoint) {
    let app = entry_point.start().await;
    suite::every_operation_is_routed_and_no_other(&app).await;
}

async fn every_operation_accepts_exactly_the_scopes_of_the_contract(entry_point: EntryPoint) {
    let app = entry_point.start().await;
    suite::every_operation_accepts_exactly_its_scopes(&app).await;
}

async fn limits_of_a_movies_fields_are_those_of_the_contract(entry_point: EntryPoint) {
    let app = entry_point.start().await;
    let put = async |field: &str, value: &Value| {
        let body = json!({ "info": { field: value } });
        app.send(RequestBuilder::new("PUT", "/movies/2013/Rush").json(&body))
            .await
    };
    for (field, schema) in contract().properties(contract().schema("Info")) {
        let (valid, invalid) = contract().limits(schema);
        for value in valid {
            let written = put(&field, &value).await;
            assert_eq!(
                written.json()["info"],
                json!({ field.clone(): value }),
                "{written:?}"
            );
        }
        for value in invalid {
            let fields = put(&field, &value)
                .await
                .assert_problem(400, "invalid_request");
            assert_eq!(fields, [format!("info.{field}")], "{value}");
        }
    }
}

async fn limits_of_year_and_title_are_those_of_the_contract(entry_point: EntryPoint) {
    let app = entry_point.start().await;
    let schema = |name: &str| contract().schema(name);
    for (year, is_valid) in [
        ("minimum", 0),
        ("maximum", 0),
        ("minimum", -1),
        ("maximum", 1),
    ]
    .map(|(limit, beyond)| {
        (
            schema("MovieYear")[limit].as_i64().unwrap() + beyond,
            beyond == 0,
        )
    }) {
        let body = json!({ "year": year, "title": "a" });
        let created = app
            .send(RequestBuilder::new("POST", "/movies").json(&body))
            .await;
        let read = app.ask("GET", &format!("/movies/{year}/a")).await;
        let listed = app.ask("GET", &format!("/movies?year={year}")).await;
        let expected = if is_valid { [201, 200, 200] } else { [400; 3] };
        assert_eq!(
            [created.status, read.status, listed.status],
            expected,
            "{year}"
        );
    }
    // The limit of a title is in bytes.
    let most = usize::try_from(schema("MovieTitle")["maxLength"].as_u64().unwrap()).unwrap();
    for (title, is_valid) in [
        ("é".repeat(most / 2), true),
        ("é".repeat(most / 2) + "x", false),
        (String::new(), false),
    ] {
        let created = app
            .send(RequestBuilder::new("POST", "/movies").json(&titled(&title)))
            .await;
        let query = RequestBuilder::new("GET", "/movies").parameter("year", "2013");
        let read = app.send(query.parameter("title", &title)).await;
        let expected = if is_valid { [201, 200] } else { [400, 400] };
        assert_eq!(
            [created.status, read.status],
            expected,
            "{} bytes",
            title.len()
        );
    }
}

async fn page_sizes_are_those_of_the_contract(entry_point: EntryPoint) {
    let app = entry_point.start().await;
    let limit = &contract().document["components"]["parameters"]["Limit"]["schema"];
    let [low, high, default] = ["minimum", "maximum", "default"].map(|name| &limit[name]);
    for number in 0..=default.as_u64().unwrap() {
        app.create(&titled(&format!("{number:03}"))).await;
    }
    let page = app.ask("GET", "/movies").await.json();
    assert_eq!(json!(page["movies"].as_array().unwrap().len()), *default);
    let [below, beyond] = [low.as_i64().unwrap() - 1, high.as_i64().unwrap() + 1];
    for (limit, status) in [
        (low, 200),
        (high, 200),
        (&json!(below), 400),
        (&json!(beyond), 400),
    ] {
        assert_eq!(
            app.ask("GET", &format!("/movies?limit={limit}"))
                .await
                .status,
            status
        );
    }
    assert_eq!(
        contract().schema("MoviePage")["properties"]["movies"]["maxItems"],
        *high
    );
}

#[test]
fn fields_of_a_movie_are_those_of_the_contract() {
    let schema = |(name, field)| match field {
        Field::Strings(_) => (name, "array"),
        Field::String(_) => (name, "string"),
        Field::Decimal(_) => (name, "number"),
        Field::Integer(_) => (name, "integer"),
    };
    let declared = contract().properties(contract().schema("Info"));
    let declared = declared
        .iter()
        .map(|(name, schema)| (name.as_str(), schema["type"].as_str().unwrap()));
    assert_eq!(
        Info::default()
            .fields()
            .map(schema)
            .collect::<BTreeMap<_, _>>(),
        declared.collect()
    );
}

/// The contract repeats each field, since a reference cannot be nullable.
#[test]
fn patch_schema_has_the_fields_of_a_movie_as_nullable() {
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
fn assert_contract_rejects_undeclared_responses() {
    let response = |status: u16, body: Value| Response {
        status,
        headers: json!({
            "content-type": "application/json",
            "x-request-id": "request-1",
            "etag": format!("\"{}\"", "0".repeat(32)),
        }),
        text: body.to_string(),
    };
    let is_declared = |response: Response| {
        std::panic::catch_unwind(|| {
            assert_contract(contract(), "GET", "/movies/2013/Rush", None, &response)
        })
        .is_ok()
    };
    assert!(is_declared(response(200, rush())));
    assert!(
        !is_declared(response(418, rush())),
        "a status that is not declared"
    );
    assert!(
        !is_declared(response(200, json!({ "year": 2013 }))),
        "a body without title"
    );
    assert!(
        !is_declared(response(
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
        let mut wrong = response(200, rush());
        wrong.headers[header] = value;
        assert!(!is_declared(wrong), "{header}");
    }
    let mut problem = response(
        404,
        json!({
            "type": "about:blank",
            "title": "Not Found",
            "status": 404,
            "code": "movie_not_found",
            "detail": "No movie with this year and title.",
            "request_id": "request-1",
        }),
    );
    problem.headers["content-type"] = json!("application/problem+json");
    assert!(is_declared(problem.clone()));
    assert!(
        !is_declared(Response {
            text: problem.text.replace("404", "409"),
            ..problem.clone()
        }),
        "another status in the body"
    );
    assert!(
        !is_declared(Response {
            text: problem.text.replace("request-1", "request-2"),
            ..problem
        }),
        "another request's id in the body"
    );
}
