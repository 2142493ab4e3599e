use super::{Ask, World, named, rush};
use serde_json::json;

#[tokio::test]
async fn a_movie_is_created_once() {
    let world = World::new().await;
    let created = world.create(&rush()).await;
    assert_eq!((created.json(), created.header("location")), (rush(), Some("movies/2013/Rush")));
    let mut other = rush();
    other["info"]["plot"] = json!("Another.");
    world.send(Ask::new("POST", "/movies").json(&other)).await.refused(409, "movie_exists");
    assert_eq!(world.ask("GET", "/movies/2013/Rush").await.json(), rush());
}

#[tokio::test]
async fn a_location_leads_to_the_movie() {
    let world = World::new().await;
    for title in ["50/50", "a?b#c", "100%25", "Amélie", "..", "a/../b", "/a", "a//b"] {
        let created = world.create(&named(title)).await;
        let location = created.header("location").unwrap();
        let found = world.ask("GET", &format!("/{location}")).await.json();
        let found = found.get("movies").map_or(&found, |movies| &movies[0]);
        assert_eq!(found["title"], title, "{location}");
        assert!(!location.contains("..") || location.contains('?'), "{location} would be normalised");
    }
}

#[tokio::test]
async fn a_put_creates_or_replaces_whole() {
    let world = World::new().await;
    let created = world.send(Ask::new("PUT", "/movies/2013/Rush").json(&rush())).await;
    assert_eq!((created.status, created.json()), (201, rush()));
    let replaced = world.send(Ask::new("PUT", "/movies/2013/Rush").json(&json!({ "info": { "rank": 1 } }))).await;
    assert_eq!((replaced.status, replaced.json()), (200, json!({ "year": 2013, "title": "Rush", "info": { "rank": 1 } })));
    assert_ne!(replaced.etag(), created.etag());
    assert_eq!(world.ask("GET", "/movies/2013/Rush").await.json(), replaced.json());
}

#[tokio::test]
async fn a_patch_changes_what_it_names() {
    let world = World::new().await;
    world.create(&rush()).await;
    let patch = json!({ "info": { "rating": 8.3, "plot": null, "actors": ["Daniel Brühl"] } });
    let patched = world.send(Ask::new("PATCH", "/movies/2013/Rush").body("application/merge-patch+json", &patch.to_string())).await;
    let mut expected = rush();
    expected["info"]["rating"] = json!(8.3);
    expected["info"]["actors"] = json!(["Daniel Brühl"]);
    expected["info"].as_object_mut().unwrap().remove("plot");
    assert_eq!((patched.status, patched.json()), (200, expected.clone()));
    let found = world.ask("GET", "/movies/2013/Rush").await;
    assert_eq!((found.json(), found.etag()), (expected, patched.etag()));

    world.send(Ask::new("PATCH", "/movies/2013/none").json(&json!({}))).await.refused(404, "movie_not_found");
    let fields = world.send(Ask::new("PATCH", "/movies/2013/none").json(&json!({ "year": 2014, "info": { "x": null } }))).await;
    assert_eq!(fields.refused(400, "invalid_request"), ["info.x", "year"]);
}

#[tokio::test]
async fn patches_at_the_same_time_lose_nothing() {
    let world = World::new().await;
    world.create(&rush()).await;
    let patches = [json!({ "rank": 7 }), json!({ "plot": "New." }), json!({ "rating": 9.1 })];
    let answers = patches.map(|info| Ask::new("PATCH", "/movies/2013/Rush").json(&json!({ "info": info }))).map(|ask| world.send(ask));
    let [a, b, c] = answers;
    let (a, b, c) = tokio::join!(a, b, c);
    let info = world.ask("GET", "/movies/2013/Rush").await.json()["info"].clone();
    for (answer, field, value) in [(a, "rank", json!(7)), (b, "plot", json!("New.")), (c, "rating", json!(9.1))] {
        match answer.status {
            200 => assert_eq!(info[field], value),
            _ => drop(answer.refused(409, "edit_conflict")),
        }
    }
}

