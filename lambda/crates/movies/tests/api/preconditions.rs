use super::App;
use serde_json::json;
use testkit::{RequestBuilder, sample::rush};

fn put(name: &str, value: &str) -> RequestBuilder {
    RequestBuilder::new("PUT", "/movies/2013/Rush").json(&json!({ "info": { "rank": 9 } })).header(name, value)
}

#[tokio::test]
async fn a_put_happens_only_on_the_version_it_was_made_for() {
    let app = App::new().await;
    app.send(put("If-Match", "*")).await.assert_problem(412, "precondition_failed");
    app.send(put("If-Match", "\"0\"")).await.assert_problem(412, "precondition_failed");
    let etag = app.create(&rush()).await.etag();
    app.send(put("If-Match", "\"0\"")).await.assert_problem(412, "precondition_failed");
    app.send(put("If-Match", &format!("W/{etag}"))).await.assert_problem(412, "precondition_failed");
    assert_eq!(app.ask("GET", "/movies/2013/Rush").await.json(), rush());
    assert_eq!(app.send(put("If-Match", &format!("\"0\", {etag}"))).await.status, 200);
    app.send(put("If-Match", &etag)).await.assert_problem(412, "precondition_failed");
    assert_eq!(app.send(put("If-Match", "*")).await.status, 200);
}

#[tokio::test]
async fn a_put_that_may_only_create_does_not_replace() {
    let app = App::new().await;
    assert_eq!(app.send(put("If-None-Match", "*")).await.status, 201);
    app.send(put("If-None-Match", "*")).await.assert_problem(412, "precondition_failed");
    assert_eq!(app.send(put("If-None-Match", "\"0\"")).await.assert_problem(400, "invalid_request"), ["if-none-match"]);
    assert_eq!(app.send(put("If-None-Match", "*").header("If-Match", "*")).await.assert_problem(400, "invalid_request"), ["if-none-match"]);
}

#[tokio::test]
async fn a_patch_and_a_delete_happen_only_on_the_version_they_were_made_for() {
    let app = App::new().await;
    let etag = app.create(&rush()).await.etag();
    let patch =
        |value: &str| RequestBuilder::new("PATCH", "/movies/2013/Rush").json(&json!({ "info": { "rank": 3 } })).header("If-Match", value);
    let delete = |value: &str| RequestBuilder::new("DELETE", "/movies/2013/Rush").header("If-Match", value);
    app.send(patch("\"0\"")).await.assert_problem(412, "precondition_failed");
    app.send(delete("\"0\"")).await.assert_problem(412, "precondition_failed");
    let patched = app.send(patch(&etag)).await;
    assert_eq!(patched.status, 200);
    app.send(delete(&etag)).await.assert_problem(412, "precondition_failed");
    assert_eq!(app.send(delete(&patched.etag())).await.status, 204);
    app.send(delete("*")).await.assert_problem(404, "movie_not_found");
    app.send(patch("*")).await.assert_problem(404, "movie_not_found");
}

#[tokio::test]
async fn a_header_that_is_no_precondition_is_refused() {
    let app = App::new().await;
    app.create(&rush()).await;
    for method in ["PUT", "PATCH", "DELETE"] {
        let ask = RequestBuilder::new(method, "/movies/2013/Rush").json(&json!({})).header("If-Match", "0");
        assert_eq!(app.send(ask).await.assert_problem(400, "invalid_request"), ["if-match"], "{method}");
    }
    let ask = RequestBuilder::new("GET", "/movies/2013/Rush").header("If-None-Match", "\"");
    assert_eq!(app.send(ask).await.assert_problem(400, "invalid_request"), ["if-none-match"]);
}
