//! Reads every movie of a file through the API and compares it. Then checks that the list contains
//! each movie exactly once.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use indicatif::{ProgressBar, ProgressStyle};

use crate::api::{Api, encode, movie_path};
use crate::movie::{MovieBody, MoviePageBody};

/// Number of differences that are printed; the others are only counted.
const SHOWN: usize = 20;

pub(crate) fn compare(api: &Api, file: &str, concurrency: usize) -> Result<()> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {file}"))?;
    let movies: Vec<MovieBody> = serde_json::from_str(&text)
        .with_context(|| format!("{file} is not a JSON array of movies"))?;
    ensure!(!movies.is_empty(), "{file} contains no movies");
    let mut listed_movies = Listed::new();
    for movie in &movies {
        let before = listed_movies.insert((movie.year, movie.title.clone()), (movie, 0));
        ensure!(
            before.is_none(),
            "{file} contains {} {:?} twice",
            movie.year,
            movie.title
        );
    }

    let start = Instant::now();
    let differences = read_each(api, &movies, concurrency);
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "{} of {} movies read and equal in {seconds:.1} s ({:.0} requests/s)",
        movies.len() - differences.len(),
        movies.len(),
        movies.len() as f64 / seconds
    );
    show(&differences);

    let start = Instant::now();
    let (pages, others, mut wrong) = walk(api, &mut listed_movies)?;
    wrong.extend(
        listed_movies
            .iter()
            .filter(|(_, (_, times))| *times != 1)
            .map(|((year, title), (_, times))| format!("{year} {title:?}: listed {times} times")),
    );
    println!(
        "list: {pages} pages in {:.1} s, {} of {} movies listed once and equal, \
         {others} not in the file",
        start.elapsed().as_secs_f64(),
        movies.len().saturating_sub(wrong.len()),
        movies.len()
    );
    show(&wrong);
    ensure!(
        differences.is_empty() && wrong.is_empty(),
        "the API and {file} differ"
    );
    Ok(())
}

fn read_each(api: &Api, movies: &[MovieBody], concurrency: usize) -> Vec<String> {
    let bar = ProgressBar::new(movies.len() as u64);
    if let Ok(style) = ProgressStyle::with_template("reading {bar:40} {pos}/{len} {per_sec} {eta}")
    {
        bar.set_style(style);
    }
    let next = AtomicUsize::new(0);
    let differences = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..concurrency {
            scope.spawn(|| {
                while let Some(movie) = movies.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(error) = read_one(api, movie) {
                        let line = format!("{} {:?}: {error:#}", movie.year, movie.title);
                        differences
                            .lock()
                            .unwrap_or_else(|poisoned| poisoned.into_inner())
                            .push(line);
                    }
                    bar.inc(1);
                }
            });
        }
    });
    bar.finish_and_clear();
    differences
        .into_inner()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}

fn read_one(api: &Api, movie: &MovieBody) -> Result<()> {
    if survives_as_a_path(&movie.title) {
        let response = api
            .get(movie_path(movie.year, &movie.title))
            .send_with_retries()?;
        response.ensure_status(200)?;
        return response.json::<MovieBody>()?.ensure_equals(movie);
    }
    let response = api
        .get(format!(
            "/movies?year={}&title={}",
            movie.year,
            encode(&movie.title)
        ))
        .send_with_retries()?;
    response.ensure_status(200)?;
    let page: MoviePageBody = response.json()?;
    ensure!(
        page.movies.len() == 1,
        "the query form finds {} movies",
        page.movies.len()
    );
    page.movies[0].ensure_equals(movie)
}

/// Returns whether a title can be part of a path. Gateways normalise some paths; those movies are
/// read by the query form.
fn survives_as_a_path(title: &str) -> bool {
    !title
        .split('/')
        .any(|segment| matches!(segment, "" | "." | ".."))
}

/// The movies of the file, each with the number of times that the list contained it.
type Listed<'a> = HashMap<(u16, String), (&'a MovieBody, usize)>;

/// Reads the list. Returns the number of pages, the number of movies that are not in the file, and
/// the differences.
fn walk(api: &Api, listed_movies: &mut Listed) -> Result<(usize, usize, Vec<String>)> {
    let (mut pages, mut others, mut wrong) = (0, 0, Vec::new());
    let mut path = "/movies?limit=100".to_owned();
    let mut seen = HashSet::new();
    loop {
        let response = api.get(&path).send_with_retries()?;
        response.ensure_status(200).with_context(|| path.clone())?;
        let page: MoviePageBody = response.json()?;
        pages += 1;
        for listed in page.movies {
            match listed_movies.get_mut(&(listed.year, listed.title.clone())) {
                Some((movie, times)) => {
                    *times += 1;
                    if let Err(error) = listed.ensure_equals(movie) {
                        wrong.push(format!(
                            "{} {:?} in the list: {error:#}",
                            listed.year, listed.title
                        ));
                    }
                }
                None => others += 1,
            }
        }
        let Some(cursor) = page.next else {
            return Ok((pages, others, wrong));
        };
        path = format!("/movies?limit=100&cursor={}", encode(&cursor));
        ensure!(
            seen.insert(cursor),
            "the list repeats a cursor after {pages} pages"
        );
    }
}

fn show(lines: &[String]) {
    for line in lines.iter().take(SHOWN) {
        println!("  {line}");
    }
    if lines.len() > SHOWN {
        println!("  … and {} more", lines.len() - SHOWN);
    }
}

#[cfg(test)]
mod tests {
    use super::survives_as_a_path;

    #[test]
    fn titles_that_gateways_normalise_use_the_query_form() {
        for title in [
            "Rush",
            "50/50",
            "...And Justice for All",
            "V/H/S/2",
            "If....",
        ] {
            assert!(survives_as_a_path(title), "{title}");
        }
        for title in ["..", "a//b", "/edge", "edge/", "a/./b", "."] {
            assert!(!survives_as_a_path(title), "{title}");
        }
    }
}
