//! Checks of single movies: create, read, replace, patch and delete.

use crate::{
    api::{encode, movie_path, movie_query},
    checks::{Check, Fixture, YEAR, reads, writes},
    movie::{MovieBody, MoviePageBody},
};
use anyhow::{Context, Result, ensure};
use serde_json::json;
use ureq::http::Method;

pub(super) const CHECKS: &[Check] = &[
    reads("a missing movie gets 404", missing_movie_gets_404),
    writes(
        "a created movie is found at its Location",
        created_movie_is_at_its_location,
    ),
    writes(
        "a movie cannot be created twice",
        movie_cannot_be_created_twice,
    ),
    writes(
        "POST with the same Idempotency-Key is idempotent",
        create_with_same_key_is_idempotent,
    ),
    writes(
        "HEAD returns the headers of GET without a body",
        head_returns_headers_of_get,
    ),
    writes("a current copy gets 304", current_copy_gets_304),
    writes("PUT creates, then replaces", put_creates_then_replaces),
    writes("a stale If-Match gets 412", stale_if_match_gets_412),
    writes(
        "PATCH changes only the given fields",
        patch_changes_only_given_fields,
    ),
    writes("a deleted movie gets 404", deleted_movie_gets_404),
    writes(
        "special characters in titles are preserved",
        special_characters_are_preserved,
    ),
    writes(
        "titles that no path can carry are written by query",
        titles_without_a_path_are_written_by_query,
    ),
    writes(
        "numbers keep their exact value",
        numbers_keep_their_exact_value,
    ),
];

fn missing_movie_gets_404(fixture: &Fixture) -> Result<()> {
    let path = movie_path(YEAR, &format!("{} missing", fixture.run));
    fixture
        .api
        .get(&path)
        .expect_problem(404, "movie_not_found")?;
    let head = fixture.api.call(Method::HEAD, path).expect(404)?;
    ensure!(head.body.is_empty(), "HEAD has a body: {}", head.body);
    Ok(())
}

fn created_movie_is_at_its_location(fixture: &Fixture) -> Result<()> {
    let title = fixture.title("new: a/b & c+d");
    let body = json!({"year": YEAR, "title": title, "info": {
        "directors": ["Ada Lovelace", "Grace Hopper"], "release_date": "2100-02-28T00:00:00Z", "rating": 9, "genres": ["Drama"],
        "image_url": "https://example.com/a.jpg?b=c%20d", "plot": "“A check” is made – and cleaned up.", "rank": 1,
        "running_time_secs": 7380, "actors": ["Jiří"]
    }})
    .to_string();
    let sent: MovieBody = serde_json::from_str(&body)?;
    let created = fixture
        .api
        .call(Method::POST, "/movies")
        .json(body)
        .expect(201)?;
    created
        .json::<MovieBody>()?
        .ensure_equals(&sent)
        .context("the response to POST")?;
    let found = fixture
        .api
        .get(fixture.api.locate("/movies", created.header("Location")?)?)
        .expect(200)?;
    found
        .json::<MovieBody>()?
        .ensure_equals(&sent)
        .context("the response to GET")?;
    ensure!(
        found.header("ETag")? == created.header("ETag")?,
        "GET and POST give different ETags"
    );
    Ok(())
}

fn movie_cannot_be_created_twice(fixture: &Fixture) -> Result<()> {
    let title = fixture.title("twice");
    fixture.create(&title, json!({"rank": 1}))?;
    let again = json!({"year": YEAR, "title": title, "info": {"rank": 2}}).to_string();
    fixture
        .api
        .call(Method::POST, "/movies")
        .json(again)
        .expect_problem(409, "movie_exists")?;
    let kept = fixture
        .api
        .get(movie_path(YEAR, &title))
        .expect(200)?
        .json::<MovieBody>()?;
    ensure!(
        kept.info["rank"].get() == "1",
        "the rejected POST changed the movie"
    );
    Ok(())
}

fn create_with_same_key_is_idempotent(fixture: &Fixture) -> Result<()> {
    let (title, other) = (fixture.title("again"), fixture.title("another"));
    let body = |title: &str| json!({"year": YEAR, "title": title}).to_string();
    let key = title.replace(' ', "-");
    let post = |title: &str| {
        fixture
            .api
            .call(Method::POST, "/movies")
            .header("Idempotency-Key", &key)
            .json(body(title))
    };
    let (first, again) = (post(&title).expect(201)?, post(&title).expect(201)?);
    ensure!(
        first.header("ETag")? == again.header("ETag")?,
        "the second response has another ETag"
    );
    post(&other).expect_problem(422, "idempotency_key_used")?;
    Ok(())
}

