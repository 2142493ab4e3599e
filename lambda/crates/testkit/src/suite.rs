//! Behaviours that the contract of every service requires.

use crate::{RequestBuilder, TestApp};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Asserts that the service implements its contract: [`every_operation_is_routed_and_no_other`],
/// [`every_operation_accepts_exactly_its_scopes`] and [`serves_its_contract`].
///
/// # Panics
/// It does not.
pub async fn implements_its_contract(app: TestApp) {
    every_operation_is_routed_and_no_other(&app).await;
    every_operation_accepts_exactly_its_scopes(&app).await;
    serves_its_contract(&app).await;
}

/// Asserts that each path of the contract has exactly the methods that the contract gives it.
///
/// # Panics
/// An operation is not routed, or a path has a method that the contract lacks.
pub async fn every_operation_is_routed_and_no_other(app: &TestApp) {
    let contract = app.contract();
    let mut methods = BTreeMap::<_, BTreeSet<_>>::new();
    for (method, template) in contract.operations() {
        let path = contract.path(&template);
        methods
            .entry(path.clone())
            .or_default()
            .insert(method.clone());
        let response = app.ask(&method, &path).await;
        assert_ne!(response.status, 405, "{method} {path}");
        // HEAD has the status of GET, which is requested as well.
        if method != "HEAD" && response.status == 404 {
            assert_ne!(
                response.json()["code"],
                "route_not_found",
                "{method} {path}"
            );
        }
    }
    for (path, methods) in methods {
        let response = app.ask("TRACE", &path).await;
        let allowed = response
            .header("allow")
            .unwrap_or_else(|| panic!("{path}: {response:?}"));
        let allowed: BTreeSet<_> = allowed.split(", ").map(str::to_owned).collect();
        assert_eq!(allowed, methods, "{path}");
    }
}

/// Asserts that an operation accepts each scope that the contract gives it, and no other.
///
/// # Panics
/// It accepts another scope or rejects one of its own.
pub async fn every_operation_accepts_exactly_its_scopes(app: &TestApp) {
    let contract = app.contract();
    let scopes = contract.scopes();
    for (method, template) in contract.operations() {
        let path = contract.path(&template);
        let operation = contract.operation(&method, &path).unwrap();
        let security = operation
            .get("security")
            .unwrap_or(&contract.document["security"]);
        let security = security.as_array().unwrap().iter();
        let declared: Vec<_> = security
            .map(|alternative| alternative["oauth2"][0].as_str().unwrap())
            .collect();
        let send = async |scope: Option<&str>| {
            app.send(RequestBuilder::new(&method, &path).scope(scope))
                .await
                .status
        };
        for scope in &scopes {
            let is_declared = declared.contains(&scope.as_str());
            assert_eq!(
                send(Some(scope)).await != 403,
                is_declared,
                "{method} {path} with {scope}"
            );
            // Neither a longer name nor a shorter one is the scope.
            for other in [format!("{scope}s"), scope[..scope.len() - 1].to_owned()] {
                assert_eq!(
                    send(Some(&other)).await,
                    403,
                    "{method} {path} with {other}"
                );
            }
        }
        assert_eq!(
            send(Some("")).await,
            403,
            "{method} {path} with an empty scope"
        );
        let status = app.status_without_token();
        assert_eq!(send(None).await, status, "{method} {path} without a token");
    }
}

/// The path of the token URL in an OpenAPI document.
const TOKEN_URL: &str = "/components/securitySchemes/oauth2/flows/clientCredentials/tokenUrl";

/// Asserts that `/` names the contract, and that the service serves it as it is. Its token URL has
/// to be `/oauth2/token`, which `TOKEN_URL` of the environment replaces.
///
/// # Panics
/// It does not.
pub async fn serves_its_contract(app: &TestApp) {
    let document = &app.contract().document;
    let root = app.ask("GET", "/").await.json();
    let info = &document["info"];
    assert_eq!(
        (&root["title"], &root["version"]),
        (&info["title"], &info["version"]),
        "{root}"
    );
    let served: Value = app
        .ask("GET", root["contract"].as_str().unwrap())
        .await
        .json();
    assert_eq!(&served, document);
    let token_url = document.pointer(TOKEN_URL).and_then(Value::as_str);
    assert_eq!(token_url, Some("/oauth2/token"));
}
