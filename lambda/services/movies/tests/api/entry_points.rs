//! The same behaviour by either entry point of the compiled binary.

use super::{TABLES, contract, logs::fields};
use lambda_emulator::Launch;
use serde_json::json;
use std::{process::Command, time::Duration};
use testkit::{
    RequestBuilder, Tables, TestApp,
    sample::{path_of, rush, titled},
};

const ORIGIN: &str = "https://app.example.org";

/// The binary behind the Runtime API and as an HTTP server, each on tables of its own.
async fn entry_points() -> [TestApp; 2] {
    let binary = env!("CARGO_BIN_EXE_movies");
    let (ours, theirs) = (Tables::create(TABLES).await, Tables::create(TABLES).await);
    let names = |tables: &Tables| {
        let [movies, creations] =
            ["movies", "creations"].map(|table| tables.name(table).to_owned());
        [("TABLE_NAME", movies), ("CREATIONS_TABLE_NAME", creations)]
    };
    let aws = [
        "AWS_ENDPOINT_URL",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
    ];
    let aws = aws.map(|name| (name, std::env::var(name).unwrap()));
    let cors = ("CORS_ORIGINS", ORIGIN.to_owned());
    let variables = names(&ours)
        .into_iter()
        .chain(aws.clone())
        .chain([cors.clone()]);
    let launch = variables.fold(Launch::new(binary), |launch, (name, value)| {
        launch.variable(name, value)
    });
    let mut command = Command::new(binary);
    command
        .args(["--listen", "127.0.0.1:0"])
        .env_clear()
        .envs(names(&theirs))
        .envs(aws)
        .envs([cors]);
    [
        TestApp::lambda(contract(), launch).await,
        TestApp::server(contract(), command),
    ]
}

#[tokio::test]
async fn both_entry_points_create_read_list_patch_and_delete() {
    for app in entry_points().await {
        let created = app.create(&rush()).await;
        assert_eq!(
            (created.json(), created.header("location")),
            (rush(), Some("movies/2013/Rush")),
            "{app:?}"
        );
        let found = app.ask("GET", "/movies/2013/Rush").await;
        assert_eq!(
            (found.status, found.json(), found.etag()),
            (200, rush(), created.etag()),
            "{app:?}"
        );
        let current =
            RequestBuilder::new("GET", "/movies/2013/Rush").header("If-None-Match", &found.etag());
        assert_eq!(app.send(current).await.status, 304, "{app:?}");
        app.ask("GET", "/movies/2013/none")
            .await
            .assert_problem(404, "movie_not_found");

        app.create(&titled("50/50 & more")).await;
        assert_eq!(
            app.ask("GET", &path_of(2013, "50/50 & more")).await.status,
            200,
            "{app:?}"
        );
        let list = app.ask("GET", "/movies?year=2013&title_prefix=R%75").await;
        assert_eq!(list.json()["movies"], json!([rush()]), "{app:?}");

        let patch = RequestBuilder::new("PATCH", "/movies/2013/Rush")
            .json(&json!({ "info": { "rank": 1 } }));
        let patched = app.send(patch.header("If-Match", &found.etag())).await;
        assert_eq!(
            (patched.status, &patched.json()["info"]["rank"]),
            (200, &json!(1)),
            "{app:?}"
        );
        let stale = RequestBuilder::new("PATCH", "/movies/2013/Rush")
            .json(&json!({ "info": { "rank": 3 } }));
        app.send(stale.header("If-Match", &found.etag()))
            .await
            .assert_problem(412, "precondition_failed");
        let delete =
            RequestBuilder::new("DELETE", "/movies/2013/Rush").header("If-Match", &patched.etag());
        assert_eq!(app.send(delete).await.status, 204, "{app:?}");
        app.ask("GET", "/movies/2013/Rush")
            .await
            .assert_problem(404, "movie_not_found");
    }
}

