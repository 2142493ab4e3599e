//! The movies that a check creates.

use std::cell::{Cell, RefCell};

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use ureq::http::Method;

use crate::{
    api::{Api, ApiResponse, encode, movie_path, movie_query},
    checks::YEAR,
    movie::MoviePageBody,
};

/// An API and the movies of one check. Their titles are unique to the run. The movies are deleted
/// when the fixture is dropped.
pub(crate) struct Fixture<'a> {
    pub(crate) api: &'a Api,
    pub(super) run: &'a str,
    pub(super) titles: RefCell<Vec<String>>,
    count: Cell<u32>,
}

impl<'a> Fixture<'a> {
    /// Titles of different attempts differ, so that an attempt is independent of leftovers of the
    /// previous one.
    pub(crate) fn new(api: &'a Api, run: &'a str, attempt: u32) -> Self {
        Self {
            api,
            run,
            titles: RefCell::default(),
            count: Cell::new(attempt * 1000),
        }
    }

    /// Returns a new title. Its movie is deleted at the end, whether or not the check created it.
    pub(super) fn title(&self, tail: &str) -> String {
        self.count.set(self.count.get() + 1);
        let title = format!("{} {} {tail}", self.run, self.count.get());
        self.titles.borrow_mut().push(title.clone());
        title
    }

    pub(super) fn create(&self, title: &str, info: Value) -> Result<ApiResponse> {
        let body = json!({"year": YEAR, "title": title, "info": info});
        self.api
            .call(Method::POST, "/movies")
            .json(body.to_string())
            .expect(201)
    }

    /// Creates a movie and returns its path and the response.
    pub(super) fn movie(&self) -> Result<(String, ApiResponse)> {
        let title = self.title("movie");
        let response = self.create(
            &title,
            json!({"directors": ["Ada Lovelace"], "rating": 8, "plot": "A check."}),
        )?;
        Ok((movie_path(YEAR, &title), response))
    }

    pub(super) fn list(&self, query: &str) -> Result<MoviePageBody> {
        self.api.get(format!("/movies?{query}")).expect(200)?.json()
    }

    /// Returns the titles of all pages. Fails after more than `most` movies, so that a cursor
    /// cannot lead in a circle.
    pub(super) fn walk(&self, query: &str, most: usize) -> Result<Vec<String>> {
        let mut titles = Vec::new();
        let mut page = self.list(query)?;
        loop {
            titles.extend(page.movies.into_iter().map(|movie| movie.title));
            ensure!(
                titles.len() <= most,
                "the list continues after {} movies where {most} were expected",
                titles.len()
            );
            match page.next {
                Some(next) => page = self.list(&format!("{query}&cursor={}", encode(&next)))?,
                None => return Ok(titles),
            }
        }
    }
}

impl Drop for Fixture<'_> {
    fn drop(&mut self) {
        for title in self.titles.borrow().iter() {
            // The run's last check reports movies that could not be deleted.
            let _ = self
                .api
                .call(Method::DELETE, movie_query(YEAR, title))
                .cleanup()
                .send_with_retries();
        }
    }
}
