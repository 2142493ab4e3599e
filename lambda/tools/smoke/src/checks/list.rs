//! Checks of the list: queries, pages and cursors.

use crate::{
    api::encode,
    checks::{Check, Fixture, YEAR, reads, writes},
    movie::MoviePageBody,
};
use anyhow::{Context, Result, ensure};
use serde_json::json;

pub(super) const CHECKS: &[Check] = &[
    reads(
        "an invalid query is rejected with each parameter named",
        invalid_query_is_rejected,
    ),
    reads(
        "a page of the complete list can be read",
        page_of_the_complete_list,
    ),
    writes(
        "a movie is listed by year, title and prefix",
        movie_is_listed,
    ),
    writes(
        "cursors visit every movie once in both directions",
        cursors_visit_every_movie_once,
    ),
    writes(
        "a cursor of another query is rejected",
        cursor_of_another_query_is_rejected,
    ),
];

fn invalid_query_is_rejected(fixture: &Fixture) -> Result<()> {
    for (query, fields) in [
        ("limit=0", &["limit"][..]),
        ("limit=101&colour=red", &["colour", "limit"]),
        ("year=1887", &["year"]),
        ("title=Rush", &["title"]),
        ("cursor=made-up", &["cursor"]),
        ("year=2013&sort=rating", &["sort"]),
    ] {
        fixture
            .api
            .get(format!("/movies?{query}"))
            .expect_fields(fields)?;
    }
    Ok(())
}

fn page_of_the_complete_list(fixture: &Fixture) -> Result<()> {
    let page = fixture.list("limit=3")?;
    ensure!(
        page.movies.len() <= 3,
        "{} movies in a page of 3",
        page.movies.len()
    );
    Ok(())
}

fn movie_is_listed(fixture: &Fixture) -> Result<()> {
    let title = fixture.title("listed + found?");
    fixture.create(&title, json!({}))?;
    let exact = fixture.list(&format!("year={YEAR}&title={}", encode(&title)))?;
    ensure!(
        exact.movies.len() == 1 && exact.movies[0].title == title,
        "title= gives {} movies",
        exact.movies.len()
    );
    let prefix = &title[..title.len() - 3];
    let by_prefix = fixture.list(&format!("year={YEAR}&title_prefix={}", encode(prefix)))?;
    ensure!(
        by_prefix.movies.len() == 1 && by_prefix.movies[0].title == title,
        "title_prefix= gives {} movies",
        by_prefix.movies.len()
    );
    // Other runs may use the same year, so only our own movie is counted.
    let everything = fixture.walk(&format!("year={YEAR}&limit=100"), 100_000)?;
    let found = everything.iter().filter(|listed| **listed == title).count();
    ensure!(
        found == 1,
        "the list of the year contains the movie {found} times"
    );
    Ok(())
}

fn cursors_visit_every_movie_once(fixture: &Fixture) -> Result<()> {
    let group = fixture.title("page");
    let mut titles: Vec<String> = (0..5).map(|number| format!("{group} {number}")).collect();
    fixture.titles.borrow_mut().extend(titles.iter().cloned());
    for title in &titles {
        fixture.create(title, json!({}))?;
    }
    let query = format!("year={YEAR}&title_prefix={}&limit=2", encode(&group));
    let forwards = fixture.walk(&query, titles.len())?;
    ensure!(forwards == titles, "the pages contain {forwards:?}");
    let backwards = fixture.walk(&format!("{query}&sort=-title"), titles.len())?;
    titles.reverse();
    ensure!(
        backwards == titles,
        "the pages of sort=-title contain {backwards:?}"
    );
    Ok(())
}

fn cursor_of_another_query_is_rejected(fixture: &Fixture) -> Result<()> {
    let group = fixture.title("cursor");
    let titles = [format!("{group} 1"), format!("{group} 2")];
    fixture.titles.borrow_mut().extend(titles.iter().cloned());
    for title in &titles {
        fixture.create(title, json!({}))?;
    }
    let query = format!("year={YEAR}&title_prefix={}&limit=1", encode(&group));
    let first = fixture.api.get(format!("/movies?{query}")).expect(200)?;
    let cursor = first
        .json::<MoviePageBody>()?
        .next
        .context("the first of two pages has no `next`")?;
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
        fixture
            .api
            .get(path)
            .expect_problem(400, "invalid_request")?;
    }
    Ok(())
}