fn head_returns_headers_of_get(fixture: &Fixture) -> Result<()> {
    let (path, created) = fixture.movie()?;
    let head = fixture.api.call(Method::HEAD, path).expect(200)?;
    ensure!(head.body.is_empty(), "HEAD has a body: {}", head.body);
    ensure!(
        head.header("ETag")? == created.header("ETag")?,
        "HEAD and POST give different ETags"
    );
    Ok(())
}

fn current_copy_gets_304(fixture: &Fixture) -> Result<()> {
    let (path, created) = fixture.movie()?;
    let unchanged = fixture
        .api
        .get(&path)
        .header("If-None-Match", created.header("ETag")?)
        .expect(304)?;
    ensure!(
        unchanged.body.is_empty(),
        "304 has a body: {}",
        unchanged.body
    );
    fixture
        .api
        .get(&path)
        .header("If-None-Match", r#""00000000000000000000000000000000""#)
        .expect(200)?;
    Ok(())
}

fn put_creates_then_replaces(fixture: &Fixture) -> Result<()> {
    let path = movie_path(YEAR, &fixture.title("put"));
    let put = || fixture.api.call(Method::PUT, &path);
    put()
        .header("If-None-Match", "*")
        .json(r#"{"info":{"rank":1}}"#)
        .expect(201)?;
    put()
        .header("If-None-Match", "*")
        .json(r#"{"info":{"rank":2}}"#)
        .expect_problem(412, "precondition_failed")?;
    put().json(r#"{"info":{"plot":"Replaced."}}"#).expect(200)?;
    let movie = fixture.api.get(&path).expect(200)?.json::<MovieBody>()?;
    ensure!(
        movie.info.keys().eq(["plot"]),
        "a replaced movie still has fields of the old one: {:?}",
        movie.info.keys()
    );
    Ok(())
}

fn stale_if_match_gets_412(fixture: &Fixture) -> Result<()> {
    let (path, created) = fixture.movie()?;
    let first = created.header("ETag")?;
    let second = fixture
        .api
        .call(Method::PUT, &path)
        .header("If-Match", first)
        .json(r#"{"info":{"rank":2}}"#)
        .expect(200)?;
    ensure!(
        second.header("ETag")? != first,
        "the ETag did not change with the content"
    );
    for method in [Method::PUT, Method::PATCH] {
        let stale = fixture
            .api
            .call(method, &path)
            .header("If-Match", first)
            .json(r#"{"info":{"rank":3}}"#);
        stale.expect_problem(412, "precondition_failed")?;
    }
    fixture
        .api
        .call(Method::DELETE, &path)
        .header("If-Match", first)
        .expect_problem(412, "precondition_failed")?;
    let kept = fixture.api.get(&path).expect(200)?;
    ensure!(
        kept.header("ETag")? == second.header("ETag")?,
        "a rejected write changed the movie"
    );
    Ok(())
}

fn patch_changes_only_given_fields(fixture: &Fixture) -> Result<()> {
    let (path, created) = fixture.movie()?;
    let patch = r#"{"info":{"rating":8.1,"plot":null}}"#;
    let patched = fixture
        .api
        .call(Method::PATCH, &path)
        .header("If-Match", created.header("ETag")?)
        .body("application/merge-patch+json", patch)
        .expect(200)?;
    let read = fixture.api.get(&path).expect(200)?;
    ensure!(
        read.header("ETag")? == patched.header("ETag")?,
        "GET and PATCH give different ETags"
    );
    let mut expected: MovieBody = created.json()?;
    expected.info.remove("plot");
    expected
        .info
        .insert("rating".to_owned(), serde_json::from_str("8.1")?);
    read.json::<MovieBody>()?.ensure_equals(&expected)?;
    let missing = movie_path(YEAR, &format!("{} missing", fixture.run));
    fixture
        .api
        .call(Method::PATCH, missing)
        .json(patch)
        .expect_problem(404, "movie_not_found")?;
    Ok(())
}

fn deleted_movie_gets_404(fixture: &Fixture) -> Result<()> {
    let (path, _) = fixture.movie()?;
    let deleted = fixture.api.call(Method::DELETE, &path).expect(204)?;
    ensure!(deleted.body.is_empty(), "204 has a body: {}", deleted.body);
    fixture
        .api
        .get(&path)
        .expect_problem(404, "movie_not_found")?;
    fixture
        .api
        .call(Method::DELETE, &path)
        .expect_problem(404, "movie_not_found")?;
    Ok(())
}

fn special_characters_are_preserved(fixture: &Fixture) -> Result<()> {
    for tail in [
        "a/b",
        "50/50?",
        "+1 + 1",
        "a & b",
        "#Horror",
        "100% Wolf",
        "%25",
        "%2F",
        "%E9",
        "'71 \"quoted\"",
        "[REC] (500) {x}",
        "Ca$h; a=b, c:d!",
        "back\\slash | ^ ` ~ * @",
        "千と千尋の神隠し",
        "Город Зеро",
        "ואלס עם באשיר",
        "e\u{301} is not é",
        "🎬👩‍🚀",
        "dots... in the middle ..x",
        "two  spaces",
    ] {
        let title = fixture.title(tail);
        let path = movie_path(YEAR, &title);
        fixture
            .api
            .call(Method::PUT, &path)
            .json("{}")
            .expect(201)
            .with_context(|| title.clone())?;
        let read: MovieBody = fixture
            .api
            .get(&path)
            .expect(200)
            .with_context(|| title.clone())?
            .json()?;
        ensure!(
            read.title == title,
            "{title:?} was returned as {:?}",
            read.title
        );
        let with_plain_slash = path.replace("%2F", "/");
        let read: MovieBody = fixture.api.get(with_plain_slash).expect(200)?.json()?;
        ensure!(
            read.title == title,
            "with a plain slash, {title:?} was returned as {:?}",
            read.title
        );
        let page = fixture.list(&format!("year={YEAR}&title={}", encode(&title)))?;
        ensure!(
            page.movies.len() == 1 && page.movies[0].title == title,
            "{title:?} is not found by the query form"
        );
    }
    Ok(())
}

fn titles_without_a_path_are_written_by_query(fixture: &Fixture) -> Result<()> {
    // Without `../`, which WAF's managed rules block as an attack.
    for tail in ["a//b", "/./a", "//", "/"] {
        let title = fixture.title(tail);
        let target = movie_query(YEAR, &title);
        let created = fixture
            .api
            .call(Method::PUT, &target)
            .header("If-None-Match", "*")
            .json("{}")
            .expect(201)?;
        let read = fixture.api.get(&target).expect(200)?;
        ensure!(
            read.header("ETag")? == created.header("ETag")?,
            "{title:?}: the query form and PUT give different ETags"
        );
        let first = created.header("ETag")?;
        let patch = |body| {
            fixture
                .api
                .call(Method::PATCH, &target)
                .header("If-Match", first)
                .json(body)
        };
        let patched = patch(r#"{"info":{"rank":1}}"#).expect(200)?;
        ensure!(
            patched.json::<MovieBody>()?.title == title,
            "{title:?} was patched as another movie"
        );
        patch(r#"{"info":{"rank":2}}"#).expect_problem(412, "precondition_failed")?;
        fixture
            .api
            .call(Method::DELETE, &target)
            .header("If-Match", patched.header("ETag")?)
            .expect(204)?;
        let left: MoviePageBody = fixture.api.get(&target).expect(200)?.json()?;
        ensure!(left.movies.is_empty(), "{title:?} was not deleted");
    }
    Ok(())
}

fn numbers_keep_their_exact_value(fixture: &Fixture) -> Result<()> {
    for rating in [
        "8.3",
        "7",
        "0.1",
        "1.2345678901234567890123456789012345678",
        "9.9999999999999999999999999999999999999",
    ] {
        let path = movie_path(YEAR, &fixture.title(rating));
        let info = format!(r#"{{"info":{{"rating":{rating},"rank":1000000000}}}}"#);
        fixture
            .api
            .call(Method::PUT, &path)
            .json(info)
            .expect(201)?;
        let read: MovieBody = fixture.api.get(&path).expect(200)?.json()?;
        for (field, sent) in [("rating", rating), ("rank", "1000000000")] {
            let text = read.info.get(field).map_or("nothing", |raw| raw.get());
            ensure!(text == sent, "{field} {sent} was returned as {text}");
        }
    }
    Ok(())
}
