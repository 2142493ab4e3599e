//! The movies service: `GET /movies/<year>/<title>` and the other operations of `openapi.yaml`, on
//! two DynamoDB tables.
//!
//! A request flows through [`api`] (routes and status codes, no AWS) to [`domain`] (movies, nothing
//! else) and [`store`] (DynamoDB, no status codes). [`json`] reads and writes movies as documents.
//! The list of a movie's fields is in `domain/movie.rs`: the document, the item and the ETag follow
//! from it. The crate [`inbound`] has the entry points, AWS Lambda and an HTTP server, and the
//! layers around the router.
//!
//! Deliberately absent: a mock of the table (tests run on an emulator of DynamoDB) and a second
//! copy of the contract (`openapi.yaml` is the only one).

#![deny(clippy::print_stdout, clippy::print_stderr)]

pub mod api;
pub mod config;
pub mod domain;
pub mod json;
pub mod store;
mod trace;
