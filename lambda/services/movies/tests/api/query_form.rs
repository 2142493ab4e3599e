//! The query form, `/movies?year=…&title=…`. It addresses every movie, also those whose titles do
//! not survive in a path.

use super::{EntryPoint, READ};
use lambda_emulator::{Server, dynamodb};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use testkit::{
    RequestBuilder, TestApp,
    sample::{path_of, rush_item, titled},
};

behaviours![
    query_form_reads_and_writes_titles_that_no_path_can_hold,
    path_and_query_form_address_the_same_movie,
    query_form_write_takes_exactly_year_and_title,
    query_form_write_needs_the_write_scope,
    query_form_of_an_unknown_movie_is_an_empty_list_without_etag,
    no_cache_and_max_age_0_request_a_consistent_read_in_every_form,
];

fn target(title: &str) -> RequestBuilder {
    of("GET", title)
}

fn of(method: &str, title: &str) -> RequestBuilder {
    RequestBuilder::new(method, "/movies")
        .parameter("year", "2013")
        .parameter("title", title)
}

async fn query_form_reads_and_writes_titles_that_no_path_can_hold(entry_point: EntryPoint) {
    let app = entry_point.start().await;
    for title in [".", "..", "a/../b", "a//b", "/", "//", "a/", "/a", "Rush"] {
        let created = app
            .send(
                of("PUT", title)
                    .json(&titled(title))
                    .header("If-None-Match", "*"),
            )
            .await;
        assert_eq!(
            (created.status, &created.json()["title"]),
            (201, &json!(title))
        );
        let read = app.send(target(title)).await;
        assert_eq!(
            (read.status, &read.json()["movies"][0]["title"], read.etag()),
            (200, &json!(title), created.etag())
        );
        assert_eq!(
            app.send(target(title).header("If-None-Match", &read.etag()))
                .await
                .status,
            304,
            "{title}"
        );

        let replaced = app
            .send(
                of("PUT", title)
                    .json(&json!({ "info": { "rank": 1 } }))
                    .header("If-Match", &read.etag()),
            )
            .await;
        assert_eq!(replaced.status, 200, "{title}");
        app.send(
            of("PUT", title)
                .json(&json!({}))
                .header("If-Match", &read.etag()),
        )
        .await
        .assert_problem(412, "precondition_failed");
        let patch = of("PATCH", title).json(&json!({ "info": { "plot": "x" } }));
        let patched = app.send(patch.header("If-Match", &replaced.etag())).await;
        assert_eq!(
            (patched.status, &patched.json()["info"]),
            (200, &json!({ "rank": 1, "plot": "x" })),
            "{title}"
        );
        let stale = of("PATCH", title)
            .json(&json!({ "info": { "plot": "y" } }))
            .header("If-Match", &replaced.etag());
        app.send(stale)
            .await
            .assert_problem(412, "precondition_failed");
        app.send(of("DELETE", title).header("If-Match", &replaced.etag()))
            .await
            .assert_problem(412, "precondition_failed");
        assert_eq!(
            app.send(of("DELETE", title).header("If-Match", &patched.etag()))
                .await
                .status,
            204,
            "{title}"
        );
        app.send(of("DELETE", title))
            .await
            .assert_problem(404, "movie_not_found");
        app.send(of("PATCH", title).json(&json!({})))
            .await
            .assert_problem(404, "movie_not_found");
    }
}

async fn path_and_query_form_address_the_same_movie(entry_point: EntryPoint) {
    let app = entry_point.start().await;
    let created = app
        .send(of("PUT", "50/50").json(&json!({ "info": { "rank": 1 } })))
        .await;
    let path = path_of(2013, "50/50");
    assert_eq!(app.ask("GET", &path).await.etag(), created.etag());
    app.send(RequestBuilder::new("PATCH", &path).json(&json!({ "info": { "rank": 2 } })))
        .await;
    assert_eq!(
        app.send(target("50/50")).await.json()["movies"][0]["info"]["rank"],
        2
    );
}

