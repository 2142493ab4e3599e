use super::EntryPoint;
use serde_json::json;
use testkit::{RequestBuilder, sample::rush};

behaviours![
    put_with_if_match_needs_the_current_etag,
    put_with_if_none_match_star_only_creates,
    patch_and_delete_with_if_match_need_the_current_etag,
    write_is_412_if_if_none_match_is_false,
    read_is_412_if_if_match_is_false,
    preconditions_are_evaluated_for_resources_without_an_etag,
    preconditions_of_an_unknown_movie_are_ignored,
    header_lines_of_one_name_are_one_list,
    etag_lists_may_have_empty_members_and_any_character,
    malformed_preconditions_are_rejected_by_every_method,
    repeated_conditional_write_succeeds,
];

fn put(name: &str, value: &str) -> RequestBuilder {
    RequestBuilder::new("PUT", "/movies/2013/Rush")
        .json(&json!({ "info": { "rank": 9 } }))
        .header(name, value)
}

async fn put_with_if_match_needs_the_current_etag(entry_point: EntryPoint) {
    let app = entry_point.start().await;
    app.send(put("If-Match", "*"))
        .await
        .assert_problem(412, "precondition_failed");
    app.send(put("If-Match", "\"0\""))
        .await
        .assert_problem(412, "precondition_failed");
    let etag = app.create(&rush()).await.etag();
    app.send(put("If-Match", "\"0\""))
        .await
        .assert_problem(412, "precondition_failed");
    app.send(put("If-Match", &format!("W/{etag}")))
        .await
        .assert_problem(412, "precondition_failed");
    assert_eq!(app.ask("GET", "/movies/2013/Rush").await.json(), rush());
    assert_eq!(
        app.send(put("If-Match", &format!("\"0\", {etag}")))
            .await
            .status,
        200
    );
    let stale = RequestBuilder::new("PUT", "/movies/2013/Rush")
        .json(&json!({ "info": { "rank": 8 } }))
        .header("If-Match", &etag);
    app.send(stale)
        .await
        .assert_problem(412, "precondition_failed");
    assert_eq!(app.send(put("If-Match", "*")).await.status, 200);
}

async fn put_with_if_none_match_star_only_creates(entry_point: EntryPoint) {
    let app = entry_point.start().await;
    assert_eq!(app.send(put("If-None-Match", "*")).await.status, 201);
    app.send(put("If-None-Match", "*"))
        .await
        .assert_problem(412, "precondition_failed");
    app.send(put("If-None-Match", "*").header("If-Match", "*"))
        .await
        .assert_problem(412, "precondition_failed");
    assert_eq!(app.send(put("If-None-Match", "\"0\"")).await.status, 200);
}

async fn patch_and_delete_with_if_match_need_the_current_etag(entry_point: EntryPoint) {
    let app = entry_point.start().await;
    let etag = app.create(&rush()).await.etag();
    let patch = |value: &str| {
        RequestBuilder::new("PATCH", "/movies/2013/Rush")
            .json(&json!({ "info": { "rank": 3 } }))
            .header("If-Match", value)
    };
    let delete =
        |value: &str| RequestBuilder::new("DELETE", "/movies/2013/Rush").header("If-Match", value);
    app.send(patch("\"0\""))
        .await
        .assert_problem(412, "precondition_failed");
    app.send(delete("\"0\""))
        .await
        .assert_problem(412, "precondition_failed");
    let patched = app.send(patch(&etag)).await;
    assert_eq!(patched.status, 200);
    app.send(delete(&etag))
        .await
        .assert_problem(412, "precondition_failed");
    assert_eq!(app.send(delete(&patched.etag())).await.status, 204);
    app.send(delete("*"))
        .await
        .assert_problem(404, "movie_not_found");
    app.send(patch("*"))
        .await
        .assert_problem(404, "movie_not_found");
}

fn delete(name: &str, value: &str) -> RequestBuilder {
    RequestBuilder::new("DELETE", "/movies/2013/Rush").header(name, value)
}

fn patch(name: &str, value: &str) -> RequestBuilder {
    RequestBuilder::new("PATCH", "/movies/2013/Rush")
        .json(&json!({ "info": { "rank": 9 } }))
        .header(name, value)
}

fn get(name: &str, value: &str) -> RequestBuilder {
    RequestBuilder::new("GET", "/movies/2013/Rush").header(name, value)
}

