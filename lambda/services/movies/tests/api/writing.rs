use super::EntryPoint;
use serde_json::json;
use testkit::{
    RequestBuilder, Response,
    sample::{rush, titled},
};

behaviours![
    create_of_an_existing_movie_is_409,
    location_of_a_created_movie_returns_it,
    put_creates_or_replaces_the_complete_movie,
    patch_changes_only_the_fields_it_names,
    patch_of_an_unknown_movie_is_404,
    invalid_patch_of_an_unknown_movie_is_400,
    concurrent_patches_lose_no_change,
    deleted_movie_is_404,
    equal_content_has_an_equal_etag,
    create_with_same_key_is_idempotent,
    idempotency_key_of_another_movie_is_422,
    idempotency_keys_of_two_clients_are_independent,
    rejected_create_does_not_use_up_its_key,
    malformed_idempotency_key_is_400,
    idempotency_key_expires_after_a_day,
    concurrent_creates_with_one_key_all_return_201,
];

async fn create_of_an_existing_movie_is_409(entry_point: EntryPoint) {
    let app = entry_point.start().await;
    let created = app.create(&rush()).await;
    assert_eq!(
        (created.json(), created.header("location")),
        (rush(), Some("movies/2013/Rush"))
    );
    let mut other = rush();
    other["info"]["plot"] = json!("Another.");
    app.send(RequestBuilder::new("POST", "/movies").json(&other))
        .await
        .assert_problem(409, "movie_exists");
    assert_eq!(app.ask("GET", "/movies/2013/Rush").await.json(), rush());
}

async fn location_of_a_created_movie_returns_it(entry_point: EntryPoint) {
    let app = entry_point.start().await;
    for title in [
        "50/50", "a?b#c", "100%25", "Amélie", "..", "a/../b", "/a", "a//b",
    ] {
        let created = app.create(&titled(title)).await;
        let location = created.header("location").unwrap();
        let found = app.ask("GET", &format!("/{location}")).await.json();
        let found = found.get("movies").map_or(&found, |movies| &movies[0]);
        assert_eq!(found["title"], title, "{location}");
        assert!(
            !location.contains("..") || location.contains('?'),
            "{location} would be normalised"
        );
    }
}

async fn put_creates_or_replaces_the_complete_movie(entry_point: EntryPoint) {
    let app = entry_point.start().await;
    let created = app
        .send(RequestBuilder::new("PUT", "/movies/2013/Rush").json(&rush()))
        .await;
    assert_eq!((created.status, created.json()), (201, rush()));
    let replaced = app
        .send(
            RequestBuilder::new("PUT", "/movies/2013/Rush").json(&json!({ "info": { "rank": 1 } })),
        )
        .await;
    assert_eq!(
        (replaced.status, replaced.json()),
        (
            200,
            json!({ "year": 2013, "title": "Rush", "info": { "rank": 1 } })
        )
    );
    assert_ne!(replaced.etag(), created.etag());
    assert_eq!(
        app.ask("GET", "/movies/2013/Rush").await.json(),
        replaced.json()
    );
}

async fn patch_changes_only_the_fields_it_names(entry_point: EntryPoint) {
    let app = entry_point.start().await;
    app.create(&rush()).await;
    let patch = json!({ "info": { "rating": 8.3, "plot": null, "actors": ["Daniel Brühl"] } });
    let patched = app
        .send(
            RequestBuilder::new("PATCH", "/movies/2013/Rush")
                .body("application/merge-patch+json", &patch.to_string()),
        )
        .await;
    let mut expected = rush();
    expected["info"]["rating"] = json!(8.3);
    expected["info"]["actors"] = json!(["Daniel Brühl"]);
    expected["info"].as_object_mut().unwrap().remove("plot");
    assert_eq!((patched.status, patched.json()), (200, expected.clone()));
    let found = app.ask("GET", "/movies/2013/Rush").await;
    assert_eq!((found.json(), found.etag()), (expected, patched.etag()));
}

