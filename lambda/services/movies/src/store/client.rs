//! The client of the tables, and the read of one movie.

use super::{Consistency, VersionedMovie, item, transaction::TransientClassifier};
use crate::{domain::MovieId, trace};
use aws_sdk_dynamodb::{Client, config::Builder, types::AttributeValue};
use outbound::Error;
use outbound::aws::SdkConfig;

/// The table of movies, and the table of idempotency keys.
#[derive(Clone, Debug)]
pub struct Store {
    pub(super) client: Client,
    pub(super) table: String,
    pub(super) creations: String,
}

impl Store {
    /// Creates a client of the tables. Sends no request.
    #[must_use]
    pub fn new(table: String, creations: String, config: &SdkConfig) -> Self {
        let config = Builder::from(config)
            .retry_partition(outbound::retry::partition("movies"))
            .retry_classifier(TransientClassifier);
        Self {
            client: Client::from_conf(config.build()),
            table,
            creations,
        }
    }

    /// Reads a movie that does not exist, so that the first request finds an open connection and a
    /// derived signing key.
    ///
    /// # Errors
    /// The table cannot be read.
    pub async fn prewarm_connection(&self) -> Result<(), Error> {
        let request = self.client.get_item().table_name(&self.table);
        let key = [
            (item::YEAR, AttributeValue::N("0".into())),
            (item::TITLE, AttributeValue::S("-".into())),
        ];
        let request = key
            .into_iter()
            .fold(request, |request, (name, value)| request.key(name, value));
        request.send().await?;
        Ok(())
    }

    /// Reads one movie.
    ///
    /// # Errors
    /// The table cannot be reached or fails.
    pub async fn get(
        &self,
        id: &MovieId,
        consistency: Consistency,
    ) -> Result<Option<VersionedMovie>, Error> {
        let request = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(item::key(id)));
        let request = request.consistent_read(consistency == Consistency::Strong);
        let response = trace::call("GetItem", Box::pin(request.send())).await?;
        Ok(response.item.and_then(VersionedMovie::new))
    }
}