async fn write_is_412_if_if_none_match_is_false(entry_point: EntryPoint) {
    let app = entry_point.start().await;
    let etag = app.create(&rush()).await.etag();
    for value in ["*", &etag, &format!("W/{etag}"), &format!("\"0\", {etag}")] {
        for request in [
            put("If-None-Match", value),
            patch("If-None-Match", value),
            delete("If-None-Match", value),
        ] {
            app.send(request)
                .await
                .assert_problem(412, "precondition_failed");
        }
    }
    assert_eq!(app.ask("GET", "/movies/2013/Rush").await.etag(), etag);
    for request in [
        put("If-None-Match", "\"0\""),
        patch("If-None-Match", "\"0\", W/\"1\""),
        delete("If-None-Match", "\"0\""),
    ] {
        assert!(matches!(app.send(request).await.status, 200 | 204));
    }
}

async fn read_is_412_if_if_match_is_false(entry_point: EntryPoint) {
    let app = entry_point.start().await;
    let etag = app.create(&rush()).await.etag();
    for method in ["GET", "HEAD"] {
        for target in ["/movies/2013/Rush", "/movies?year=2013&title=Rush"] {
            let request =
                |value: &str| RequestBuilder::new(method, target).header("If-Match", value);
            for value in ["\"0\"", "\"0\", \"1\"", &format!("W/{etag}")] {
                assert_eq!(
                    app.send(request(value)).await.status,
                    412,
                    "{method} {target} {value}"
                );
            }
            for value in ["*", &etag, &format!("\"0\",{etag}")] {
                assert_eq!(
                    app.send(request(value)).await.status,
                    200,
                    "{method} {target} {value}"
                );
            }
            // If-Match is evaluated first, then If-None-Match.
            let both = request(&etag).header("If-None-Match", &etag);
            assert_eq!(app.send(both).await.status, 304, "{method} {target}");
            let both = request("\"0\"").header("If-None-Match", &etag);
            assert_eq!(app.send(both).await.status, 412, "{method} {target}");
        }
    }
}

async fn preconditions_are_evaluated_for_resources_without_an_etag(entry_point: EntryPoint) {
    let app = entry_point.start().await;
    for target in ["/movies", "/movies?year=2013", "/health", "/version"] {
        let get = |name: &str, value: &str| RequestBuilder::new("GET", target).header(name, value);
        assert_eq!(app.send(get("If-Match", "*")).await.status, 200, "{target}");
        app.send(get("If-Match", "\"0\""))
            .await
            .assert_problem(412, "precondition_failed");
        assert_eq!(
            app.send(get("If-None-Match", "*")).await.status,
            304,
            "{target}"
        );
        assert_eq!(
            app.send(get("If-None-Match", "\"0\"")).await.status,
            200,
            "{target}"
        );
    }
    let post = |name: &str, value: &str| {
        RequestBuilder::new("POST", "/movies")
            .json(&rush())
            .header(name, value)
    };
    app.send(post("If-Match", "\"0\""))
        .await
        .assert_problem(412, "precondition_failed");
    app.send(post("If-None-Match", "*"))
        .await
        .assert_problem(412, "precondition_failed");
    app.ask("GET", "/movies/2013/Rush")
        .await
        .assert_problem(404, "movie_not_found");
    assert_eq!(app.send(post("If-Match", "*")).await.status, 201);
    app.ask("DELETE", "/movies/2013/Rush").await;
    assert_eq!(app.send(post("If-None-Match", "\"0\"")).await.status, 201);
}

async fn preconditions_of_an_unknown_movie_are_ignored(entry_point: EntryPoint) {
    let app = entry_point.start().await;
    for (name, value) in [
        ("If-Match", "*"),
        ("If-Match", "\"0\""),
        ("If-None-Match", "*"),
    ] {
        for request in [get(name, value), patch(name, value), delete(name, value)] {
            app.send(request)
                .await
                .assert_problem(404, "movie_not_found");
        }
    }
}

