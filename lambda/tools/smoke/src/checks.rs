//! What a deployed environment has to do. Each check stands alone, on movies of its own in the last year the API takes.

use std::cell::{Cell, RefCell};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use ureq::http::Method;

use crate::api::{Answer, Api, encode, movie_path, movie_query};
use crate::movie::{MovieBody, MoviePageBody};

/// Movies of the run live here, and nobody else's are expected to.
const YEAR: u16 = 2100;
const BODY_LIMIT_BYTES: usize = 64 * 1024;

pub(crate) struct Check {
    pub(crate) name: &'static str,
    pub(crate) writes: bool,
    /// What is checked is the gateway's doing, not the function's.
    pub(crate) of_gateway: bool,
    pub(crate) run: fn(&Scratch) -> Result<()>,
}

const fn gateway(name: &'static str, run: fn(&Scratch) -> Result<()>) -> Check {
    Check {
        name,
        writes: false,
        of_gateway: true,
        run,
    }
}

const fn reads(name: &'static str, run: fn(&Scratch) -> Result<()>) -> Check {
    Check {
        name,
        writes: false,
        of_gateway: false,
        run,
    }
}

const fn writes(name: &'static str, run: fn(&Scratch) -> Result<()>) -> Check {
    Check {
        name,
        writes: true,
        of_gateway: false,
        run,
    }
}

pub(crate) const CHECKS: &[Check] = &[
    gateway(
        "requests without a token get 401",
        without_a_token_nothing_is_answered,
    ),
    gateway("forged tokens are rejected", a_made_up_token_is_refused),
    gateway(
        "a 401 names the scopes and links to the documentation",
        a_401_names_the_scopes,
    ),
    reads("health and version respond", health_and_version_answer),
    reads("a missing movie is 404", a_missing_movie_is_a_404),
    reads(
        "unknown paths get 404, with and without a token",
        unknown_paths_get_404,
    ),
    reads(
        "the root links to the contract",
        the_root_links_to_the_contract,
    ),
    reads(
        "an invalid query is rejected with each parameter named",
        an_invalid_query_is_refused,
    ),
    reads(
        "a page of the whole list can be read",
        a_page_of_the_whole_list_can_be_read,
    ),
    writes(
        "clients without the write scope cannot write",
        nobody_can_write_who_may_not,
    ),
    writes(
        "a created movie is found at its Location",
        a_created_movie_is_found_at_its_location,
    ),
    writes(
        "a movie cannot be created twice",
        a_movie_cannot_be_created_twice,
    ),
    writes(
        "POST with the same Idempotency-Key is idempotent",
        a_creation_can_be_sent_again_with_its_key,
    ),
    writes(
        "HEAD returns the headers of GET without a body",
        head_answers_as_get,
    ),
    writes("a current copy gets 304", a_current_copy_is_not_sent_again),
    writes("PUT creates, then replaces", put_creates_then_replaces),
    writes(
        "a stale If-Match gets 412",
        a_stale_version_cannot_overwrite,
    ),
    writes(
        "PATCH changes only the given fields",
        patch_changes_what_it_names,
    ),
    writes("a deleted movie gets 404", a_deleted_movie_is_gone),
    writes(
        "a movie is listed by year, title and prefix",
        a_movie_is_listed,
    ),
    writes(
        "cursors visit every movie once in both directions",
        cursors_visit_every_movie_once,
    ),
    writes(
        "a cursor of another query is rejected",
        a_foreign_cursor_is_refused,
    ),
    writes(
        "special characters in titles are preserved",
        awkward_titles_come_back,
    ),
    writes(
        "titles that no path can carry are written by query",
        titles_that_no_path_carries_are_written_by_query,
    ),
    writes("numbers keep their exact value", numbers_come_back_exactly),
    writes(
        "ordinary mistakes are answered with the field named",
        ordinary_mistakes_are_answered_with_the_field_named,
    ),
    writes(
        "unknown methods get 405, with and without a token",
        unknown_methods_get_405,
    ),
    writes(
        "a body that does not match the path is rejected",
        a_contradiction_is_refused,
    ),
    writes(
        "a body of 64 KiB is accepted, a larger one rejected",
        the_body_limit_is_exact,
    ),
    writes(
        "other media types are rejected",
        another_media_type_is_refused,
    ),
];

