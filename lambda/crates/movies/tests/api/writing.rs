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
