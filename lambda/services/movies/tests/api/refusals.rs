use super::App;
use serde_json::json;
use testkit::{
    RequestBuilder,
    sample::{rush, titled},
};

#[tokio::test]
async fn every_offending_field_is_named_at_once() {
    let app = App::new().await;
    let body = json!({ "year": 1800, "title": "", "extra": 1, "info": { "rating": "8.3", "rank": 0, "release_date": "soon", "colour": true } });
    let answer = app
        .send(RequestBuilder::new("POST", "/movies").json(&body))
        .await;
    let fields = answer.assert_problem(400, "invalid_request");
    assert_eq!(
        fields,
        [
            "extra",
            "info.colour",
            "info.rank",
            "info.rating",
            "info.release_date",
            "title",
            "year"
        ]
    );
    assert_eq!(
        app.ask("GET", "/movies/x/%00")
            .await
            .assert_problem(400, "invalid_request"),
        ["title", "year"]
    );
}

#[tokio::test]
async fn a_body_that_is_not_one_json_object_is_refused() {
    let app = App::new().await;
    for text in [
        "",
        "null",
        "[]",
        "{",
        "{} {}",
        "NaN",
        "\u{feff}{}",
        r#"{"year":NaN}"#,
        &"[".repeat(60_000),
    ] {
        let answer = app
            .send(RequestBuilder::new("POST", "/movies").body("application/json", text))
            .await;
        assert_eq!(answer.assert_problem(400, "invalid_request"), ["body"]);
    }
    let twice = r#"{"year":2013,"title":"a","title":"b"}"#;
    assert_eq!(
        app.send(RequestBuilder::new("POST", "/movies").body("application/json", twice))
            .await
            .assert_problem(400, "invalid_request"),
        ["title"]
    );
    let surrogate = r#"{"year":2013,"title":"\ud800"}"#;
    assert_eq!(
        app.send(RequestBuilder::new("POST", "/movies").body("application/json", surrogate))
            .await
            .assert_problem(400, "invalid_request"),
        ["title"]
    );
}

#[tokio::test]
async fn a_body_that_is_not_utf_8_is_refused_and_not_mended() {
    let app = App::new().await;
    let create = RequestBuilder::new("POST", "/movies");
    // API Gateway puts U+FFFD for what is not UTF-8; where it passes a body on as base64, the bytes themselves arrive.
    let mended = r#"{"year":2013,"title":"a","info":{"plot":"�"}}"#;
    assert_eq!(
        app.send(create.clone().body("application/json", mended))
            .await
            .assert_problem(400, "invalid_request"),
        ["body"]
    );
    let mut event = create.clone().json(&titled("a")).event();
    event["isBase64Encoded"] = json!(true);
    event["body"] = json!("eyJ5ZWFyIjoyMDEzLCJ0aXRsZSI6Iv8ifQ=="); // {"year":2013,"title":"<FF>"}
    assert_eq!(
        app.invoke(&event.to_string())
            .await
            .assert_problem(400, "invalid_request"),
        ["body"]
    );
    let meant = r#"{"year":2013,"title":"a","info":{"plot":"\ufffd"}}"#;
    assert_eq!(
        app.send(create.body("application/json", meant))
            .await
            .json()["info"]["plot"],
        "\u{fffd}"
    );
}

#[tokio::test]
async fn control_characters_are_refused() {
    let app = App::new().await;
    let info = |plot: &str| json!({ "year": 2013, "title": "a", "info": { "plot": plot, "actors": [plot] } });
    let refused = app
        .send(RequestBuilder::new("POST", "/movies").json(&info("a\u{1}b")))
        .await
        .assert_problem(400, "invalid_request");
    assert_eq!(refused, ["info.actors", "info.plot"]);
    let refused = app
        .send(RequestBuilder::new("POST", "/movies").json(&info("one\n\ttwo\r\n")))
        .await
        .assert_problem(400, "invalid_request");
    assert_eq!(refused, ["info.actors"]);
}

#[tokio::test]
async fn a_body_may_have_64_kib_and_no_more() {
    let app = App::new().await;
    let padded = |length: usize| {
        let text = titled("a").to_string();
        text.clone() + &" ".repeat(length - text.len())
    };
    assert_eq!(
        app.send(RequestBuilder::new("POST", "/movies").body("application/json", &padded(65_536)))
            .await
            .status,
        201
    );
    app.send(RequestBuilder::new("POST", "/movies").body("application/json", &padded(65_537)))
        .await
        .assert_problem(413, "payload_too_large");
}

#[tokio::test]
async fn a_body_must_say_that_it_is_json() {
    let app = App::new().await;
    for content_type in [
        "text/plain",
        "application/json; charset=latin1",
        "application/merge-patch+json",
        "multipart/form-data",
    ] {
        let ask =
            RequestBuilder::new("POST", "/movies").body(content_type, &titled("a").to_string());
        app.send(ask)
            .await
            .assert_problem(415, "unsupported_media_type");
    }
    let silent = RequestBuilder::new("PUT", "/movies/2013/a")
        .json(&json!({}))
        .without_headers();
    app.send(silent)
        .await
        .assert_problem(415, "unsupported_media_type");
    let packed = RequestBuilder::new("PUT", "/movies/2013/a")
        .json(&json!({}))
        .header("Content-Encoding", "gzip");
    app.send(packed)
        .await
        .assert_problem(415, "unsupported_media_type");
    assert_eq!(
        app.send(
            RequestBuilder::new("PUT", "/movies/2013/a")
                .body("application/json; charset=utf-8", "{}")
        )
        .await
        .status,
        201
    );
}

