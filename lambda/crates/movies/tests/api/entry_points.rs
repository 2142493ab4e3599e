//! The same behaviour by either entry point of the compiled binary.

use super::{TABLES, contract};
use runtime_api::Launch;
use serde_json::json;
use std::process::Command;
use testkit::{
    RequestBuilder, Tables, TestApp,
    sample::{path_of, rush, titled},
};

/// The binary behind the Runtime API and as an HTTP server, each on tables of its own.
async fn entry_points() -> [TestApp; 2] {
    let binary = env!("CARGO_BIN_EXE_movies");
    let (ours, theirs) = (Tables::create(TABLES).await, Tables::create(TABLES).await);
    let names = |tables: &Tables| {
        let [movies, creations] = ["movies", "creations"].map(|table| tables.name(table).to_owned());
        [("TABLE_NAME", movies), ("CREATIONS_TABLE_NAME", creations)]
    };
    let aws = ["AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];
    let aws = aws.map(|name| (name, std::env::var(name).unwrap()));
    let variables = names(&ours).into_iter().chain(aws.clone());
    let launch = variables.fold(Launch::new(binary), |launch, (name, value)| launch.variable(name, value));
    let mut command = Command::new(binary);
    command.args(["--listen", "127.0.0.1:0"]).env_clear().envs(names(&theirs)).envs(aws);
    [TestApp::lambda(contract(), launch).await, TestApp::server(contract(), command)]
}

#[tokio::test]
async fn both_entry_points_create_read_list_patch_and_delete() {
    for app in entry_points().await {
        let created = app.create(&rush()).await;
        assert_eq!((created.json(), created.header("location")), (rush(), Some("movies/2013/Rush")), "{app:?}");
        let found = app.ask("GET", "/movies/2013/Rush").await;
        assert_eq!((found.status, found.json(), found.etag()), (200, rush(), created.etag()), "{app:?}");
        let current = RequestBuilder::new("GET", "/movies/2013/Rush").header("If-None-Match", &found.etag());
        assert_eq!(app.send(current).await.status, 304, "{app:?}");
        app.ask("GET", "/movies/2013/none").await.assert_problem(404, "movie_not_found");

        app.create(&titled("50/50 & more")).await;
        assert_eq!(app.ask("GET", &path_of(2013, "50/50 & more")).await.status, 200, "{app:?}");
        let list = app.ask("GET", "/movies?year=2013&title_prefix=R%75").await;
        assert_eq!(list.json()["movies"], json!([rush()]), "{app:?}");

        let patch = RequestBuilder::new("PATCH", "/movies/2013/Rush").json(&json!({ "info": { "rank": 1 } }));
        let patched = app.send(patch.header("If-Match", &found.etag())).await;
        assert_eq!((patched.status, &patched.json()["info"]["rank"]), (200, &json!(1)), "{app:?}");
        let stale = RequestBuilder::new("PATCH", "/movies/2013/Rush").json(&json!({ "info": { "rank": 3 } }));
        app.send(stale.header("If-Match", &found.etag())).await.assert_problem(412, "precondition_failed");
        let delete = RequestBuilder::new("DELETE", "/movies/2013/Rush").header("If-Match", &patched.etag());
        assert_eq!(app.send(delete).await.status, 204, "{app:?}");
        app.ask("GET", "/movies/2013/Rush").await.assert_problem(404, "movie_not_found");
    }
}

#[tokio::test]
async fn both_entry_points_reject_alike() {
    for app in entry_points().await {
        app.ask("GET", "/nothing").await.assert_problem(404, "route_not_found");
        let response = app.ask("DELETE", "/movies/").await;
        response.assert_problem(404, "route_not_found");
        app.ask("PUT", "/health").await.assert_problem(405, "method_not_allowed");
        let fields = app.ask("GET", "/movies?genre=x&limit=0&year=2013&year=2013").await;
        assert_eq!(fields.assert_problem(400, "invalid_request"), ["genre", "year"], "{app:?}");
        let large = RequestBuilder::new("PUT", "/movies/2013/a").body("application/json", &" ".repeat(70_000));
        app.send(large).await.assert_problem(413, "payload_too_large");
        let text = RequestBuilder::new("PUT", "/movies/2013/a").body("text/plain", "{}");
        app.send(text).await.assert_problem(415, "unsupported_media_type");
    }
}
