use super::App;
use serde_json::json;
use testkit::{
    RequestBuilder, Response,
    sample::{rush, titled},
};

#[tokio::test]
async fn a_movie_is_created_once() {
    let app = App::new().await;
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

#[tokio::test]
async fn a_location_leads_to_the_movie() {
    let app = App::new().await;
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

#[tokio::test]
async fn a_put_creates_or_replaces_whole() {
    let app = App::new().await;
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

#[tokio::test]
async fn a_patch_changes_what_it_names() {
    let app = App::new().await;
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

    app.send(RequestBuilder::new("PATCH", "/movies/2013/none").json(&json!({})))
        .await
        .assert_problem(404, "movie_not_found");
    let fields = app
        .send(
            RequestBuilder::new("PATCH", "/movies/2013/none")
                .json(&json!({ "year": 2014, "info": { "x": null } })),
        )
        .await;
    assert_eq!(
        fields.assert_problem(400, "invalid_request"),
        ["info.x", "year"]
    );
}

#[tokio::test]
async fn patches_at_the_same_time_lose_nothing() {
    let app = App::new().await;
    app.create(&rush()).await;
    let patches = [
        json!({ "rank": 7 }),
        json!({ "plot": "New." }),
        json!({ "rating": 9.1 }),
    ];
    let answers = patches
        .map(|info| {
            RequestBuilder::new("PATCH", "/movies/2013/Rush").json(&json!({ "info": info }))
        })
        .map(|ask| app.send(ask));
    let [a, b, c] = answers;
    let (a, b, c) = tokio::join!(a, b, c);
    let info = app.ask("GET", "/movies/2013/Rush").await.json()["info"].clone();
    let answers = [
        (a, "rank", json!(7)),
        (b, "plot", json!("New.")),
        (c, "rating", json!(9.1)),
    ];
    assert!(
        answers
            .iter()
            .filter(|(answer, ..)| answer.status == 200)
            .count()
            >= 2,
        "one wins each round: {answers:?}"
    );
    for (answer, field, value) in answers {
        match answer.status {
            200 => assert_eq!(info[field], value),
            _ => drop(answer.assert_problem(409, "edit_conflict")),
        }
    }
}

#[tokio::test]
async fn a_deleted_movie_is_gone() {
    let app = App::new().await;
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

#[tokio::test]
async fn the_stored_version_is_of_the_stored_content() {
    let app = App::new().await;
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

#[tokio::test]
async fn a_creation_sent_again_with_its_key_is_answered_as_the_first_was() {
    let app = App::new().await;
    let post = |movie: &serde_json::Value, key: &str| {
        RequestBuilder::new("POST", "/movies")
            .json(movie)
            .header("Idempotency-Key", key)
    };
    let first = app.send(post(&rush(), "k-1")).await;
    assert_eq!(first.status, 201);
    let again = |answer: Response| {
        assert_eq!(
            (answer.status, answer.headers, answer.text),
            (201, first.headers.clone(), first.text.clone())
        )
    };
    again(app.send(post(&rush(), "k-1")).await);

    // Another movie, another key, another client: each is told apart.
    app.send(post(&titled("Other"), "k-1"))
        .await
        .assert_problem(422, "idempotency_key_used");
    app.send(post(&rush(), "k-2"))
        .await
        .assert_problem(409, "movie_exists");
    let theirs = post(&titled("Other"), "k-1").client("client-2");
    assert_eq!(app.send(theirs).await.status, 201);

    // Whatever has become of the movie: nothing is made a second time.
    app.send(
        RequestBuilder::new("PUT", "/movies/2013/Rush").json(&json!({ "info": { "rank": 1 } })),
    )
    .await;
    again(app.send(post(&rush(), "k-1")).await);
    app.ask("DELETE", "/movies/2013/Rush").await;
    again(app.send(post(&rush(), "k-1")).await);
    app.ask("GET", "/movies/2013/Rush")
        .await
        .assert_problem(404, "movie_not_found");

    // What was refused is not remembered.
    assert_eq!(app.send(post(&rush(), "k-2")).await.status, 201);
    for key in ["", "a b", &"x".repeat(129)] {
        assert_eq!(
            app.send(post(&rush(), key))
                .await
                .assert_problem(400, "invalid_request"),
            ["idempotency-key"]
        );
    }
}

#[tokio::test]
async fn a_key_is_forgotten_after_a_day() {
    let app = App::new().await;
    let post = || {
        RequestBuilder::new("POST", "/movies")
            .json(&rush())
            .header("Idempotency-Key", "k")
    };
    app.send(post()).await;
    let mut row = app
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
    let expires: u64 = row["expires_at"].as_n().unwrap().parse().unwrap();
    assert!(
        (now + 24 * 3600 - 60..=now + 24 * 3600).contains(&expires),
        "{expires}"
    );

    // DynamoDB deletes it when it comes to it; by then it has long been no key any more.
    row.insert(
        "expires_at".into(),
        aws_sdk_dynamodb::types::AttributeValue::N((now - 1).to_string()),
    );
    app.tables
        .client
        .put_item()
        .table_name(app.tables.name("creations"))
        .set_item(Some(row))
        .send()
        .await
        .unwrap();
    app.send(post()).await.assert_problem(409, "movie_exists");
    app.ask("DELETE", "/movies/2013/Rush").await;
    assert_eq!(app.send(post()).await.status, 201);
}

#[tokio::test]
async fn of_creations_at_the_same_time_with_one_key_each_is_answered_alike() {
    let app = App::new().await;
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
