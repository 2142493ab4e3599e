//! The two doors: AWS Lambda and a plain HTTP server. Each turns what arrives into a [`crate::http::Request`].

pub mod lambda;
pub mod server;
