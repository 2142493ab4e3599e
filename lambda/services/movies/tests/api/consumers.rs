//! Consumers: clients are served until the day on which their consumer expires.

use super::{App, EntryPoint, READ, contract};
use testkit::RequestBuilder;

behaviours![
    expired_consumer_is_rejected_by_every_operation,
    valid_and_unknown_consumers_are_served,
    rejection_of_an_expired_consumer_has_cors_headers,
];

/// Starts a service with two clients of an expired consumer and one of a valid consumer.
async fn app(entry_point: EntryPoint) -> App {
    let consumers = "old=shop:2020-01-01,next=shop:2020-01-01,valid=library:2999-12-31";
    let variables = [
        ("CONSUMERS", consumers),
        ("CORS_ORIGINS", "https://a.example"),
    ];
    entry_point.start_with(&variables).await
}

async fn expired_consumer_is_rejected_by_every_operation(entry_point: EntryPoint) {
    let app = app(entry_point).await;
    for client in ["old", "next"] {
        for (method, template) in contract().operations() {
            let path = &contract().path(&template);
            let response = app
                .send(RequestBuilder::new(&method, path).client(client))
                .await;
            assert_eq!(response.status, 403, "{method} {path}: {response:?}");
            if method != "HEAD" {
                assert_eq!(
                    response.json()["code"],
                    "consumer_expired",
                    "{method} {path}: {response:?}"
                );
            }
        }
    }
}

async fn valid_and_unknown_consumers_are_served(entry_point: EntryPoint) {
    let app = app(entry_point).await;
    for client in ["valid", "unknown"] {
        let response = app
            .send(
                RequestBuilder::new("GET", "/movies")
                    .scope(Some(READ))
                    .client(client),
            )
            .await;
        assert_eq!(response.status, 200, "{client}: {response:?}");
    }
}

/// A web page of an expired client must be able to read the error.
async fn rejection_of_an_expired_consumer_has_cors_headers(entry_point: EntryPoint) {
    let response = app(entry_point)
        .await
        .send(
            RequestBuilder::new("GET", "/movies")
                .client("old")
                .header("Origin", "https://a.example"),
        )
        .await;
    assert_eq!(
        (
            response.status,
            response.header("access-control-allow-origin")
        ),
        (403, Some("https://a.example"))
    );
}
