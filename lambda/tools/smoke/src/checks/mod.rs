//! Checks of a deployed API. Each check is independent and uses movies of its own, in the last year
//! that the API accepts.
//!
//! To add a check, write a function in the module of its subject and add it to that module's
//! `CHECKS`. A function that is in no list is dead code, which `make lint` rejects.

mod authorization;
mod bodies;
mod fixture;
mod list;
mod movies;
mod routes;

use anyhow::{Result, ensure};

pub(crate) use crate::checks::fixture::Fixture;
use crate::{api::encode, movie::MoviePageBody};

/// The year of all movies that a run creates.
pub(crate) const YEAR: u16 = 2100;

pub(crate) struct Check {
    pub(crate) name: &'static str,
    pub(crate) writes: bool,
    /// Whether the check concerns the gateway and not the function.
    pub(crate) needs_gateway: bool,
    pub(crate) run: fn(&Fixture) -> Result<()>,
}

const fn gateway(name: &'static str, run: fn(&Fixture) -> Result<()>) -> Check {
    Check {
        name,
        writes: false,
        needs_gateway: true,
        run,
    }
}

const fn reads(name: &'static str, run: fn(&Fixture) -> Result<()>) -> Check {
    Check {
        name,
        writes: false,
        needs_gateway: false,
        run,
    }
}

const fn writes(name: &'static str, run: fn(&Fixture) -> Result<()>) -> Check {
    Check {
        name,
        writes: true,
        needs_gateway: false,
        run,
    }
}

/// Returns all checks in the order in which they run.
pub(crate) fn all() -> impl Iterator<Item = &'static Check> {
    [
        authorization::CHECKS,
        routes::CHECKS,
        movies::CHECKS,
        list::CHECKS,
        bodies::CHECKS,
    ]
    .into_iter()
    .flatten()
}

/// Runs after all other checks, also after a run that was cancelled.
pub(crate) const NOTHING_IS_LEFT: Check = writes("no movie of this run is left", nothing_is_left);

fn nothing_is_left(fixture: &Fixture) -> Result<()> {
    let path = format!(
        "/movies?year={YEAR}&title_prefix={}&limit=100",
        encode(fixture.run)
    );
    let left: MoviePageBody = fixture.api.get(path).cleanup().expect(200)?.json()?;
    let titles: Vec<_> = left.movies.iter().map(|movie| &movie.title).collect();
    ensure!(
        titles.is_empty() && left.next.is_none(),
        "left behind: {titles:?}"
    );
    Ok(())
}
