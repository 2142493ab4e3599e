//! Movies that this process has read not long ago. Off, unless `CACHE_TTL_SECONDS` says how long.

use super::Versioned;
use crate::domain::MovieId;
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

/// Movies that are kept at the most: 32 MB of them, were all as large as a body may be, and half of one as they are.
const MOVIES: usize = 500;

#[derive(Debug)]
pub(super) struct Cache {
    /// For how long a movie is kept; zero is off.
    ttl: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Each with when the request came that read it.
    movies: HashMap<MovieId, (SystemTime, Versioned)>,
    /// How many writes have ended.
    writes: u64,
}

impl Cache {
    pub(super) fn new(ttl: Duration) -> Self {
        Self { ttl, state: Mutex::default() }
    }

    pub(super) fn is_on(&self) -> bool {
        !self.ttl.is_zero()
    }

    pub(super) fn get(&self, id: &MovieId, now: SystemTime) -> Option<Versioned> {
        if !self.is_on() {
            return None;
        }
        let state = self.state();
        let (since, movie) = state.movies.get(id)?;
        self.is_fresh(*since, now).then(|| movie.clone())
    }

    /// To be asked for before a movie is read, and given to [`Cache::keep`] after.
    pub(super) fn writes(&self) -> u64 {
        if self.is_on() { self.state().writes } else { 0 }
    }

    /// Keeps what was read for a request that came at `now`, unless a write has ended since: it may be what that replaced.
    pub(super) fn keep(&self, id: &MovieId, movie: &Versioned, now: SystemTime, writes: u64) {
        if !self.is_on() {
            return;
        }
        let mut state = self.state();
        if state.writes != writes {
            return;
        }
        if state.movies.len() >= MOVIES && !state.movies.contains_key(id) {
            state.movies.retain(|_, (since, _)| self.is_fresh(*since, now));
        }
        // To look for the oldest of so few takes a hundredth of the time that the read took.
        if state.movies.len() >= MOVIES
            && let Some(oldest) = state.movies.iter().min_by_key(|(_, (since, _))| *since).map(|(id, _)| id.clone())
        {
            state.movies.remove(&oldest);
        }
        state.movies.insert(id.clone(), (now, movie.clone()));
    }

    /// Forgets a movie when what is returned is dropped: when a write of it has ended, in whichever way.
    pub(super) fn forget_after<'a>(&'a self, id: &'a MovieId) -> Forget<'a> {
        Forget { cache: self, id }
    }

    /// The wall clock goes on while Lambda has the process frozen; where it was set back nothing is known.
    fn is_fresh(&self, since: SystemTime, now: SystemTime) -> bool {
        now.duration_since(since).is_ok_and(|age| age < self.ttl)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[must_use = "the movie is forgotten when this is dropped"]
pub(super) struct Forget<'a> {
    cache: &'a Cache,
    id: &'a MovieId,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        if self.cache.is_on() {
            let mut state = self.cache.state();
            state.writes += 1;
            state.movies.remove(self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Movie, Title, Year};

    const TTL: Duration = Duration::from_secs(10);

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 + seconds)
    }

    fn movie(title: usize) -> Versioned {
        let id = MovieId { year: Year::new(2013).unwrap(), title: Title::new(title.to_string()).unwrap() };
        Versioned { movie: Movie::new(id, Default::default()).unwrap(), etag: None, whole: true }
    }

    /// A cache with one movie, read for a request that came at second 100.
    fn cache() -> (Cache, Versioned) {
        let (cache, movie) = (Cache::new(TTL), movie(0));
        cache.keep(movie.movie.id(), &movie, at(100), cache.writes());
        (cache, movie)
    }

    #[test]
    fn a_movie_is_kept_for_its_time_and_no_longer() {
        let (cache, movie) = cache();
        let id = movie.movie.id();
        assert_eq!(cache.get(id, at(109)).as_ref(), Some(&movie));
        assert_eq!(cache.get(id, at(110)), None);
        assert_eq!(cache.get(id, at(99)), None, "the clock was set back");
    }

    #[test]
    fn without_a_time_nothing_is_kept() {
        let (cache, movie) = (Cache::new(Duration::ZERO), movie(0));
        cache.keep(movie.movie.id(), &movie, at(100), cache.writes());
        assert_eq!(cache.get(movie.movie.id(), at(100)), None);
        assert!(cache.state().movies.is_empty());
    }

    #[test]
    fn a_write_is_the_end_of_what_was_kept_and_of_what_was_being_read() {
        let (cache, movie) = cache();
        let id = movie.movie.id();
        let reading = cache.writes();
        drop(cache.forget_after(id));
        assert_eq!(cache.get(id, at(101)), None);
        cache.keep(id, &movie, at(101), reading);
        assert_eq!(cache.get(id, at(101)), None, "it may be what was replaced");
        cache.keep(id, &movie, at(101), cache.writes());
        assert!(cache.get(id, at(101)).is_some());
    }

    #[test]
    fn of_too_many_movies_the_oldest_goes() {
        let (cache, first) = cache();
        for n in 1..=MOVIES {
            cache.keep(movie(n).movie.id(), &movie(n), at(101), cache.writes());
        }
        assert_eq!(cache.state().movies.len(), MOVIES);
        assert_eq!(cache.get(first.movie.id(), at(101)), None);
        assert!(cache.get(movie(MOVIES).movie.id(), at(101)).is_some());
    }
}
