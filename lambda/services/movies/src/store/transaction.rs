//! Writes. Each is a transaction, most often of one item.
//!
//! A transaction costs two write units where a plain put costs one. It has a token, which the SDK
//! sets: for ten minutes DynamoDB responds to a known token with the outcome of the first request.
//! If a response is lost and the request is sent again, the write therefore happens once and the
//! caller gets its outcome. A repeated plain put would find its own item and fail, or overwrite what
//! another writer put there in between.

use super::{
    CreateOutcome, IDEMPOTENCY_TTL, IdempotencyKey, Put, Store, VersionedMovie,
    condition::Condition, item, retry::PUT_ROUNDS,
};
use crate::{
    domain::{ETag, InfoPatch, Movie, MovieId},
    trace,
};
use aws_sdk_dynamodb::{
    config::{
        interceptors::InterceptorContext,
        retry::{ClassifyRetry, RetryAction},
    },
    error::ProvideErrorMetadata,
    operation::{
        get_item::GetItemError, query::QueryError, scan::ScanError,
        transact_write_items::TransactWriteItemsError,
    },
    types::{
        CancellationReason, Delete, Put as PutRow, ReturnValuesOnConditionCheckFailure,
        TransactWriteItem, Update,
    },
};
use aws_smithy_runtime_api::client::interceptors::context::Error as OperationError;
use outbound::{Error, ErrorKind};
use std::{error, time::UNIX_EPOCH};

impl Store {
    /// Writes a movie whole, whatever is stored.
    ///
    /// # Errors
    /// A fault of the table or of the way to it.
    pub async fn put(&self, movie: &Movie) -> Result<Put, Error> {
        // Two conditions are tried in turn: what is answered, created or replaced, is then as true
        // as the write itself. An item most often exists.
        for exists in [true, false].into_iter().cycle().take(2 * PUT_ROUNDS) {
            let condition = if exists {
                Condition::present()
            } else {
                Condition::absent()
            };
            let (write, etag) = self.put_item(movie, condition)?;
            if self.write(vec![write]).await?.is_empty() {
                return Ok(if exists {
                    Put::Replaced(etag)
                } else {
                    Put::Created(etag)
                });
            }
        }
        Err(Error::new(
            ErrorKind::Conflict,
            "the item came and went between writes",
        ))
    }

    /// Writes a movie whole in place of what was read, with all that this held; or, where nothing
    /// was, creates it. `None`: the item has changed since, and nothing was written.
    ///
    /// # Errors
    /// A fault of the table or of the way to it.
    pub async fn replace(
        &self,
        current: Option<&VersionedMovie>,
        movie: &Movie,
    ) -> Result<Option<ETag>, Error> {
        let condition = current.map_or_else(Condition::absent, |current| {
            Condition::as_read(&current.item)
        });
        let (write, etag) = self.put_item(movie, condition)?;
        Ok(self.write(vec![write]).await?.is_empty().then_some(etag))
    }

    /// Changes what a patch names of an item as it was read, and nothing else. `None`: the item has
    /// changed since, and nothing was written.
    ///
    /// # Errors
    /// A fault of the table or of the way to it.
    pub async fn patch(
        &self,
        current: &VersionedMovie,
        patch: &InfoPatch,
    ) -> Result<Option<VersionedMovie>, Error> {
        let patched = item::patched(&current.item, patch).map_err(Error::defect)?;
        if patched == current.item {
            return Ok(Some(current.clone()));
        }
        let changes = item::changes(&current.item, &patched);
        let condition = Condition::as_read(&current.item);
        let update = Update::builder()
            .table_name(&self.table)
            .set_key(Some(item::key(&current.movie.id)))
            .update_expression(changes.expression)
            .condition_expression(condition.expression)
            .set_expression_attribute_names(Some(
                changes.names.into_iter().chain(condition.names).collect(),
            ))
            .set_expression_attribute_values(Some(
                changes.values.into_iter().chain(condition.values).collect(),
            ))
            .build()?;
        let unmet = self
            .write(vec![TransactWriteItem::builder().update(update).build()])
            .await?;
        Ok(if unmet.is_empty() {
            VersionedMovie::new(patched)
        } else {
            None
        })
    }

    /// Creates a movie. With a key, repeating the request has the outcome of the first, even after
    /// the movie was changed or deleted. A creation that failed is not remembered.
    ///
    /// # Errors
    /// A fault of the tables or of the way to them.
    pub async fn create(
        &self,
        movie: &Movie,
        key: Option<IdempotencyKey<'_>>,
    ) -> Result<CreateOutcome, Error> {
        let (write, etag) = self.put_item(movie, Condition::absent())?;
        let mut writes = vec![write];
        if let Some(key) = key {
            let now = key.now.duration_since(UNIX_EPOCH).unwrap_or_default();
            // The last of the writes: a conflict on it means that the same creation may be under
            // way; see is_transient.
            writes.push(put(
                &self.creations,
                item::idempotency_item(&key, &etag, now + IDEMPOTENCY_TTL),
                Condition::expired(now),
            )?);
        }
        let unmet = self.write(writes).await?;
        // The key first: where it is known, the movie most often exists because of it.
        Ok(match unmet.iter().max_by_key(|(write, _)| *write) {
            None => CreateOutcome::Created(etag),
            Some((0, _)) => CreateOutcome::Exists,
            Some((_, known)) if item::has_etag(known, &etag) => CreateOutcome::Created(etag),
            Some(_) => CreateOutcome::IdempotencyConflict,
        })
    }