#[tokio::test]
async fn every_line_and_member_of_content_encoding_counts() {
    let app = App::new().await;
    let put = |lines: &[&str]| {
        let put = RequestBuilder::new("PUT", "/movies/2013/a").json(&json!({}));
        lines
            .iter()
            .fold(put, |put, line| put.header("Content-Encoding", line))
    };
    for lines in [
        &["identity", "gzip"][..],
        &["identity, gzip"],
        &["gzip", "identity"],
        &["x"],
    ] {
        app.send(put(lines))
            .await
            .assert_problem(415, "unsupported_media_type");
    }
    for lines in [&[][..], &[""], &["identity"], &["Identity, identity", ","]] {
        assert!(
            matches!(app.send(put(lines)).await.status, 200 | 201),
            "{lines:?}"
        );
    }
}

#[tokio::test]
async fn a_body_that_contradicts_the_path_is_refused() {
    let app = App::new().await;
    for method in ["PUT", "PATCH"] {
        let answer = app
            .send(RequestBuilder::new(method, "/movies/2014/rush").json(&rush()))
            .await;
        assert_eq!(
            answer.assert_problem(400, "invalid_request"),
            ["title", "year"],
            "{method}"
        );
    }
}

#[tokio::test]
async fn unknown_and_repeated_parameters_are_refused() {
    let app = App::new().await;
    for (path, fields) in [
        ("/movies?genre=Drama&limit=0", &["genre", "limit"][..]),
        ("/movies?year=2013&year=2012", &["year"]),
        (
            "/movies?year=&limit=1000&sort=rank",
            &["limit", "sort", "year"],
        ),
        ("/movies?title=Rush", &["title"]),
        ("/movies/2013/Rush?x=1", &["x"]),
        ("/health?deep=1", &["deep"]),
    ] {
        assert_eq!(
            app.ask("GET", path)
                .await
                .assert_problem(400, "invalid_request"),
            fields,
            "{path}"
        );
    }
    let answer = app
        .send(RequestBuilder::new("POST", "/movies?dry_run=1").json(&rush()))
        .await;
    assert_eq!(answer.assert_problem(400, "invalid_request"), ["dry_run"]);
}

#[tokio::test]
async fn what_is_not_there_is_a_problem_and_not_a_fault() {
    let app = App::new().await;
    for path in [
        "",
        "/movie",
        "/movies/2013",
        "/Movies",
        "/health/",
        "/movies2013",
        "//movies",
        "/ping",
    ] {
        app.ask("GET", path)
            .await
            .assert_problem(404, "route_not_found");
    }
    for (method, path, allowed) in [
        ("TRACE", "/movies", "GET, HEAD, POST, PUT, PATCH, DELETE"),
        ("POST", "/movies/2013/Rush", "GET, HEAD, PUT, PATCH, DELETE"),
        ("PUT", "/health", "GET, HEAD"),
        ("OPTIONS", "/movies", "GET, HEAD, POST, PUT, PATCH, DELETE"),
        ("TRACE", "/version", "GET, HEAD"),
        ("BREW", "/version", "GET, HEAD"),
    ] {
        let answer = app.ask(method, path).await;
        answer.assert_problem(405, "method_not_allowed");
        assert_eq!(answer.header("allow"), Some(allowed), "{method} {path}");
    }
}

#[tokio::test]
async fn a_refusal_echoes_little_and_only_as_json() {
    let app = App::new().await;
    let wrong: serde_json::Map<String, serde_json::Value> = (0..2000)
        .map(|n| (format!("<script>\"{n}{}", "x".repeat(10)), json!(1)))
        .collect();
    let answer = app
        .send(RequestBuilder::new("POST", "/movies").json(&wrong.into()))
        .await;
    assert_eq!(answer.assert_problem(400, "invalid_request").len(), 101);
    assert_eq!(
        (
            answer.header("content-type"),
            answer.header("x-content-type-options")
        ),
        (Some("application/problem+json"), Some("nosniff"))
    );
}

#[tokio::test]
async fn a_table_that_is_gone_is_a_503_without_a_word_of_the_inside() {
    let app = App::new().await;
    app.tables
        .client
        .delete_table()
        .table_name(app.table())
        .send()
        .await
        .unwrap();
    for (method, path) in [
        ("GET", "/movies/2013/Rush"),
        ("GET", "/movies"),
        ("DELETE", "/movies/2013/Rush"),
    ] {
        let answer = app.ask(method, path).await;
        answer.assert_problem(503, "unavailable");
        assert_eq!(answer.header("retry-after"), Some("1"));
        assert!(
            !answer.text.contains(app.table()) && !answer.text.contains("ResourceNotFound"),
            "{answer:?}"
        );
    }
}

#[tokio::test]
async fn only_named_origins_are_let_in() {
    let open = App::with_origins(&["https://films.example"]).await;
    let ask = |origin: &str| RequestBuilder::new("GET", "/health").header("Origin", origin);
    let allowed = open.send(ask("https://films.example")).await;
    assert_eq!(
        (
            allowed.header("access-control-allow-origin"),
            allowed.header("vary")
        ),
        (Some("https://films.example"), Some("Origin"))
    );
    assert_eq!(
        open.send(ask("https://evil.example"))
            .await
            .header("access-control-allow-origin"),
        None
    );
    let preflight = open
        .send(
            RequestBuilder::new("OPTIONS", "/movies/2013/Rush")
                .scope(None)
                .header("Origin", "https://films.example"),
        )
        .await;
    assert_eq!(
        (
            preflight.status,
            preflight.header("access-control-allow-methods")
        ),
        (204, Some("GET, HEAD, PUT, PATCH, DELETE"))
    );

    let closed = App::new().await;
    let silent = closed.send(ask("https://films.example")).await;
    assert_eq!(
        (
            silent.header("access-control-allow-origin"),
            silent.header("vary")
        ),
        (None, None)
    );
}
