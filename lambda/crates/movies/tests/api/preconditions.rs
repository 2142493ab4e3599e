use super::{Ask, World, rush};
use serde_json::json;

fn put(name: &str, value: &str) -> Ask {
    Ask::new("PUT", "/movies/2013/Rush").json(&json!({ "info": { "rank": 9 } })).header(name, value)
}

#[tokio::test]
async fn a_put_happens_only_on_the_version_it_was_made_for() {
    let world = World::new().await;
    world.send(put("If-Match", "*")).await.refused(412, "precondition_failed");
    world.send(put("If-Match", "\"0\"")).await.refused(412, "precondition_failed");
    let etag = world.create(&rush()).await.etag();
    world.send(put("If-Match", "\"0\"")).await.refused(412, "precondition_failed");
    world.send(put("If-Match", &format!("W/{etag}"))).await.refused(412, "precondition_failed");
    assert_eq!(world.ask("GET", "/movies/2013/Rush").await.json(), rush());
    assert_eq!(world.send(put("If-Match", &format!("\"0\", {etag}"))).await.status, 200);
    world.send(put("If-Match", &etag)).await.refused(412, "precondition_failed");
    assert_eq!(world.send(put("If-Match", "*")).await.status, 200);
}

#[tokio::test]
async fn a_put_that_may_only_create_does_not_replace() {
    let world = World::new().await;
    assert_eq!(world.send(put("If-None-Match", "*")).await.status, 201);
    world.send(put("If-None-Match", "*")).await.refused(412, "precondition_failed");
    assert_eq!(world.send(put("If-None-Match", "\"0\"")).await.refused(400, "invalid_request"), ["if-none-match"]);
    assert_eq!(world.send(put("If-None-Match", "*").header("If-Match", "*")).await.refused(400, "invalid_request"), ["if-none-match"]);
}

#[tokio::test]
async fn a_patch_and_a_delete_happen_only_on_the_version_they_were_made_for() {
    let world = World::new().await;
    let etag = world.create(&rush()).await.etag();
    let patch = |value: &str| Ask::new("PATCH", "/movies/2013/Rush").json(&json!({ "info": { "rank": 3 } })).header("If-Match", value);
    let delete = |value: &str| Ask::new("DELETE", "/movies/2013/Rush").header("If-Match", value);
    world.send(patch("\"0\"")).await.refused(412, "precondition_failed");
    world.send(delete("\"0\"")).await.refused(412, "precondition_failed");
    let patched = world.send(patch(&etag)).await;
    assert_eq!(patched.status, 200);
    world.send(delete(&etag)).await.refused(412, "precondition_failed");
    assert_eq!(world.send(delete(&patched.etag())).await.status, 204);
    world.send(delete("*")).await.refused(404, "movie_not_found");
    world.send(patch("*")).await.refused(404, "movie_not_found");
}

#[tokio::test]
async fn a_header_that_is_no_precondition_is_refused() {
    let world = World::new().await;
    world.create(&rush()).await;
    for method in ["PUT", "PATCH", "DELETE"] {
        let ask = Ask::new(method, "/movies/2013/Rush").json(&json!({})).header("If-Match", "0");
        assert_eq!(world.send(ask).await.refused(400, "invalid_request"), ["if-match"], "{method}");
    }
    let ask = Ask::new("GET", "/movies/2013/Rush").header("If-None-Match", "\"");
    assert_eq!(world.send(ask).await.refused(400, "invalid_request"), ["if-none-match"]);
}
