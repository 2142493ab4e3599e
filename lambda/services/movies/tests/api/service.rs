//! `GET /` and `GET /openapi.json`.

use super::{App, READ, contract};
use movies::http::Links;
use serde_json::{Value, json};
use testkit::RequestBuilder;

const TOKEN_URL: &str = "https://movies.auth.eu-west-1.amazoncognito.com/oauth2/token";
const DOCUMENTATION_URL: &str = "https://docs.example.org/movies";

async fn linked() -> App {
    App::with_links(Links {
        token_url: Some(TOKEN_URL.into()),
        documentation_url: Some(DOCUMENTATION_URL.into()),
    })
    .await
}

/// Where the token URL is in an OpenAPI document.
const PLACE: &str = "/components/securitySchemes/oauth2/flows/clientCredentials/tokenUrl";

#[tokio::test]
async fn the_root_names_the_service_and_links_to_contract_and_documentation() {
    let app = linked().await;
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

#[tokio::test]
async fn the_served_contract_is_the_file_with_the_token_url_of_the_environment() {
    let app = linked().await;
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

#[tokio::test]
async fn without_links_the_root_has_no_documentation_and_the_token_url_is_the_files() {
    let app = App::new().await;
    assert_eq!(
        app.ask("GET", "/").await.json()["documentation"],
        Value::Null
    );
    assert_eq!(
        app.ask("GET", "/openapi.json").await.json(),
        contract().document
    );
}

#[tokio::test]
async fn the_root_and_the_contract_need_a_token_and_take_only_get_and_head() {
    let app = App::new().await;
    for path in ["/", "/openapi.json"] {
        app.send(RequestBuilder::new("GET", path).scope(None))
            .await
            .assert_problem(403, "forbidden");
        let head = app.ask("HEAD", path).await;
        assert_eq!((head.status, head.text.as_str()), (200, ""), "{path}");
        let response = app.ask("POST", path).await;
        response.assert_problem(405, "method_not_allowed");
        assert_eq!(response.header("allow"), Some("GET, HEAD"), "{path}");
    }
}