/// After all the others, even those that were stopped.
pub(crate) const NOTHING_IS_LEFT: Check = writes("no movie of this run is left", nothing_is_left);

/// The run's own movies: titles that no other run has, deleted when the check that made them ends.
pub(crate) struct Scratch<'a> {
    pub(crate) api: &'a Api,
    run: &'a str,
    made: RefCell<Vec<String>>,
    count: Cell<u32>,
}

impl<'a> Scratch<'a> {
    /// `attempt` keeps a second try off what the first may have left.
    pub(crate) fn new(api: &'a Api, run: &'a str, attempt: u32) -> Self {
        Self {
            api,
            run,
            made: RefCell::default(),
            count: Cell::new(attempt * 1000),
        }
    }

    /// A title that will be cleaned up, whether or not the check gets to make the movie.
    fn title(&self, tail: &str) -> String {
        self.count.set(self.count.get() + 1);
        let title = format!("{} {} {tail}", self.run, self.count.get());
        self.made.borrow_mut().push(title.clone());
        title
    }

    fn create(&self, title: &str, info: Value) -> Result<Answer> {
        let body = json!({"year": YEAR, "title": title, "info": info});
        self.api
            .call(Method::POST, "/movies")
            .json(body.to_string())
            .expect(201)
    }

    /// A movie that is there, and its path.
    fn movie(&self) -> Result<(String, Answer)> {
        let title = self.title("movie");
        let answer = self.create(
            &title,
            json!({"directors": ["Ada Lovelace"], "rating": 8, "plot": "A check is made."}),
        )?;
        Ok((movie_path(YEAR, &title), answer))
    }

    fn list(&self, query: &str) -> Result<MoviePageBody> {
        self.api.get(format!("/movies?{query}")).expect(200)?.json()
    }

    /// Every page, by cursor; `most` bounds the walk should a cursor lead in a circle.
    fn walk(&self, query: &str, most: usize) -> Result<Vec<String>> {
        let mut titles = Vec::new();
        let mut page = self.list(query)?;
        loop {
            titles.extend(page.movies.into_iter().map(|movie| movie.title));
            ensure!(
                titles.len() <= most,
                "the list goes on after {} movies where {most} were expected",
                titles.len()
            );
            match page.next {
                Some(next) => page = self.list(&format!("{query}&cursor={}", encode(&next)))?,
                None => return Ok(titles),
            }
        }
    }
}

impl Drop for Scratch<'_> {
    fn drop(&mut self) {
        for title in self.made.borrow().iter() {
            // What could not be deleted is reported by the run's last check.
            let _ = self
                .api
                .call(Method::DELETE, movie_query(YEAR, title))
                .cleans_up()
                .send_patiently();
        }
    }
}

fn without_a_token_nothing_is_answered(scratch: &Scratch) -> Result<()> {
    for path in ["/movies", "/movies/2013/Rush", "/health", "/version"] {
        scratch
            .api
            .get(path)
            .token(None)
            .expect_refusal(401, "unauthorized")?;
    }
    Ok(())
}

fn a_made_up_token_is_refused(scratch: &Scratch) -> Result<()> {
    // A forger's best try: the real header and claims under a signature that is not theirs.
    let forged = match scratch.api.reader().rsplit_once('.') {
        Some((signed, signature)) => {
            format!("{signed}.{}", signature.chars().rev().collect::<String>())
        }
        None => bail!("the token endpoint gave something that is not a JWT"),
    };
    for token in ["garbage", forged.as_str()] {
        scratch
            .api
            .get("/health")
            .token(Some(token))
            .expect_unauthorized()?;
    }
    Ok(())
}

