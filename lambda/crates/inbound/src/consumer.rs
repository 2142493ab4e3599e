//! Consumers of an API and their expiry. A consumer that rotates its secret has two clients, so
//! logs and metrics name the consumer.

use std::{collections::HashMap, time::SystemTime};

/// The configured consumers, by client id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Consumers(HashMap<String, Consumer>);

/// The consumer that a client belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consumer {
    /// The name in logs and metrics.
    pub name: String,
    /// The start of the first day, in UTC, on which its requests are rejected.
    pub expires: SystemTime,
}

impl Consumer {
    pub(crate) fn has_expired(&self, now: SystemTime) -> bool {
        now >= self.expires
    }
}

impl Consumers {
    /// Returns the consumer of a client, if one is configured.
    pub(crate) fn of(&self, client_id: Option<&str>) -> Option<&Consumer> {
        self.0.get(client_id?)
    }
}

impl FromIterator<(String, Consumer)> for Consumers {
    fn from_iter<I: IntoIterator<Item = (String, Consumer)>>(clients: I) -> Self {
        Self(clients.into_iter().collect())
    }
}
