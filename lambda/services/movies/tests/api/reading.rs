use super::{EntryPoint, READ};
use serde_json::json;
use testkit::{
    RequestBuilder,
    sample::{path_of, rush, titled},
};

behaviours![
    created_movie_is_returned_with_its_etag,
    unknown_movie_is_404,
    titles_with_special_characters_round_trip_by_path_and_query,
    slashes_and_pluses_in_a_path_need_no_encoding,
    title_in_a_path_is_decoded_once,
    unchanged_movie_is_304,
    head_returns_get_without_the_body,
    numbers_keep_their_exact_value,
    malformed_items_do_not_end_a_list,
    health_and_version_return_status_and_build,
];

async fn created_movie_is_returned_with_its_etag(entry_point: EntryPoint) {
    let app = entry_point.start().await;
    let created = app.create(&rush()).await;
    let found = app
        .send(RequestBuilder::new("GET", "/movies/2013/Rush").scope(Some(READ)))
        .await;
    assert_eq!((found.status, found.json()), (200, rush()));
    assert_eq!(found.etag(), created.etag());
    assert_eq!(found.header("cache-control"), Some("private, no-cache"));
}

async fn unknown_movie_is_404(entry_point: EntryPoint) {
    let app = entry_point.start().await;
    app.create(&rush()).await;
    for path in [
        "/movies/2014/Rush",
        "/movies/2013/rush",
        "/movies/2013/Rush%20",
    ] {
        app.ask("GET", path)
            .await
            .assert_problem(404, "movie_not_found");
    }
}

async fn titles_with_special_characters_round_trip_by_path_and_query(entry_point: EntryPoint) {
    let app = entry_point.start().await;
    let titles = [
        "50/50",
        "Face/Off",
        "V/H/S",
        "8-1/2",
        "Romeo + Juliet",
        "+1",
        "a&b=c",
        "#1",
        "100%",
        "%25",
        "%2F",
        "Who's?",
        "[REC]",
        "\"quoted\"",
        "a\\b",
        "Amélie",
        "e\u{301}",
        "千と千尋の神隠し",
        "👨‍👩‍👧",
        "\u{202e}rtl",
        " leading",
        "trailing ",
        "a  b",
        "$9.99",
        "(500) Days",
        "1917",
        "M",
        "~tilde_-.",
        "a//b",
        "/edge/",
        "..",
        "../..",
        "<script>alert(1)</script>",
        "{{7*7}}",
        "'; DROP TABLE movies;--",
    ];
    for title in titles {
        app.create(&titled(title)).await;
    }
    for title in titles {
        let movie = json!({ "year": 2013, "title": title, "info": {} });
        assert_eq!(app.ask("GET", &path_of(2013, title)).await.json(), movie);
        let encoded =
            percent_encoding::utf8_percent_encode(title, percent_encoding::NON_ALPHANUMERIC);
        let list = app
            .ask("GET", &format!("/movies?year=2013&title={encoded}"))
            .await
            .json();
        assert_eq!(list, json!({ "movies": [movie], "next": null }));
    }
}

async fn slashes_and_pluses_in_a_path_need_no_encoding(entry_point: EntryPoint) {
    let app = entry_point.start().await;
    for title in ["50/50", "Romeo + Juliet", "a//b"] {
        app.create(&titled(title)).await;
    }
    for (path, title) in [
        ("/movies/2013/50/50", "50/50"),
        ("/movies/2013/Romeo%20+%20Juliet", "Romeo + Juliet"),
        ("/movies/2013/a//b", "a//b"),
    ] {
        assert_eq!(app.ask("GET", path).await.json()["title"], title);
    }
}

async fn title_in_a_path_is_decoded_once(entry_point: EntryPoint) {
    let app = entry_point.start().await;
    app.create(&titled("100%25")).await;
    assert_eq!(
        app.ask("GET", "/movies/2013/100%2525").await.json()["title"],
        "100%25"
    );
    app.ask("GET", "/movies/2013/100%25")
        .await
        .assert_problem(404, "movie_not_found");
}

