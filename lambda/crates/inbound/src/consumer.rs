//! The consumers of an API, and when they are rejected. A consumer that rotates its secret has two
//! clients, so that logs and metrics name the consumer and not the client.

use std::{collections::HashMap, time::SystemTime};

/// The clients that the environment knows, by their id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Consumers(HashMap<String, Consumer>);

/// The consumer that a client belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consumer {
    /// The name by which logs and metrics know it.
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
    /// The consumer of a client, if the environment knows it.
    pub(crate) fn of(&self, client_id: Option<&str>) -> Option<&Consumer> {
        self.0.get(client_id?)
    }
}

impl FromIterator<(String, Consumer)> for Consumers {
    fn from_iter<I: IntoIterator<Item = (String, Consumer)>>(clients: I) -> Self {
        Self(clients.into_iter().collect())
    }
}
