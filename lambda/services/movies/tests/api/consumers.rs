//! A client is served until the day on which its consumer expires, and rejected by name from then on.

use super::{App, READ};
use movies::http::{Consumer, Consumers};
use std::time::{Duration, SystemTime};
use testkit::RequestBuilder;

/// Two clients of a consumer whose access ended a second ago, and one whose access ends in an hour.
async fn app() -> App {
    let now = SystemTime::now();
    let consumer = |name: &str, expires| Consumer {
        name: name.to_owned(),
        expires,
    };
    let consumers: Consumers = [
        (
            "old".to_owned(),
            consumer("shop", now - Duration::from_secs(1)),
        ),
        (
            "next".to_owned(),
            consumer("shop", now - Duration::from_secs(1)),
        ),
        (
            "valid".to_owned(),
            consumer("library", now + Duration::from_secs(3600)),
        ),
    ]
    .into_iter()
    .collect();
    App::with_consumers(&["https://a.example"], consumers).await
}

#[tokio::test]
async fn an_expired_consumer_is_rejected_with_every_client_on_every_route() {
    let app = app().await;
    for client in ["old", "next"] {
        for (method, path) in [
            ("GET", "/movies"),
            ("HEAD", "/movies/2013/Rush"),
            ("DELETE", "/movies/2013/Rush"),
            ("GET", "/health"),
        ] {
            let response = app
                .send(RequestBuilder::new(method, path).client(client))
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

#[tokio::test]
async fn what_expires_later_and_what_the_environment_does_not_know_is_served() {
    let app = app().await;
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

/// A page of an expired client has to be able to read why.
#[tokio::test]
async fn the_rejection_of_an_expired_consumer_can_be_read_by_a_page() {
    let response = app()
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
