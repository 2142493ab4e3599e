//! `GET /` and `GET /openapi.json`.

use super::{App, EntryPoint, READ, contract};
use serde_json::{Value, json};
use testkit::RequestBuilder;

behaviours![
    root_links_to_contract_and_documentation,
    served_contract_has_the_token_url_of_the_environment,
    service_without_links_serves_the_contract_unchanged,
    root_and_contract_need_a_token_and_allow_only_get_and_head,
];

const TOKEN_URL: &str = "https://movies.auth.eu-west-1.amazoncognito.com/oauth2/token";
const DOCUMENTATION_URL: &str = "https://docs.example.org/movies";

async fn linked(entry_point: EntryPoint) -> App {
    let variables = [
        ("TOKEN_URL", TOKEN_URL),
        ("DOCUMENTATION_URL", DOCUMENTATION_URL),
    ];
    entry_point.start_with(&variables).await
}

/// The path of the token URL in an OpenAPI document.
const PLACE: &str = "/components/securitySchemes/oauth2/flows/clientCredentials/tokenUrl";

async fn root_links_to_contract_and_documentation(entry_point: EntryPoint) {
    let app = linked(entry_point).await;
    let root = app
        .send(RequestBuilder::new("GET", "/").scope(Some(READ)))
        .await;
    let info = &contract().document["info"];
    let expected = json!({
        "title": info["title"],
        "version": info["version"],
        "contract": "/openapi.json",
        "documentation": DOCUMENTATION_URL,
    });
    assert_eq!((root.status, root.json()), (200, expected));
    assert_eq!(
        app.ask("GET", root.json()["contract"].as_str().unwrap())
            .await
            .status,
        200
    );
}

async fn served_contract_has_the_token_url_of_the_environment(entry_point: EntryPoint) {
    let app = linked(entry_point).await;
    let served = app
        .send(RequestBuilder::new("GET", "/openapi.json").scope(Some(READ)))
        .await;
    assert_eq!(
        (served.status, served.header("content-type")),
        (200, Some("application/json"))
    );
    let mut expected = contract().document.clone();
    *expected.pointer_mut(PLACE).unwrap() = json!(TOKEN_URL);
    assert_eq!(served.json(), expected);
}

async fn service_without_links_serves_the_contract_unchanged(entry_point: EntryPoint) {
    let app = entry_point.start().await;
    assert_eq!(
        app.ask("GET", "/").await.json()["documentation"],
        Value::Null
    );
    assert_eq!(
        app.ask("GET", "/openapi.json").await.json(),
        contract().document
    );
}

async fn root_and_contract_need_a_token_and_allow_only_get_and_head(entry_point: EntryPoint) {
    let app = entry_point.start().await;
    for path in ["/", "/openapi.json"] {
        let without_token = app.send(RequestBuilder::new("GET", path).scope(None)).await;
        assert_eq!(without_token.status, app.status_without_token(), "{path}");
        let head = app.ask("HEAD", path).await;
        assert_eq!((head.status, head.text.as_str()), (200, ""), "{path}");
        let response = app.ask("POST", path).await;
        response.assert_problem(405, "method_not_allowed");
        assert_eq!(response.header("allow"), Some("GET, HEAD"), "{path}");
    }
}