fn health_and_version_answer(scratch: &Scratch) -> Result<()> {
    let health: Value = scratch.api.get("/health").expect(200)?.json()?;
    ensure!(health == json!({"status": "ok"}), "health is {health}");
    let version: Value = scratch.api.get("/version").expect(200)?.json()?;
    for member in ["revision", "build"] {
        let text = version[member].as_str().unwrap_or_default();
        ensure!(!text.is_empty(), "version lacks {member}: {version}");
    }
    Ok(())
}

fn a_missing_movie_is_a_404(scratch: &Scratch) -> Result<()> {
    let path = movie_path(YEAR, &format!("{} never made", scratch.run));
    scratch
        .api
        .get(&path)
        .expect_problem(404, "movie_not_found")?;
    let head = scratch.api.call(Method::HEAD, path).expect(404)?;
    ensure!(head.body.is_empty(), "HEAD brought a body: {}", head.body);
    Ok(())
}

fn a_401_names_the_scopes(scratch: &Scratch) -> Result<()> {
    let body = json!({"year": YEAR, "title": "x"}).to_string();
    let post = scratch.api.call(Method::POST, "/movies").json(body);
    for call in [
        scratch.api.get("/health").token(None),
        post.token(Some(scratch.api.reader())),
    ] {
        let Some(problem) = call.expect_refusal(401, "unauthorized")? else {
            continue;
        };
        for scope in [
            "GET and HEAD need the scope movies/read",
            "all other methods movies/write",
        ] {
            scratch
                .api
                .expect_wording(problem.detail.contains(scope), || {
                    format!("{call}: detail is {:?}", problem.detail)
                });
        }
        let documentation = problem.documentation.unwrap_or_default();
        let links = documentation.starts_with("https://");
        scratch.api.expect_wording(links, || {
            format!("{call}: documentation is {documentation:?}")
        });
        let response = call.send()?;
        let challenge = response.header("WWW-Authenticate").unwrap_or_default();
        let names_realm = challenge.starts_with("Bearer realm=");
        scratch.api.expect_wording(names_realm, || {
            format!("{call}: WWW-Authenticate is {challenge:?}")
        });
    }
    Ok(())
}

/// No token, none that is one, and one of our own.
fn tokens<'a>(scratch: &'a Scratch<'_>) -> [Option<&'a str>; 3] {
    [None, Some("garbage"), Some(scratch.api.reader())]
}

fn unknown_paths_get_404(scratch: &Scratch) -> Result<()> {
    for path in ["/no-such-route", "/health/more", "/movies/2013"] {
        for token in tokens(scratch) {
            let Some(problem) = scratch
                .api
                .get(path)
                .token(token)
                .expect_refusal(404, "route_not_found")?
            else {
                continue;
            };
            let detail = problem.detail;
            scratch
                .api
                .expect_wording(detail == "No such route. See the API reference.", || {
                    format!("{path}: {detail}")
                });
        }
    }
    Ok(())
}

fn unknown_methods_get_405(scratch: &Scratch) -> Result<()> {
    for (method, path) in [
        (Method::DELETE, "/health"),
        (Method::POST, "/"),
        (Method::POST, "/movies/2013/Rush"),
    ] {
        for token in tokens(scratch) {
            let call = scratch.api.call(method.clone(), path).token(token);
            if call.expect_refusal(405, "method_not_allowed")?.is_some() {
                let allowed = call
                    .send()?
                    .header("Allow")
                    .is_ok_and(|allow| allow.starts_with("GET, HEAD"));
                scratch
                    .api
                    .expect_wording(allowed, || format!("{call}: Allow names no GET"));
            }
        }
    }
    Ok(())
}

