//! The behaviour of the API behind both entry points. Every response is held to the contract.

use serde_json::json;
use testkit::{EntryPoint, TestApp, suite::implements_its_contract};

testkit::behaviours!(start; implements_its_contract, greeting_names_the_service);

async fn start(entry_point: EntryPoint) -> Option<TestApp> {
    Some(entry_point.start(testkit::service!(), &[]).await)
}

async fn greeting_names_the_service(app: TestApp) {
    let response = app.ask("GET", "/greeting").await;
    assert_eq!(
        response.json(),
        json!({ "greeting": "Hello from template" })
    );
}