async fn header_lines_of_one_name_are_one_list(entry_point: EntryPoint) {
    let app = entry_point.start().await;
    let etag = app.create(&rush()).await.etag();
    // A wildcard in a list is not valid and does not override the tags.
    for request in [
        put("If-Match", "\"0\""),
        patch("If-Match", "\"0\""),
        delete("If-Match", "\"0\""),
        get("If-Match", "\"0\""),
    ] {
        let fields = app
            .send(request.header("If-Match", "*"))
            .await
            .assert_problem(400, "invalid_request");
        assert_eq!(fields, ["if-match"]);
    }
    let lines = get("If-None-Match", "\"0\"").header("If-None-Match", &format!("\"1\", {etag}"));
    assert_eq!(app.send(lines).await.status, 304);
    let lines = put("If-Match", "\"0\"").header("If-Match", &etag);
    assert_eq!(app.send(lines).await.status, 200);
}

async fn etag_lists_may_have_empty_members_and_any_character(entry_point: EntryPoint) {
    let app = entry_point.start().await;
    let etag = app.create(&rush()).await.etag();
    for value in [
        format!(", {etag}"),
        format!("{etag},,"),
        format!("\"a\",,{etag}"),
        format!(" ,\t, {etag} , "),
    ] {
        assert_eq!(
            app.send(get("If-None-Match", &value)).await.status,
            304,
            "{value:?}"
        );
        assert_eq!(
            app.send(get("If-Match", &value)).await.status,
            200,
            "{value:?}"
        );
    }
    for value in [
        &format!("\"é\", {etag}"),
        &format!("\"a,b\", \"*\", \"W/\", \"\", {etag}"),
    ] {
        assert_eq!(
            app.send(get("If-None-Match", value)).await.status,
            304,
            "{value:?}"
        );
    }
    for value in ["", ",", "\"é\"", "\"\"", "\"*\""] {
        assert_eq!(
            app.send(get("If-None-Match", value)).await.status,
            200,
            "{value:?}"
        );
        app.send(delete("If-Match", value))
            .await
            .assert_problem(412, "precondition_failed");
    }
    let many = format!("{}{etag}", "\"0\", ".repeat(300));
    assert_eq!(app.send(get("If-None-Match", &many)).await.status, 304);
    assert_eq!(app.send(put("If-Match", &many)).await.status, 200);
}

async fn malformed_preconditions_are_rejected_by_every_method(entry_point: EntryPoint) {
    let app = entry_point.start().await;
    app.create(&rush()).await;
    for name in ["If-Match", "If-None-Match"] {
        for value in [
            "0",
            "\"",
            "\"a",
            "a\"",
            "\"a\" \"b\"",
            "w/\"a\"",
            "\"a\";",
            "* , \"a\"",
            "\"a\", *",
            "*,",
            "\"a b\"",
            "W/ \"a\"",
        ] {
            for request in [
                get(name, value),
                put(name, value),
                patch(name, value),
                delete(name, value),
                RequestBuilder::new("POST", "/movies")
                    .json(&rush())
                    .header(name, value),
                RequestBuilder::new("GET", "/movies").header(name, value),
                RequestBuilder::new("GET", "/health").header(name, value),
            ] {
                let fields = app
                    .send(request)
                    .await
                    .assert_problem(400, "invalid_request");
                assert_eq!(fields, [name.to_ascii_lowercase()], "{value:?}");
            }
        }
    }
}

/// A client repeats a write whose response was lost. RFC 9110, 13.1.1 allows success if the
/// requested state is already stored.
async fn repeated_conditional_write_succeeds(entry_point: EntryPoint) {
    let app = entry_point.start().await;
    let etag = app.create(&rush()).await.etag();
    for request in [put("If-Match", &etag), patch("If-Match", &etag)] {
        app.ask("DELETE", "/movies/2013/Rush").await;
        app.create(&rush()).await;
        let first = app.send(request.clone()).await;
        let again = app.send(request.clone()).await;
        assert_eq!((first.status, again.status), (200, 200), "{again:?}");
        assert_eq!((first.json(), first.etag()), (again.json(), again.etag()));
        // Another writer has changed something else, so the repeated write fails.
        app.send(
            RequestBuilder::new("PATCH", "/movies/2013/Rush")
                .json(&json!({ "info": { "rank": 8 } })),
        )
        .await;
        app.send(request)
            .await
            .assert_problem(412, "precondition_failed");
    }
    app.send(put("If-Match", "\"0\"").header("If-None-Match", "*"))
        .await
        .assert_problem(412, "precondition_failed");
}