fn the_root_links_to_the_contract(scratch: &Scratch) -> Result<()> {
    let root: Value = scratch.api.get("/").expect(200)?.json()?;
    let documentation = root["documentation"].as_str().unwrap_or_default();
    ensure!(
        documentation.starts_with("https://"),
        "the root links to no documentation: {root}"
    );
    let contract = root["contract"]
        .as_str()
        .context("the root links to no contract")?;
    let contract: Value = scratch.api.get(contract).expect(200)?.json()?;
    ensure!(
        contract["info"]["title"] == root["title"],
        "the contract is of {}",
        contract["info"]
    );
    let token_url = &contract["components"]["securitySchemes"]["oauth2"]["flows"]["clientCredentials"]
        ["tokenUrl"];
    ensure!(
        token_url == scratch.api.token_url(),
        "the contract's tokenUrl is {token_url}"
    );
    Ok(())
}

fn an_invalid_query_is_refused(scratch: &Scratch) -> Result<()> {
    for (query, fields) in [
        ("limit=0", &["limit"][..]),
        ("limit=101&colour=red", &["colour", "limit"]),
        ("year=1887", &["year"]),
        ("title=Rush", &["title"]),
        ("cursor=made-up", &["cursor"]),
        ("year=2013&sort=rating", &["sort"]),
    ] {
        scratch
            .api
            .get(format!("/movies?{query}"))
            .expect_fields(fields)?;
    }
    Ok(())
}

fn a_page_of_the_whole_list_can_be_read(scratch: &Scratch) -> Result<()> {
    let page = scratch.list("limit=3")?;
    ensure!(
        page.movies.len() <= 3,
        "{} movies in a page of 3",
        page.movies.len()
    );
    Ok(())
}