async fn patch_of_an_unknown_movie_is_404(entry_point: EntryPoint) {
    let app = entry_point.start().await;
    let patch = RequestBuilder::new("PATCH", "/movies/2013/none").json(&json!({}));
    app.send(patch).await.assert_problem(404, "movie_not_found");
}

async fn invalid_patch_of_an_unknown_movie_is_400(entry_point: EntryPoint) {
    let app = entry_point.start().await;
    let body = json!({ "year": 2014, "info": { "x": null } });
    let response = app
        .send(RequestBuilder::new("PATCH", "/movies/2013/none").json(&body))
        .await;
    assert_eq!(
        response.assert_problem(400, "invalid_request"),
        ["info.x", "year"]
    );
}

/// A patch is applied only if the item is unchanged since it was read, so at least one of several
/// concurrent patches succeeds. A patch that is overtaken at every attempt gets a 409.
async fn concurrent_patches_lose_no_change(entry_point: EntryPoint) {
    let app = entry_point.start().await;
    app.create(&rush()).await;
    let changes = [
        ("rank", json!(7)),
        ("plot", json!("New.")),
        ("rating", json!(9.1)),
    ];
    let patch = async |(field, value): &(&str, serde_json::Value)| {
        let patch = RequestBuilder::new("PATCH", "/movies/2013/Rush");
        app.send(patch.json(&json!({ "info": { *field: value } })))
            .await
    };
    let [a, b, c] = &changes;
    let responses = tokio::join!(patch(a), patch(b), patch(c));
    let responses: [Response; 3] = responses.into();
    let mut expected = rush();
    for ((field, value), response) in changes.iter().zip(&responses) {
        if response.status == 200 {
            expected["info"][*field] = value.clone();
        } else {
            response.assert_problem(409, "edit_conflict");
        }
    }
    // Every change that succeeded is stored, and no rejected one.
    assert_eq!(
        app.ask("GET", "/movies/2013/Rush").await.json(),
        expected,
        "{responses:?}"
    );
    assert!(
        responses.iter().any(|response| response.status == 200),
        "{responses:?}"
    );
}

async fn deleted_movie_is_404(entry_point: EntryPoint) {
    let app = entry_point.start().await;
    app.create(&rush()).await;
    let deleted = app.ask("DELETE", "/movies/2013/Rush").await;
    assert_eq!((deleted.status, deleted.text.as_str()), (204, ""));
    app.ask("GET", "/movies/2013/Rush")
        .await
        .assert_problem(404, "movie_not_found");
    app.ask("DELETE", "/movies/2013/Rush")
        .await
        .assert_problem(404, "movie_not_found");
}

async fn equal_content_has_an_equal_etag(entry_point: EntryPoint) {
    let app = entry_point.start().await;
    let first = app.create(&rush()).await.etag();
    app.ask("DELETE", "/movies/2013/Rush").await;
    assert_eq!(app.create(&rush()).await.etag(), first);
    let item = app
        .tables
        .client
        .scan()
        .table_name(app.table())
        .send()
        .await
        .unwrap()
        .items
        .unwrap()
        .remove(0);
    assert_eq!(item["etag"].as_s().unwrap(), first.trim_matches('"'));
}

fn create_with_key(movie: &serde_json::Value, key: &str) -> RequestBuilder {
    RequestBuilder::new("POST", "/movies")
        .json(movie)
        .header("Idempotency-Key", key)
}

/// Asserts that a repeated creation gets the first response again, except date and request id.
#[track_caller]
fn assert_repeated(first: &Response, again: &Response) {
    assert_eq!((again.status, &again.text), (first.status, &first.text));
    for header in ["location", "etag", "content-type", "cache-control"] {
        assert_eq!(again.header(header), first.header(header), "{header}");
    }
}

