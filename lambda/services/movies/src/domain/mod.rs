//! What a movie is, and what may be asked of a catalogue of them.
//!
//! Nothing here knows HTTP, AWS or serde: every type refuses nonsense in its constructor, so that the rest of the
//! service never asks again whether a value is good.

mod decimal;
mod etag;
mod list;
mod movie;

pub use decimal::Decimal;
pub use etag::ETag;
pub use list::{Cursor, ListQuery, Order, Position, Scope};
pub use movie::{FieldError, Info, InfoPatch, Movie, MovieId, Title, Year};