fn nobody_can_write_who_may_not(scratch: &Scratch) -> Result<()> {
    let title = scratch.title("read only");
    let path = movie_path(YEAR, &title);
    let body = json!({"year": YEAR, "title": title}).to_string();
    for token in [None, Some(scratch.api.reader())] {
        scratch
            .api
            .call(Method::POST, "/movies")
            .token(token)
            .json(&body)
            .expect_unauthorized()?;
        scratch
            .api
            .call(Method::PUT, &path)
            .token(token)
            .json(&body)
            .expect_unauthorized()?;
    }
    scratch
        .api
        .get(&path)
        .expect_problem(404, "movie_not_found")?;
    let created = scratch.create(&title, json!({}))?;
    for token in [None, Some(scratch.api.reader())] {
        scratch
            .api
            .call(Method::PATCH, &path)
            .token(token)
            .json(r#"{"info":{"rank":1}}"#)
            .expect_unauthorized()?;
        scratch
            .api
            .call(Method::DELETE, &path)
            .token(token)
            .expect_unauthorized()?;
    }
    let kept = scratch.api.get(&path).expect(200)?;
    ensure!(
        kept.header("ETag")? == created.header("ETag")?,
        "a refused write changed the movie"
    );
    Ok(())
}

fn a_created_movie_is_found_at_its_location(scratch: &Scratch) -> Result<()> {
    let title = scratch.title("new: a/b & c+d");
    let body = json!({"year": YEAR, "title": title, "info": {
        "directors": ["Ada Lovelace", "Grace Hopper"], "release_date": "2100-02-28T00:00:00Z", "rating": 9, "genres": ["Drama"],
        "image_url": "https://example.com/a.jpg?b=c%20d", "plot": "“A check” is made – and cleaned up.", "rank": 1,
        "running_time_secs": 7380, "actors": ["Jiří"]
    }})
    .to_string();
    let sent: MovieBody = serde_json::from_str(&body)?;
    let created = scratch
        .api
        .call(Method::POST, "/movies")
        .json(body)
        .expect(201)?;
    created
        .json::<MovieBody>()?
        .ensure_equals(&sent)
        .context("the answer to POST")?;
    let found = scratch
        .api
        .get(scratch.api.locate("/movies", created.header("Location")?)?)
        .expect(200)?;
    found
        .json::<MovieBody>()?
        .ensure_equals(&sent)
        .context("the answer to GET")?;
    ensure!(
        found.header("ETag")? == created.header("ETag")?,
        "GET and POST give different ETags"
    );
    Ok(())
}

fn a_movie_cannot_be_created_twice(scratch: &Scratch) -> Result<()> {
    let title = scratch.title("twice");
    scratch.create(&title, json!({"rank": 1}))?;
    let again = json!({"year": YEAR, "title": title, "info": {"rank": 2}}).to_string();
    scratch
        .api
        .call(Method::POST, "/movies")
        .json(again)
        .expect_problem(409, "movie_exists")?;
    let kept = scratch
        .api
        .get(movie_path(YEAR, &title))
        .expect(200)?
        .json::<MovieBody>()?;
    ensure!(
        kept.info["rank"].get() == "1",
        "the refused POST changed the movie"
    );
    Ok(())
}

fn a_creation_can_be_sent_again_with_its_key(scratch: &Scratch) -> Result<()> {
    let (title, other) = (scratch.title("again"), scratch.title("another"));
    let body = |title: &str| json!({"year": YEAR, "title": title}).to_string();
    let key = title.replace(' ', "-");
    let post = |title: &str| {
        scratch
            .api
            .call(Method::POST, "/movies")
            .header("Idempotency-Key", &key)
            .json(body(title))
    };
    let (first, again) = (post(&title).expect(201)?, post(&title).expect(201)?);
    ensure!(
        first.header("ETag")? == again.header("ETag")?,
        "the second answer is another one"
    );
    post(&other).expect_problem(422, "idempotency_key_used")?;
    Ok(())
}

fn head_answers_as_get(scratch: &Scratch) -> Result<()> {
    let (path, created) = scratch.movie()?;
    let head = scratch.api.call(Method::HEAD, path).expect(200)?;
    ensure!(head.body.is_empty(), "HEAD brought a body: {}", head.body);
    ensure!(
        head.header("ETag")? == created.header("ETag")?,
        "HEAD and POST give different ETags"
    );
    Ok(())
}

fn a_current_copy_is_not_sent_again(scratch: &Scratch) -> Result<()> {
    let (path, created) = scratch.movie()?;
    let unchanged = scratch
        .api
        .get(&path)
        .header("If-None-Match", created.header("ETag")?)
        .expect(304)?;
    ensure!(
        unchanged.body.is_empty(),
        "304 brought a body: {}",
        unchanged.body
    );
    scratch
        .api
        .get(&path)
        .header("If-None-Match", r#""00000000000000000000000000000000""#)
        .expect(200)?;
    Ok(())
}

fn put_creates_then_replaces(scratch: &Scratch) -> Result<()> {
    let path = movie_path(YEAR, &scratch.title("put"));
    let put = || scratch.api.call(Method::PUT, &path);
    put()
        .header("If-None-Match", "*")
        .json(r#"{"info":{"rank":1}}"#)
        .expect(201)?;
    put()
        .header("If-None-Match", "*")
        .json(r#"{"info":{"rank":2}}"#)
        .expect_problem(412, "precondition_failed")?;
    put().json(r#"{"info":{"plot":"Replaced."}}"#).expect(200)?;
    let movie = scratch.api.get(&path).expect(200)?.json::<MovieBody>()?;
    ensure!(
        movie.info.keys().eq(["plot"]),
        "a replaced movie still has fields of the old one: {:?}",
        movie.info.keys()
    );
    Ok(())
}

fn a_stale_version_cannot_overwrite(scratch: &Scratch) -> Result<()> {
    let (path, created) = scratch.movie()?;
    let first = created.header("ETag")?;
    let second = scratch
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
        let stale = scratch
            .api
            .call(method, &path)
            .header("If-Match", first)
            .json(r#"{"info":{"rank":3}}"#);
        stale.expect_problem(412, "precondition_failed")?;
    }
    scratch
        .api
        .call(Method::DELETE, &path)
        .header("If-Match", first)
        .expect_problem(412, "precondition_failed")?;
    let kept = scratch.api.get(&path).expect(200)?;
    ensure!(
        kept.header("ETag")? == second.header("ETag")?,
        "a refused write changed the movie"
    );
    Ok(())
}

fn patch_changes_what_it_names(scratch: &Scratch) -> Result<()> {
    let (path, created) = scratch.movie()?;
    let patch = r#"{"info":{"rating":8.1,"plot":null}}"#;
    let patched = scratch
        .api
        .call(Method::PATCH, &path)
        .header("If-Match", created.header("ETag")?)
        .body("application/merge-patch+json", patch)
        .expect(200)?;
    let read = scratch.api.get(&path).expect(200)?;
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
    let missing = movie_path(YEAR, &format!("{} never made", scratch.run));
    scratch
        .api
        .call(Method::PATCH, missing)
        .json(patch)
        .expect_problem(404, "movie_not_found")?;
    Ok(())
}

fn a_deleted_movie_is_gone(scratch: &Scratch) -> Result<()> {
    let (path, _) = scratch.movie()?;
    let deleted = scratch.api.call(Method::DELETE, &path).expect(204)?;
    ensure!(
        deleted.body.is_empty(),
        "204 brought a body: {}",
        deleted.body
    );
    scratch
        .api
        .get(&path)
        .expect_problem(404, "movie_not_found")?;
    scratch
        .api
        .call(Method::DELETE, &path)
        .expect_problem(404, "movie_not_found")?;
    Ok(())
}

fn a_movie_is_listed(scratch: &Scratch) -> Result<()> {
    let title = scratch.title("listed + found?");
    scratch.create(&title, json!({}))?;
    let exact = scratch.list(&format!("year={YEAR}&title={}", encode(&title)))?;
    ensure!(
        exact.movies.len() == 1 && exact.movies[0].title == title,
        "title= gives {} movies",
        exact.movies.len()
    );
    let prefix = &title[..title.len() - 3];
    let by_prefix = scratch.list(&format!("year={YEAR}&title_prefix={}", encode(prefix)))?;
    ensure!(
        by_prefix.movies.len() == 1 && by_prefix.movies[0].title == title,
        "title_prefix= gives {} movies",
        by_prefix.movies.len()
    );
    // Other runs may be at work in the same year: only our own movie is looked for.
    let everything = scratch.walk(&format!("year={YEAR}&limit=100"), 100_000)?;
    let found = everything.iter().filter(|listed| **listed == title).count();
    ensure!(
        found == 1,
        "the list of the year holds the movie {found} times"
    );
    Ok(())
}

fn cursors_visit_every_movie_once(scratch: &Scratch) -> Result<()> {
    let group = scratch.title("page");
    let mut titles: Vec<String> = (0..5).map(|number| format!("{group} {number}")).collect();
    scratch.made.borrow_mut().extend(titles.iter().cloned());
    for title in &titles {
        scratch.create(title, json!({}))?;
    }
    let query = format!("year={YEAR}&title_prefix={}&limit=2", encode(&group));
    let forwards = scratch.walk(&query, titles.len())?;
    ensure!(forwards == titles, "the pages hold {forwards:?}");
    let backwards = scratch.walk(&format!("{query}&sort=-title"), titles.len())?;
    titles.reverse();
    ensure!(
        backwards == titles,
        "the pages of sort=-title hold {backwards:?}"
    );
    Ok(())
}

fn a_foreign_cursor_is_refused(scratch: &Scratch) -> Result<()> {
    let group = scratch.title("cursor");
    let titles = [format!("{group} 1"), format!("{group} 2")];
    scratch.made.borrow_mut().extend(titles.iter().cloned());
    for title in &titles {
        scratch.create(title, json!({}))?;
    }
    let query = format!("year={YEAR}&title_prefix={}&limit=1", encode(&group));
    let first = scratch.api.get(format!("/movies?{query}")).expect(200)?;
    let cursor = first
        .json::<MoviePageBody>()?
        .next
        .context("the first of two pages has no next")?;
    ensure!(
        first.header("Link")?.contains(r#"rel="next""#),
        "Link is {}",
        first.header("Link")?
    );
    let mut tampered = cursor.clone();
    let last = if tampered.pop() == Some('A') {
        'Q'
    } else {
        'A'
    };
    tampered.push(last);
    for (query, cursor) in [
        (query.as_str(), &tampered),
        ("year=2013", &cursor),
        (&format!("{query}&sort=-title"), &cursor),
    ] {
        let path = format!("/movies?{query}&cursor={}", encode(cursor));
        scratch
            .api
            .get(path)
            .expect_refusal(400, "invalid_request")?;
    }
    Ok(())
}

fn awkward_titles_come_back(scratch: &Scratch) -> Result<()> {
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
        let title = scratch.title(tail);
        let path = movie_path(YEAR, &title);
        scratch
            .api
            .call(Method::PUT, &path)
            .json("{}")
            .expect(201)
            .with_context(|| title.clone())?;
        let read: MovieBody = scratch
            .api
            .get(&path)
            .expect(200)
            .with_context(|| title.clone())?
            .json()?;
        ensure!(
            read.title == title,
            "{title:?} came back as {:?}",
            read.title
        );
        let as_it_is = path.replace("%2F", "/");
        let read: MovieBody = scratch.api.get(as_it_is).expect(200)?.json()?;
        ensure!(
            read.title == title,
            "with its slash as it is, {title:?} came back as {:?}",
            read.title
        );
        let page = scratch.list(&format!("year={YEAR}&title={}", encode(&title)))?;
        ensure!(
            page.movies.len() == 1 && page.movies[0].title == title,
            "{title:?} is not found by the query form"
        );
    }
    Ok(())
}

fn titles_that_no_path_carries_are_written_by_query(scratch: &Scratch) -> Result<()> {
    // Without `../`, which WAF's managed rules take for an attack.
    for tail in ["a//b", "/./a", "//", "/"] {
        let title = scratch.title(tail);
        let target = movie_query(YEAR, &title);
        let created = scratch
            .api
            .call(Method::PUT, &target)
            .header("If-None-Match", "*")
            .json("{}")
            .expect(201)?;
        let read = scratch.api.get(&target).expect(200)?;
        ensure!(
            read.header("ETag")? == created.header("ETag")?,
            "{title:?}: the query form and PUT give different ETags"
        );
        let first = created.header("ETag")?;
        let patch = |body| {
            scratch
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
        scratch
            .api
            .call(Method::DELETE, &target)
            .header("If-Match", patched.header("ETag")?)
            .expect(204)?;
        let left: MoviePageBody = scratch.api.get(&target).expect(200)?.json()?;
        ensure!(left.movies.is_empty(), "{title:?} was not deleted");
    }
    Ok(())
}

fn numbers_come_back_exactly(scratch: &Scratch) -> Result<()> {
    for rating in [
        "8.3",
        "7",
        "0.1",
        "1.2345678901234567890123456789012345678",
        "9.9999999999999999999999999999999999999",
    ] {
        let path = movie_path(YEAR, &scratch.title(rating));
        let info = format!(r#"{{"info":{{"rating":{rating},"rank":1000000000}}}}"#);
        scratch
            .api
            .call(Method::PUT, &path)
            .json(info)
            .expect(201)?;
        let read: MovieBody = scratch.api.get(&path).expect(200)?.json()?;
        for (field, sent) in [("rating", rating), ("rank", "1000000000")] {
            let text = read.info.get(field).map_or("nothing", |raw| raw.get());
            ensure!(text == sent, "{field} {sent} came back as {text}");
        }
    }
    Ok(())
}

/// What new clients get wrong. Nothing is written.
fn ordinary_mistakes_are_answered_with_the_field_named(scratch: &Scratch) -> Result<()> {
    let post = |body: &str| scratch.api.call(Method::POST, "/movies").json(body);
    for (body, field) in [
        (r#"{"title":"x"}"#, "year"),
        (r#"{"year":"2100","title":"x"}"#, "year"),
        (
            r#"{"year":2100,"title":"x","info":{"rating":11}}"#,
            "info.rating",
        ),
        (
            r#"{"year":2100,"title":"x","info":{"genre":["Drama"]}}"#,
            "info.genre",
        ),
        (
            r#"{"year":2100,"title":"x","info":{"release_date":"2100-02-28"}}"#,
            "info.release_date",
        ),
        (r#"{"year":2100,"title":"x""#, "body"),
        ("[]", "body"),
    ] {
        post(body)
            .expect_fields(&[field])
            .with_context(|| body.to_owned())?;
    }
    scratch
        .api
        .get("/movies?limit=500&colour=red")
        .expect_fields(&["colour", "limit"])?;
    // All mistakes of a body at once, those that a model of the gateway could not see among them.
    let body = r#"{"year":2100,"title":"a\u0007b","info":{"release_date":"2013-02-30T00:00:00Z","rating":11,"colour":"red"}}"#;
    post(body).expect_fields(&["info.colour", "info.rating", "info.release_date", "title"])?;
    let path = movie_path(YEAR, &scratch.title("mistakes"));
    let patch = r#"{"info":{"rating":11,"plot":null,"genre":null}}"#;
    let patch = scratch
        .api
        .call(Method::PATCH, path)
        .body("application/merge-patch+json", patch);
    patch.expect_fields(&["info.genre", "info.rating"])
}

fn a_contradiction_is_refused(scratch: &Scratch) -> Result<()> {
    let path = movie_path(YEAR, &scratch.title("contradicted"));
    for body in [r#"{"year":2099}"#, r#"{"title":"another"}"#] {
        scratch
            .api
            .call(Method::PUT, &path)
            .json(body)
            .expect_refusal(400, "invalid_request")?;
    }
    scratch
        .api
        .get(&path)
        .expect_problem(404, "movie_not_found")?;
    Ok(())
}

fn the_body_limit_is_exact(scratch: &Scratch) -> Result<()> {
    let path = movie_path(YEAR, &scratch.title("large"));
    let movie = r#"{"info":{"rank":1}}"#;
    let body = |bytes: usize| format!("{movie}{}", " ".repeat(bytes - movie.len()));
    scratch
        .api
        .call(Method::PUT, &path)
        .json(body(BODY_LIMIT_BYTES))
        .expect(201)?;
    scratch
        .api
        .call(Method::PUT, &path)
        .json(body(BODY_LIMIT_BYTES + 1))
        .expect_refusal(413, "payload_too_large")?;
    Ok(())
}

fn another_media_type_is_refused(scratch: &Scratch) -> Result<()> {
    let path = movie_path(YEAR, &scratch.title("text"));
    for media_type in ["text/plain", "application/xml"] {
        scratch
            .api
            .call(Method::PUT, &path)
            .body(media_type, "{}")
            .expect_refusal(415, "unsupported_media_type")?;
    }
    scratch
        .api
        .get(&path)
        .expect_problem(404, "movie_not_found")?;
    Ok(())
}

fn nothing_is_left(scratch: &Scratch) -> Result<()> {
    let path = format!(
        "/movies?year={YEAR}&title_prefix={}&limit=100",
        encode(scratch.run)
    );
    let left: MoviePageBody = scratch.api.get(path).cleans_up().expect(200)?.json()?;
    let titles: Vec<_> = left.movies.iter().map(|movie| &movie.title).collect();
    ensure!(
        titles.is_empty() && left.next.is_none(),
        "left behind: {titles:?}"
    );
    Ok(())
}