    /// Deletes a movie, whatever is stored. Whether there was one.
    ///
    /// # Errors
    /// A fault of the table or of the way to it.
    pub async fn delete(&self, id: &MovieId) -> Result<bool, Error> {
        self.delete_if(id, Condition::present()).await
    }

    /// Deletes a movie as it was read. Whether it was: else it has changed since.
    ///
    /// # Errors
    /// A fault of the table or of the way to it.
    pub async fn delete_as_read(&self, current: &VersionedMovie) -> Result<bool, Error> {
        self.delete_if(&current.movie.id, Condition::as_read(&current.item))
            .await
    }

    async fn delete_if(&self, id: &MovieId, condition: Condition) -> Result<bool, Error> {
        let delete = Delete::builder()
            .table_name(&self.table)
            .set_key(Some(item::key(id)))
            .condition_expression(&condition.expression)
            .set_expression_attribute_names(Some(condition.names.clone()))
            .set_expression_attribute_values(condition.values())
            .build()?;
        Ok(self
            .write(vec![TransactWriteItem::builder().delete(delete).build()])
            .await?
            .is_empty())
    }

    fn put_item(
        &self,
        movie: &Movie,
        condition: Condition,
    ) -> Result<(TransactWriteItem, ETag), Error> {
        let item = item::to_item(movie).map_err(Error::defect)?;
        let etag = item::etag(&item);
        Ok((put(&self.table, item, condition)?, etag))
    }

    /// Does all of these writes or none, and each once, however often the request is sent. Returns
    /// the writes whose condition failed, by their index, each with the item that was there instead
    /// (empty if there was none).
    async fn write(
        &self,
        writes: Vec<TransactWriteItem>,
    ) -> Result<Vec<(usize, item::Item)>, Error> {
        let request = self
            .client
            .transact_write_items()
            .set_transact_items(Some(writes));
        let error = match trace::call("TransactWriteItems", Box::pin(request.send())).await {
            Ok(_) => return Ok(Vec::new()),
            Err(error) => error,
        };
        let Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) =
            error.as_service_error()
        else {
            return Err(error.into());
        };
        let reasons = cancelled.cancellation_reasons();
        if is_transient(reasons) {
            return Err(Error::from_codes(
                reasons.iter().filter_map(|reason| reason.code()),
            ));
        }
        let unmet = reasons
            .iter()
            .enumerate()
            .filter(|(_, reason)| reason.code() == Some("ConditionalCheckFailed"));
        let unmet: Vec<_> = unmet
            .map(|(write, reason)| (write, reason.item().cloned().unwrap_or_default()))
            .collect();
        if unmet.is_empty() {
            Err(Error::from_codes(
                reasons.iter().filter_map(|reason| reason.code()),
            ))
        } else {
            Ok(unmet)
        }
    }
}

fn put(table: &str, item: item::Item, condition: Condition) -> Result<TransactWriteItem, Error> {
    let put = PutRow::builder()
        .table_name(table)
        .set_item(Some(item))
        .condition_expression(&condition.expression)
        .set_expression_attribute_names(Some(condition.names.clone()))
        .set_expression_attribute_values(condition.values())
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
        .build()?;
    Ok(TransactWriteItem::builder().put(put).build())
}

/// Whether a cancelled transaction can succeed when it is repeated: only conflicts and a lack of
/// capacity stopped it, or these stopped its last write. DynamoDB prepares each item on its own. A
/// creation that races its own retry can find the movie written (a failed condition) while the key,
/// its last write, is still locked by the first (a conflict). The response depends on the key, so
/// the key must be readable first.
fn is_transient(reasons: &[CancellationReason]) -> bool {
    let passes = |code: &str| {
        matches!(
            code,
            "TransactionConflict" | "ThrottlingError" | "ProvisionedThroughputExceeded"
        )
    };
    let codes = || reasons.iter().map(|reason| reason.code().unwrap_or("None"));
    codes().all(|code| code == "None" || passes(code)) || codes().next_back().is_some_and(passes)
}

/// Retries what the SDK does not: transactions that were cancelled for a transient reason, and
/// requests that KMS throttled.
#[derive(Debug)]
pub(super) struct TransientClassifier;

impl ClassifyRetry for TransientClassifier {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let error = context
            .output_or_error()
            .and_then(Result::err)
            .and_then(|error| error.as_operation_error());
        let Some(error) = error else {
            return RetryAction::NoActionIndicated;
        };
        let retries = match error.downcast_ref() {
            Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
                is_transient(cancelled.cancellation_reasons())
            }
            _ => code(error).and_then(ErrorKind::from_code) == Some(ErrorKind::Throttled),
        };
        if retries {
            RetryAction::throttling_error()
        } else {
            RetryAction::NoActionIndicated
        }
    }

    fn name(&self) -> &'static str {
        "transient"
    }
}

/// The code of an error of any operation of this store.
fn code(error: &OperationError) -> Option<&str> {
    fn of<E: ProvideErrorMetadata + error::Error + Send + Sync + 'static>(
        error: &OperationError,
    ) -> Option<&str> {
        error.downcast_ref::<E>()?.code()
    }
    of::<GetItemError>(error)
        .or_else(|| of::<QueryError>(error))
        .or_else(|| of::<ScanError>(error))
        .or_else(|| of::<TransactWriteItemsError>(error))
}
