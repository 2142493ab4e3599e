use super::EntryPoint;
use serde_json::json;
use testkit::{
    RequestBuilder,
    sample::{rush, titled},
};

behaviours![
    every_invalid_field_is_named,
    body_other_than_one_json_object_is_400,
    replacement_character_in_a_body_is_400,
    control_characters_are_400,
    body_larger_than_64_kib_is_413,
    body_of_another_media_type_is_415,
    every_content_encoding_but_identity_is_415,
    body_that_contradicts_the_path_is_400,
    unknown_and_repeated_parameters_are_400,
    unknown_path_is_404,
    unsupported_method_is_405_with_allow,
    rejection_lists_at_most_101_errors_as_json,
    deleted_table_is_503_without_internal_details,
    cors_allows_only_configured_origins,
    cors_preflight_needs_no_token_and_lists_the_methods,
    rejections_have_cors_headers,
    cors_headers_are_absent_without_configured_origins,
];

async fn every_invalid_field_is_named(entry_point: EntryPoint) {
    let app = entry_point.start().await;
    let body = json!({
        "year": 1800,
        "title": "",
        "extra": 1,
        "info": { "rating": "8.3", "rank": 0, "release_date": "soon", "colour": true },
    });
    let response = app
        .send(RequestBuilder::new("POST", "/movies").json(&body))
        .await;
    let fields = response.assert_problem(400, "invalid_request");
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

async fn body_other_than_one_json_object_is_400(entry_point: EntryPoint) {
    let app = entry_point.start().await;
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
        let response = app
            .send(RequestBuilder::new("POST", "/movies").body("application/json", text))
            .await;
        assert_eq!(response.assert_problem(400, "invalid_request"), ["body"]);
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

/// API Gateway replaces bytes that are not UTF-8 by U+FFFD.
async fn replacement_character_in_a_body_is_400(entry_point: EntryPoint) {
    let app = entry_point.start().await;
    let create = |plot: &str| {
        let body = format!(r#"{{"year":2013,"title":"a","info":{{"plot":"{plot}"}}}}"#);
        RequestBuilder::new("POST", "/movies").body("application/json", &body)
    };
    let fields = app
        .send(create("\u{fffd}"))
        .await
        .assert_problem(400, "invalid_request");
    assert_eq!(fields, ["body"]);
    let escaped = app.send(create("\\ufffd")).await;
    assert_eq!(escaped.json()["info"]["plot"], "\u{fffd}");
}

async fn control_characters_are_400(entry_point: EntryPoint) {
    let app = entry_point.start().await;
    let info = |plot: &str| {
        let info = json!({ "plot": plot, "actors": [plot] });
        json!({ "year": 2013, "title": "a", "info": info })
    };
    let rejected = app
        .send(RequestBuilder::new("POST", "/movies").json(&info("a\u{1}b")))
        .await
        .assert_problem(400, "invalid_request");
    assert_eq!(rejected, ["info.actors", "info.plot"]);
    let rejected = app
        .send(RequestBuilder::new("POST", "/movies").json(&info("one\n\ttwo\r\n")))
        .await
        .assert_problem(400, "invalid_request");
    assert_eq!(rejected, ["info.actors"]);
}

async fn body_larger_than_64_kib_is_413(entry_point: EntryPoint) {
    let app = entry_point.start().await;
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

async fn body_of_another_media_type_is_415(entry_point: EntryPoint) {
    let app = entry_point.start().await;
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

async fn every_content_encoding_but_identity_is_415(entry_point: EntryPoint) {
    let app = entry_point.start().await;
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

async fn body_that_contradicts_the_path_is_400(entry_point: EntryPoint) {
    let app = entry_point.start().await;
    for method in ["PUT", "PATCH"] {
        let response = app
            .send(RequestBuilder::new(method, "/movies/2014/rush").json(&rush()))
            .await;
        assert_eq!(
            response.assert_problem(400, "invalid_request"),
            ["title", "year"],
            "{method}"
        );
    }
}

async fn unknown_and_repeated_parameters_are_400(entry_point: EntryPoint) {
    let app = entry_point.start().await;
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
    let response = app
        .send(RequestBuilder::new("POST", "/movies?dry_run=1").json(&rush()))
        .await;
    assert_eq!(response.assert_problem(400, "invalid_request"), ["dry_run"]);
}

async fn unknown_path_is_404(entry_point: EntryPoint) {
    let app = entry_point.start().await;
    for path in [
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
}

async fn unsupported_method_is_405_with_allow(entry_point: EntryPoint) {
    let app = entry_point.start().await;
    for (method, path, allowed) in [
        ("TRACE", "/movies", "GET, HEAD, POST, PUT, PATCH, DELETE"),
        ("POST", "/movies/2013/Rush", "GET, HEAD, PUT, PATCH, DELETE"),
        ("PUT", "/health", "GET, HEAD"),
        ("OPTIONS", "/movies", "GET, HEAD, POST, PUT, PATCH, DELETE"),
        ("TRACE", "/version", "GET, HEAD"),
        ("BREW", "/version", "GET, HEAD"),
    ] {
        let response = app.ask(method, path).await;
        response.assert_problem(405, "method_not_allowed");
        assert_eq!(response.header("allow"), Some(allowed), "{method} {path}");
    }
}

async fn rejection_lists_at_most_101_errors_as_json(entry_point: EntryPoint) {
    let app = entry_point.start().await;
    let wrong: serde_json::Map<String, serde_json::Value> = (0..2000)
        .map(|n| (format!("<script>\"{n}{}", "x".repeat(10)), json!(1)))
        .collect();
    let response = app
        .send(RequestBuilder::new("POST", "/movies").json(&wrong.into()))
        .await;
    assert_eq!(response.assert_problem(400, "invalid_request").len(), 101);
    assert_eq!(
        (
            response.header("content-type"),
            response.header("x-content-type-options")
        ),
        (Some("application/problem+json"), Some("nosniff"))
    );
}

async fn deleted_table_is_503_without_internal_details(entry_point: EntryPoint) {
    let app = entry_point.start().await;
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
        let response = app.ask(method, path).await;
        response.assert_problem(503, "unavailable");
        assert_eq!(response.header("retry-after"), Some("1"));
        assert!(
            !response.text.contains(app.table()) && !response.text.contains("ResourceNotFound"),
            "{response:?}"
        );
    }
}

const ORIGIN: &str = "https://films.example";

async fn cors_allows_only_configured_origins(entry_point: EntryPoint) {
    let app = entry_point.start_with(&[("CORS_ORIGINS", ORIGIN)]).await;
    let get = |origin: &str| RequestBuilder::new("GET", "/health").header("Origin", origin);
    let allowed = app.send(get(ORIGIN)).await;
    assert_eq!(allowed.header("access-control-allow-origin"), Some(ORIGIN));
    assert_eq!(allowed.header("vary"), Some("Origin"));
    let other = app.send(get("https://evil.example")).await;
    assert_eq!(other.header("access-control-allow-origin"), None);
}

async fn cors_preflight_needs_no_token_and_lists_the_methods(entry_point: EntryPoint) {
    let app = entry_point.start_with(&[("CORS_ORIGINS", ORIGIN)]).await;
    let preflight = RequestBuilder::new("OPTIONS", "/movies/2013/Rush").scope(None);
    let response = app.send(preflight.header("Origin", ORIGIN)).await;
    assert_eq!(response.status, 204);
    assert_eq!(response.header("access-control-allow-origin"), Some(ORIGIN));
    let methods = response.header("access-control-allow-methods");
    assert_eq!(methods, Some("GET, HEAD, PUT, PATCH, DELETE"));
}

async fn rejections_have_cors_headers(entry_point: EntryPoint) {
    let app = entry_point.start_with(&[("CORS_ORIGINS", ORIGIN)]).await;
    let put = || RequestBuilder::new("PUT", "/movies/2013/a");
    for (request, status) in [
        (
            RequestBuilder::new("GET", "/movies").scope(None),
            app.status_without_token(),
        ),
        (
            RequestBuilder::new("GET", "/movies").scope(Some("openid")),
            403,
        ),
        (RequestBuilder::new("GET", "/nothing"), 404),
        (RequestBuilder::new("PUT", "/health"), 405),
        (RequestBuilder::new("GET", "/movies?limit=0"), 400),
        (put().body("text/plain", "{}"), 415),
        (put().json(&json!({})).header("If-Match", "*"), 412),
        (put().body("application/json", &" ".repeat(65_537)), 413),
    ] {
        let response = app.send(request.header("Origin", ORIGIN)).await;
        let allowed = response.header("access-control-allow-origin");
        assert_eq!(
            (response.status, allowed),
            (status, Some(ORIGIN)),
            "{response:?}"
        );
        assert_eq!(response.header("vary"), Some("Origin"), "{response:?}");
    }
}

async fn cors_headers_are_absent_without_configured_origins(entry_point: EntryPoint) {
    let app = entry_point.start().await;
    let request = RequestBuilder::new("GET", "/health").header("Origin", ORIGIN);
    let response = app.send(request).await;
    assert_eq!(response.header("access-control-allow-origin"), None);
    assert_eq!(response.header("vary"), None);
}
