//! Validates the entries of a file, on a thread that is a few batches ahead of the writing.

use std::fmt;
use std::io::Read;
use std::thread::{self, JoinHandle};

use movies::domain::Movie;
use movies::json::{FieldError, MAX_BODY_BYTES, read_movie};
use serde::de::IgnoredAny;
use thiserror::Error;
use tokio::sync::mpsc;

use crate::entries::{self, Position, ReadError};
use crate::table::BATCH_ITEMS;

/// A result of the reading thread.
pub(crate) enum Record {
    Movie(Position, Box<Movie>),
    Invalid(Position, InvalidEntry),
    /// The file ends with a page of the API's list that is not the last one.
    Continued,
    /// The rest of the file was not read.
    Failed(ReadError),
}

/// The records of a file, and the thread that reads them.
pub(crate) struct Records {
    pub(crate) receiver: mpsc::Receiver<Record>,
    pub(crate) reader: JoinHandle<()>,
}

/// The reasons why an entry is not a movie that the API accepts.
#[derive(Debug, Error)]
pub(crate) enum InvalidEntry {
    #[error("is longer than {MAX_BODY_BYTES} bytes")]
    TooLong,
    #[error("is not UTF-8")]
    NotUtf8,
    #[error("is not JSON: {message} at column {column}")]
    NotJson { message: String, column: usize },
    /// All invalid fields.
    #[error("{}", FieldErrors(.0))]
    Fields(Vec<FieldError>),
}

struct FieldErrors<'a>(&'a [FieldError]);

impl fmt::Display for FieldErrors<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            formatter.write_str(if index == 0 { "" } else { "; " })?;
            match error.field.as_str() {
                // An entry is not the body of a request.
                "body" => write!(formatter, "{}", error.message)?,
                field => write!(formatter, "{field} {}", error.message)?,
            }
        }
        Ok(())
    }
}

/// Starts a thread that reads and validates all entries.
pub(crate) fn records(file: impl Read + Send + 'static) -> Records {
    let (sender, receiver) = mpsc::channel(8 * BATCH_ITEMS);
    let reader = thread::spawn(move || {
        let end = entries::read(file, |position, text| {
            let record = match movie(text) {
                Ok(movie) => Record::Movie(position, Box::new(movie)),
                Err(error) => Record::Invalid(position, error),
            };
            // Fails when the writing side was aborted.
            sender.blocking_send(record).is_ok()
        });
        let last = match end {
            Ok(false) => return,
            Ok(true) => Record::Continued,
            Err(error) => Record::Failed(error),
        };
        let _ = sender.blocking_send(last);
    });
    Records { receiver, reader }
}

/// Validates an entry like the API.
pub(crate) fn movie(text: &[u8]) -> Result<Movie, InvalidEntry> {
    if text.len() > MAX_BODY_BYTES {
        return Err(InvalidEntry::TooLong);
    }
    let text = str::from_utf8(text).map_err(|_| InvalidEntry::NotUtf8)?;
    read_movie(text).map_err(|errors| match serde_json::from_str::<IgnoredAny>(text) {
        Ok(_) => InvalidEntry::Fields(errors),
        Err(error) => {
            let (line, column) = (error.line(), error.column());
            let message = error.to_string();
            let message = message.trim_end_matches(&format!(" at line {line} column {column}"));
            InvalidEntry::NotJson {
                message: message.to_owned(),
                column,
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &[u8]) -> String {
        movie(text).unwrap_err().to_string()
    }

    #[test]
    fn an_invalid_entry_is_reported_with_every_reason() {
        let reasons = error(br#"{"year": 1, "title": "", "info": {"rating": 11}}"#);
        for field in ["year ", "title ", "info.rating "] {
            assert!(reasons.contains(field), "{field} in {reasons}");
        }
        assert_eq!(
            error(b"{\"year\": 1931, \"title\" \"M\"}"),
            "is not JSON: expected `:` at column 24"
        );
        assert_eq!(error(b"[1931, \"M\"]"), "must be a JSON object");
        assert_eq!(error(b"{\"title\": \"\xff\"}"), "is not UTF-8");
        assert_eq!(
            error(&vec![b' '; MAX_BODY_BYTES + 1]),
            "is longer than 65536 bytes"
        );
    }

    #[test]
    fn every_movie_of_the_sample_is_valid() {
        let mut count = 0;
        entries::read(
            include_bytes!("../sample.json").as_slice(),
            |position, text| {
                count += 1;
                movie(text)
                    .map_err(|error| format!("{position}: {error}"))
                    .unwrap();
                true
            },
        )
        .unwrap();
        assert!(count >= 100, "{count}");
    }
}
