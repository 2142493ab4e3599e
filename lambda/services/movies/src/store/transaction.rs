//! Writes. Each is a transaction, usually of one item.
//!
//! A transaction costs two write units where a plain put costs one. It has a token, which the SDK
//! sets: for ten minutes DynamoDB responds to a known token with the outcome of the first request.
//! If a response is lost and the request is sent again, the write therefore happens once and the
//! caller gets its outcome. A repeated plain put would find its own item and fail, or overwrite
//! what another writer put there in between.

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
    /// Creates or replaces a movie.
    ///
    /// # Errors
    /// The table cannot be reached or fails.
    pub async fn put(&self, movie: &Movie) -> Result<Put, Error> {
        // Tries `exists` and then `does not exist`, so that the outcome, replaced or created, is
        // decided atomically with the write. Replacement is the common case and is tried first.
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

    /// Replaces the complete item that was read, or creates the movie if there was none. Returns
    /// `None` if the item has changed since; nothing was written then.
    ///
    /// # Errors
    /// The table cannot be reached or fails.
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

    /// Changes the attributes that a patch names in the item that was read. Returns `None` if the
    /// item has changed since; nothing was written then.
    ///
    /// # Errors
    /// The table cannot be reached or fails.
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

    /// Creates a movie. With a key, a repeated request has the outcome of the first, even after the
    /// movie was changed or deleted. A failed creation does not use up its key.
    ///
    /// # Errors
    /// The tables cannot be reached or fail.
    pub async fn create(
        &self,
        movie: &Movie,
        key: Option<IdempotencyKey<'_>>,
    ) -> Result<CreateOutcome, Error> {
        let (write, etag) = self.put_item(movie, Condition::absent())?;
        let mut writes = vec![write];
        if let Some(key) = key {
            let now = key.now.duration_since(UNIX_EPOCH).unwrap_or_default();
            // The key must be the last write, because a conflict on it means that the same creation
            // may be in progress; see is_transient.
            writes.push(put(
                &self.creations,
                item::idempotency_item(&key, &etag, now + IDEMPOTENCY_TTL),
                Condition::expired(now),
            )?);
        }
        let unmet = self.write(writes).await?;
        // Checks the key first: if it is known, the movie usually exists because of it.
        Ok(match unmet.iter().max_by_key(|(write, _)| *write) {
            None => CreateOutcome::Created(etag),
            Some((0, _)) => CreateOutcome::Exists,
            Some((_, known)) if item::has_etag(known, &etag) => CreateOutcome::Created(etag),
            Some(_) => CreateOutcome::IdempotencyConflict,
        })
    }

    /// Deletes a movie. Returns whether it existed.
    ///
    /// # Errors
    /// The table cannot be reached or fails.
    pub async fn delete(&self, id: &MovieId) -> Result<bool, Error> {
        self.delete_if(id, Condition::present()).await
    }

    /// Deletes a movie if it is unchanged since it was read. Returns whether it was deleted.
    ///
    /// # Errors
    /// The table cannot be reached or fails.
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

    /// Applies all of these writes or none, exactly once even if the request is retried. Returns
    /// the index of each write whose condition failed, with the existing item (empty if there was
    /// none).
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

/// Returns whether a cancelled transaction can succeed when it is retried: conflicts or throttling
/// are the only reasons, or the reason of its last write. DynamoDB prepares each item on its own. A
/// creation that races its own retry can find the movie written (a failed condition) while the key,
/// its last write, is still locked by the first (a conflict). The response depends on the key, so
/// the transaction is retried.
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

/// Returns the code of an error of any operation of this store.
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
