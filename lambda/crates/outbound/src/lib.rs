//! Clients of AWS services, configured once for all services of this workspace.
//!
//! - [`aws`] loads the SDK's configuration: region, endpoint, credentials, user agent.
//! - [`retry`] has every timeout and every number of retries.
//! - [`http_client`] is the HTTP and TLS client that the SDK sends with.
//! - [`error`] classifies errors by kinds that metrics and alarms count.
//!
//! This crate names no HTTP status code. The service decides which response a caller gets.

pub mod aws;
pub mod error;
pub mod http_client;
pub mod retry;
mod tls;

pub use error::{Error, ErrorKind};