async fn create_with_same_key_is_idempotent(entry_point: EntryPoint) {
    let app = entry_point.start().await;
    let create = create_with_key(&rush(), "k-1");
    let first = app.send(create.clone()).await;
    assert_eq!(first.status, 201);
    assert_repeated(&first, &app.send(create.clone()).await);
    // The movie is not created again, even after it was changed or deleted.
    let put = RequestBuilder::new("PUT", "/movies/2013/Rush").json(&json!({ "info": {} }));
    app.send(put).await;
    assert_repeated(&first, &app.send(create.clone()).await);
    app.ask("DELETE", "/movies/2013/Rush").await;
    assert_repeated(&first, &app.send(create).await);
    app.ask("GET", "/movies/2013/Rush")
        .await
        .assert_problem(404, "movie_not_found");
}

async fn idempotency_key_of_another_movie_is_422(entry_point: EntryPoint) {
    let app = entry_point.start().await;
    app.send(create_with_key(&rush(), "k")).await;
    let other = app.send(create_with_key(&titled("Other"), "k")).await;
    other.assert_problem(422, "idempotency_key_used");
}

async fn idempotency_keys_of_two_clients_are_independent(entry_point: EntryPoint) {
    let app = entry_point.start().await;
    app.send(create_with_key(&rush(), "k")).await;
    let other = create_with_key(&titled("Other"), "k").client("client-2");
    assert_eq!(app.send(other).await.status, 201);
}

async fn rejected_create_does_not_use_up_its_key(entry_point: EntryPoint) {
    let app = entry_point.start().await;
    app.create(&rush()).await;
    let create = create_with_key(&rush(), "k");
    app.send(create.clone())
        .await
        .assert_problem(409, "movie_exists");
    app.ask("DELETE", "/movies/2013/Rush").await;
    assert_eq!(app.send(create).await.status, 201);
}

async fn malformed_idempotency_key_is_400(entry_point: EntryPoint) {
    let app = entry_point.start().await;
    for key in ["", "a b", &"x".repeat(129)] {
        let response = app.send(create_with_key(&rush(), key)).await;
        assert_eq!(
            response.assert_problem(400, "invalid_request"),
            ["idempotency-key"]
        );
    }
}

async fn idempotency_key_expires_after_a_day(entry_point: EntryPoint) {
    let app = entry_point.start().await;
    let post = || {
        RequestBuilder::new("POST", "/movies")
            .json(&rush())
            .header("Idempotency-Key", "k")
    };
    app.send(post()).await;
    let mut item = app
        .tables
        .client
        .scan()
        .table_name(app.tables.name("creations"))
        .send()
        .await
        .unwrap()
        .items
        .unwrap()
        .remove(0);
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let expires: u64 = item["expires_at"].as_n().unwrap().parse().unwrap();
    assert!(
        (now + 24 * 3600 - 60..=now + 24 * 3600).contains(&expires),
        "{expires}"
    );

    // DynamoDB deletes expired items within days. The key must be invalid from the expiry on.
    item.insert(
        "expires_at".into(),
        aws_sdk_dynamodb::types::AttributeValue::N((now - 1).to_string()),
    );
    app.tables
        .client
        .put_item()
        .table_name(app.tables.name("creations"))
        .set_item(Some(item))
        .send()
        .await
        .unwrap();
    app.send(post()).await.assert_problem(409, "movie_exists");
    app.ask("DELETE", "/movies/2013/Rush").await;
    assert_eq!(app.send(post()).await.status, 201);
}

async fn concurrent_creates_with_one_key_all_return_201(entry_point: EntryPoint) {
    let app = entry_point.start().await;
    let post = || {
        app.send(
            RequestBuilder::new("POST", "/movies")
                .json(&rush())
                .header("Idempotency-Key", "k"),
        )
    };
    let (a, b, c) = tokio::join!(post(), post(), post());
    assert_eq!([a.status, b.status, c.status], [201; 3]);
}