async fn query_form_write_takes_exactly_year_and_title(entry_point: EntryPoint) {
    let app = entry_point.start().await;
    for (query, fields) in [
        ("", &["title", "year"][..]),
        ("?year=2013", &["title"]),
        ("?title=Rush", &["year"]),
        ("?year=x&title=", &["title", "year"]),
        ("?year=2013&title=Rush&limit=1", &["limit"]),
        (
            "?year=2013&title=Rush&cursor=x&sort=title&title_prefix=R",
            &["cursor", "sort", "title_prefix"],
        ),
        ("?year=2013&year=2013&title=Rush", &["year"]),
    ] {
        for method in ["PUT", "PATCH", "DELETE"] {
            let request = RequestBuilder::new(method, &format!("/movies{query}")).json(&json!({}));
            assert_eq!(
                app.send(request)
                    .await
                    .assert_problem(400, "invalid_request"),
                fields,
                "{method} {query}"
            );
        }
    }
    let other = of("PUT", "Rush").json(&titled("rush"));
    assert_eq!(
        app.send(other).await.assert_problem(400, "invalid_request"),
        ["title"]
    );
}

async fn query_form_write_needs_the_write_scope(entry_point: EntryPoint) {
    let app = entry_point.start().await;
    for method in ["PUT", "PATCH", "DELETE"] {
        let request = of(method, "Rush").json(&json!({})).scope(Some(READ));
        app.send(request).await.assert_problem(403, "forbidden");
    }
}

async fn query_form_of_an_unknown_movie_is_an_empty_list_without_etag(entry_point: EntryPoint) {
    let app = entry_point.start().await;
    let read = app.send(target("Rush")).await;
    assert_eq!(
        (read.status, read.json(), read.header("etag")),
        (200, json!({ "movies": [], "next": null }), None)
    );
    assert_eq!(
        app.send(target("Rush").header("If-None-Match", "*"))
            .await
            .status,
        200
    );
    app.send(target("Rush").header("If-Match", "*"))
        .await
        .assert_problem(412, "precondition_failed");
}

/// Starts the service with a table of one movie, and records the requests to the table.
async fn on_recorded_table(entry_point: EntryPoint) -> (TestApp, Arc<Mutex<Vec<Value>>>, Server) {
    let requests = Arc::<Mutex<Vec<Value>>>::default();
    let (recorded, table) = (Arc::clone(&requests), dynamodb::stub(vec![rush_item()]));
    let table = Server::http(move |request| {
        let body = serde_json::from_slice(request.body()).unwrap();
        recorded.lock().unwrap().push(body);
        table(request)
    });
    let table = table.await.unwrap();
    let variables = [("AWS_ENDPOINT_URL", table.url()), ("TABLE_NAME", "movies")];
    let app = entry_point.start_service(&variables).await;
    requests.lock().unwrap().clear();
    (app, requests, table)
}

async fn no_cache_and_max_age_0_request_a_consistent_read_in_every_form(entry_point: EntryPoint) {
    let (app, requests, _table) = on_recorded_table(entry_point).await;
    for target in [
        "/movies/2013/Rush",
        "/movies?year=2013&title=Rush",
        "/movies?year=2013",
        "/movies",
    ] {
        for (value, consistent) in [
            (None, false),
            (Some("no-cache"), true),
            (Some("max-age=0"), true),
            (Some("No-Cache, no-store"), true),
            (Some("no-store, Max-Age=\"0\""), true),
            (Some("max-age=00"), true),
            (Some("max-age=60"), false),
            (Some("no-store"), false),
            (Some("max-age=0x"), false),
            (Some(""), false),
        ] {
            for method in ["GET", "HEAD"] {
                let request = RequestBuilder::new(method, target);
                let request = value.into_iter().fold(request, |request, value| {
                    request.header("Cache-Control", value)
                });
                assert_eq!(app.send(request).await.status, 200, "{target} {value:?}");
                let recorded = std::mem::take(&mut *requests.lock().unwrap());
                assert_eq!(recorded.len(), 1, "{recorded:?}");
                assert_eq!(
                    recorded[0]["ConsistentRead"].as_bool().unwrap_or_default(),
                    consistent,
                    "{method} {target} {value:?}"
                );
            }
        }
    }
}