#[tokio::test]
async fn both_entry_points_evaluate_preconditions_and_take_the_query_form() {
    for app in entry_points().await {
        let of = |method: &str| {
            let request = RequestBuilder::new(method, "/movies").parameter("year", "2013");
            request.parameter("title", "../a//b + ?%2F")
        };
        let put = of("PUT")
            .json(&json!({ "info": { "rank": 1 } }))
            .header("If-None-Match", "*");
        let created = app.send(put.clone()).await;
        assert_eq!(created.status, 201, "{app:?}: {created:?}");
        app.send(put)
            .await
            .assert_problem(412, "precondition_failed");
        let read = app.send(of("GET")).await;
        assert_eq!(read.etag(), created.etag(), "{app:?}");
        assert_eq!(
            read.json()["movies"][0]["title"],
            "../a//b + ?%2F",
            "{app:?}"
        );
        // Lines of one header are one list, empty members are ignored, and a tag may hold any byte.
        let lines = |request: RequestBuilder| {
            request
                .header("If-Match", ", \"é\",")
                .header("If-Match", &created.etag())
        };
        let patch = of("PATCH").json(&json!({ "info": { "plot": "x" } }));
        let patched = app.send(lines(patch)).await;
        assert_eq!(
            patched.json()["info"],
            json!({ "rank": 1, "plot": "x" }),
            "{app:?}"
        );
        app.send(lines(of("DELETE")))
            .await
            .assert_problem(412, "precondition_failed");
        let wildcard = of("DELETE")
            .header("If-Match", "\"0\"")
            .header("If-Match", "*");
        app.send(wildcard)
            .await
            .assert_problem(400, "invalid_request");
        let none = of("DELETE").header("If-None-Match", "*");
        app.send(none)
            .await
            .assert_problem(412, "precondition_failed");
        assert_eq!(
            app.send(of("DELETE").header("If-Match", &patched.etag()))
                .await
                .status,
            204
        );
    }
}

#[tokio::test]
async fn both_entry_points_reject_alike() {
    for app in entry_points().await {
        app.ask("GET", "/nothing")
            .await
            .assert_problem(404, "route_not_found");
        let response = app.ask("DELETE", "/movies/").await;
        response.assert_problem(404, "route_not_found");
        app.ask("PUT", "/health")
            .await
            .assert_problem(405, "method_not_allowed");
        let fields = app
            .ask("GET", "/movies?genre=x&limit=0&year=2013&year=2013")
            .await;
        assert_eq!(
            fields.assert_problem(400, "invalid_request"),
            ["genre", "limit", "year"],
            "{app:?}"
        );
        let large = RequestBuilder::new("PUT", "/movies/2013/a")
            .body("application/json", &" ".repeat(70_000));
        app.send(large)
            .await
            .assert_problem(413, "payload_too_large");
        let text = RequestBuilder::new("PUT", "/movies/2013/a").body("text/plain", "{}");
        app.send(text)
            .await
            .assert_problem(415, "unsupported_media_type");
    }
}

#[tokio::test]
async fn both_entry_points_let_pages_of_a_named_origin_read_rejections() {
    for app in entry_points().await {
        let preflight = app
            .send(
                RequestBuilder::new("OPTIONS", "/movies")
                    .scope(None)
                    .header("Origin", ORIGIN),
            )
            .await;
        assert_eq!(
            (
                preflight.status,
                preflight.header("access-control-allow-origin")
            ),
            (204, Some(ORIGIN)),
            "{app:?}"
        );
        for (request, status) in [
            (RequestBuilder::new("GET", "/nothing"), 404),
            (RequestBuilder::new("PUT", "/health"), 405),
            (RequestBuilder::new("GET", "/movies?limit=0"), 400),
            (
                RequestBuilder::new("PUT", "/movies/2013/a").body("text/plain", "{}"),
                415,
            ),
        ] {
            let response = app.send(request.header("Origin", ORIGIN)).await;
            let allowed = response.header("access-control-allow-origin");
            assert_eq!(
                (response.status, allowed),
                (status, Some(ORIGIN)),
                "{app:?}"
            );
        }
    }
}

#[tokio::test]
async fn both_entry_points_leave_one_line_for_every_request() {
    for app in entry_points().await {
        let mut expected = Vec::new();
        for (method, target, route, status) in [
            ("GET", "/health", "/health", 200),
            ("GET", "/nothing", "none", 404),
            ("PUT", "/health", "/health", 405),
            ("HEAD", "/movies/2013/none", "/movies/{year}/{title}", 404),
            ("GET", "/movies?limit=0", "/movies", 400),
            ("INVENTED", "/movies", "/movies", 405),
        ] {
            assert_eq!(app.ask(method, target).await.status, status, "{app:?}");
            let method = if method == "INVENTED" {
                "other"
            } else {
                method
            };
            expected.push(json!([method, route, status]));
        }
        // The output of a process comes by a pipe.
        tokio::time::sleep(Duration::from_millis(200)).await;
        let log = app.log().await;
        let lines = log
            .iter()
            .map(|line| fields(line))
            .filter(|line| line["message"] == "request");
        let lines: Vec<_> = lines
            .map(|line| json!([line["method"], line["route"], line["status"]]))
            .collect();
        assert_eq!(lines, expected, "{app:?}");
    }
}