#[tokio::test]
async fn a_deleted_movie_is_gone() {
    let world = World::new().await;
    world.create(&rush()).await;
    let deleted = world.ask("DELETE", "/movies/2013/Rush").await;
    assert_eq!((deleted.status, deleted.text.as_str()), (204, ""));
    world.ask("GET", "/movies/2013/Rush").await.refused(404, "movie_not_found");
    world.ask("DELETE", "/movies/2013/Rush").await.refused(404, "movie_not_found");
}

#[tokio::test]
async fn the_stored_version_is_of_the_stored_content() {
    let world = World::new().await;
    let first = world.create(&rush()).await.etag();
    world.ask("DELETE", "/movies/2013/Rush").await;
    assert_eq!(world.create(&rush()).await.etag(), first);
    let item = world.client.scan().table_name(&world.table).send().await.unwrap().items.unwrap().remove(0);
    assert_eq!(item["etag"].as_s().unwrap(), first.trim_matches('"'));
}

#[tokio::test]
async fn a_creation_sent_again_with_its_key_is_answered_as_the_first_was() {
    let world = World::new().await;
    let post = |movie: &serde_json::Value, key: &str| Ask::new("POST", "/movies").json(movie).header("Idempotency-Key", key);
    let first = world.send(post(&rush(), "k-1")).await;
    assert_eq!(first.status, 201);
    let again =
        |answer: super::Answer| assert_eq!((answer.status, answer.headers, answer.text), (201, first.headers.clone(), first.text.clone()));
    again(world.send(post(&rush(), "k-1")).await);

    // Another movie, another key, another client: each is told apart.
    world.send(post(&named("Other"), "k-1")).await.refused(422, "idempotency_key_used");
    world.send(post(&rush(), "k-2")).await.refused(409, "movie_exists");
    let mut theirs = post(&named("Other"), "k-1");
    theirs.client = "client-2";
    assert_eq!(world.send(theirs).await.status, 201);

    // Whatever has become of the movie: nothing is made a second time.
    world.send(Ask::new("PUT", "/movies/2013/Rush").json(&json!({ "info": { "rank": 1 } }))).await;
    again(world.send(post(&rush(), "k-1")).await);
    world.ask("DELETE", "/movies/2013/Rush").await;
    again(world.send(post(&rush(), "k-1")).await);
    world.ask("GET", "/movies/2013/Rush").await.refused(404, "movie_not_found");

    // What was refused is not remembered.
    assert_eq!(world.send(post(&rush(), "k-2")).await.status, 201);
    for key in ["", "a b", &"x".repeat(129)] {
        assert_eq!(world.send(post(&rush(), key)).await.refused(400, "invalid_request"), ["idempotency-key"]);
    }
}

#[tokio::test]
async fn a_key_is_forgotten_after_a_day() {
    let world = World::new().await;
    let post = || Ask::new("POST", "/movies").json(&rush()).header("Idempotency-Key", "k");
    world.send(post()).await;
    let mut row = world.client.scan().table_name(&world.creations).send().await.unwrap().items.unwrap().remove(0);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let expires: u64 = row["expires_at"].as_n().unwrap().parse().unwrap();
    assert!((now + 24 * 3600 - 60..=now + 24 * 3600).contains(&expires), "{expires}");

    // DynamoDB deletes it when it comes to it; by then it has long been no key any more.
    row.insert("expires_at".into(), aws_sdk_dynamodb::types::AttributeValue::N((now - 1).to_string()));
    world.client.put_item().table_name(&world.creations).set_item(Some(row)).send().await.unwrap();
    world.send(post()).await.refused(409, "movie_exists");
    world.ask("DELETE", "/movies/2013/Rush").await;
    assert_eq!(world.send(post()).await.status, 201);
}

#[tokio::test]
async fn of_creations_at_the_same_time_with_one_key_each_is_answered_alike() {
    let world = World::new().await;
    let post = || world.send(Ask::new("POST", "/movies").json(&rush()).header("Idempotency-Key", "k"));
    let (a, b, c) = tokio::join!(post(), post(), post());
    assert_eq!([a.status, b.status, c.status], [201; 3]);
}
