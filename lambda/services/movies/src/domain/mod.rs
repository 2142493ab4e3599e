//! A movie, and the queries on a catalogue of movies.
//!
//! Nothing here depends on HTTP, AWS or serde. The constructor of every type rejects invalid
//! values, so that the rest of the service never checks them again.

mod etag;
mod list;
mod movie;

pub use etag::ETag;
pub use inbound::decimal::Decimal;
pub use list::{ListQuery, Listing, Order, Position};
pub use movie::{
    Field, FieldMut, Info, InfoPatch, InvalidField, InvalidInfo, InvalidTitle, InvalidYear, Movie,
    MovieId, StoredMovie, Title, ValidInfo, Year,
};
