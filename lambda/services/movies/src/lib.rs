//! The movies service: `GET /movies/<year>/<title>` and its kin, on one DynamoDB table.
//!
//! A request passes three rooms, each blind to the one before: [`http`] knows status codes and JSON but no AWS,
//! [`domain`] knows what a movie is and nothing else, [`store`] knows DynamoDB but no status code. Two doors lead in,
//! [`entry::lambda`] and [`entry::server`]: Lambda is a way in, not the application. All of them
//! log by [`log`].
//!
//! Deliberately absent: a web framework (four routes, and every rejection must be a problem document), a mock of the
//! table (tests run on an emulator of DynamoDB) and a second copy of the contract (`openapi.yaml` is the only one).

#![deny(clippy::print_stdout, clippy::print_stderr)]

pub mod config;
pub mod deadline;
pub mod domain;
pub mod entry;
pub mod http;
pub mod log;
pub mod store;
pub mod trace;