async fn unchanged_movie_is_304(entry_point: EntryPoint) {
    let app = entry_point.start().await;
    let etag = app.create(&rush()).await.etag();
    let fresh = app
        .send(RequestBuilder::new("GET", "/movies/2013/Rush").header("If-None-Match", &etag))
        .await;
    assert_eq!(
        (fresh.status, fresh.text.as_str(), fresh.etag()),
        (304, "", etag.clone())
    );
    let stale = app
        .send(RequestBuilder::new("GET", "/movies/2013/Rush").header("If-None-Match", "\"0\""))
        .await;
    assert_eq!(stale.status, 200);
    let head = app
        .send(
            RequestBuilder::new("HEAD", "/movies/2013/Rush")
                .header("If-None-Match", &format!("W/{etag}")),
        )
        .await;
    assert_eq!(head.status, 304);
}

async fn head_returns_get_without_the_body(entry_point: EntryPoint) {
    let app = entry_point.start().await;
    let etag = app.create(&rush()).await.etag();
    let head = app.ask("HEAD", "/movies/2013/Rush").await;
    assert_eq!(
        (head.status, head.text.as_str(), head.etag()),
        (200, "", etag)
    );
    for (path, status) in [
        ("/movies", 200),
        ("/health", 200),
        ("/version", 200),
        ("/movies/2013/none", 404),
        ("/movies/1/none", 400),
        ("/none", 404),
    ] {
        let head = app.ask("HEAD", path).await;
        assert_eq!((head.status, head.text.as_str()), (status, ""), "{path}");
    }
}

async fn numbers_keep_their_exact_value(entry_point: EntryPoint) {
    let app = entry_point.start().await;
    for (n, rating) in [
        "8.3",
        "8",
        "0",
        "10",
        "0.1",
        "7.1234567890123456789012345678901234567",
    ]
    .into_iter()
    .enumerate()
    {
        let body = format!(r#"{{"year":2013,"title":"{n}","info":{{"rating":{rating}}}}}"#);
        let created = app
            .send(RequestBuilder::new("POST", "/movies").body("application/json", &body))
            .await;
        assert_eq!(created.text, body);
        assert_eq!(
            app.ask("GET", &format!("/movies/2013/{n}")).await.text,
            body
        );
    }
    let spelled = r#"{"year":2013,"title":"spelled","info":{"rating":83e-1,"rank":1.0e2}}"#;
    let created = app
        .send(RequestBuilder::new("POST", "/movies").body("application/json", spelled))
        .await;
    assert_eq!(
        created.text,
        r#"{"year":2013,"title":"spelled","info":{"rating":8.3,"rank":100}}"#
    );
}

async fn malformed_items_do_not_end_a_list(entry_point: EntryPoint) {
    use aws_sdk_dynamodb::types::AttributeValue;
    let app = entry_point.start().await;
    for title in ["c", "d", "e"] {
        app.create(&titled(title)).await;
    }
    // Invalid titles in between: a page of one movie reads two items and ends with an invalid one.
    for title in ["c\u{1}", "c\u{2}", "c\u{3}", "d\u{1}"] {
        let item = app
            .tables
            .client
            .put_item()
            .table_name(app.table())
            .item("year", AttributeValue::N("2013".into()));
        item.item("title", AttributeValue::S(title.into()))
            .send()
            .await
            .unwrap();
    }
    for query in [
        "/movies?limit=1",
        "/movies?limit=1&year=2013",
        "/movies?limit=1&year=2013&sort=-title",
    ] {
        let mut found = Vec::new();
        let mut path = query.to_owned();
        loop {
            let page = app.ask("GET", &path).await.json();
            found.extend(
                page["movies"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|movie| movie["title"].as_str().unwrap().to_owned()),
            );
            let Some(next) = page["next"].as_str() else {
                break;
            };
            path = format!("{query}&cursor={next}");
        }
        found.sort();
        assert_eq!(found, ["c", "d", "e"], "{query}");
    }
}

async fn health_and_version_return_status_and_build(entry_point: EntryPoint) {
    let app = entry_point.start().await;
    assert_eq!(
        app.ask("GET", "/health").await.json(),
        json!({ "status": "ok" })
    );
    let version = app.ask("GET", "/version").await.json();
    assert!(
        version["build"]
            .as_str()
            .unwrap()
            .starts_with(env!("CARGO_PKG_VERSION")),
        "{version}"
    );
}
