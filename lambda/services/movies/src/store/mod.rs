//! Movies in DynamoDB. A failed condition is an answer; everything else that goes wrong is a [`Fault`].
//!
//! Every write is a transaction, of one row most often. It costs two write units where a plain put costs one, and buys this:
//! each has a token (the SDK's), and for ten minutes DynamoDB answers a token that it has seen with what it did the first
//! time. So an answer may get lost and the call be made again, and still the write happens once and the caller hears how it
//! went. A plain put that is repeated meets the row that it wrote itself: refused by its own success, or written over what
//! somebody else put there in between.

mod condition;
mod connection;
mod fault;
pub mod item;
pub mod policy;
mod user_agent;

pub use fault::{Cause, Fault};

use crate::{
    config::Aws,
    domain::{ETag, InfoPatch, ListQuery, Movie, MovieId, Order, Position, Scope},
    trace,
};
use aws_sdk_dynamodb::{
    Client,
    config::{BehaviorVersion, Config, Region},
    error::BuildError,
    operation::transact_write_items::TransactWriteItemsError,
    types::{
        AttributeValue, Delete, Put as PutRow, ReturnValuesOnConditionCheckFailure,
        TransactWriteItem, Update,
    },
};
use condition::Condition;
use std::{
    io,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// What this store does to the tables, in IAM's words: the function's role allows this and no other. A wall holds the list to
/// the code, a test of the stack holds the role to the list. (A transaction is allowed what its parts are allowed.)
pub const OPERATIONS: [&str; 6] = [
    "GetItem",
    "Query",
    "Scan",
    "PutItem",
    "UpdateItem",
    "DeleteItem",
];

/// How long a creation is known by the caller's key for it.
pub const KEYS_ARE_KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// How often a put with no condition asks whether there is a row, should others make and delete it all the while.
const PUT_ROUNDS: usize = 2;

/// Pages that a list reads to find its first movie, should they be empty or hold no movie. Then the
/// caller gets an empty page and goes on from there.
const EMPTY_PAGES: usize = 5;

/// How current a read is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consistency {
    /// It may lack the writes of the last second, and costs half.
    Eventual,
    /// It has every write that was answered before.
    Strong,
}

/// A movie as it was read.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredMovie {
    /// The movie, as far as the item holds one. It may be beyond today's limits.
    pub movie: Movie,
    /// The ETag of all that the item holds.
    pub etag: ETag,
    /// Whether the item has all that this API writes, each part of its type; what is not is left
    /// out of the movie.
    pub is_well_formed: bool,
    item: item::Item,
}

impl StoredMovie {
    fn new(item: item::Item) -> Option<Self> {
        let (movie, etag) = (item::from_item(item.clone())?, item::etag(&item));
        Some(Self {
            movie,
            is_well_formed: item::is_well_formed(&item, &etag),
            etag,
            item,
        })
    }

    /// Whether all of this is what a movie would be stored as.
    ///
    /// # Errors
    /// None that a movie can cause.
    pub fn is_stored_as(&self, movie: &Movie) -> Result<bool, Fault> {
        Ok(self.etag == item::etag(&item::to_item(movie)?))
    }

    /// Whether a patch that names a field would change nothing.
    ///
    /// # Errors
    /// None that a patch can cause.
    pub fn has(&self, patch: &InfoPatch) -> Result<bool, Fault> {
        let is_empty = matches!(patch, InfoPatch::Fields { named, .. } if named.is_empty());
        Ok(!is_empty && item::patched(&self.item, patch)? == self.item)
    }
}

/// What became of a put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Put {
    /// There was none; now there is.
    Created(ETag),
    /// There was one; it is replaced.
    Replaced(ETag),
}

/// A part of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// In the list's order.
    pub movies: Vec<Movie>,
    /// Where the next part begins; `None` at the end.
    pub last: Option<Position>,
    /// Malformed items: served as far as they go, or left out if they are no movie at all.
    pub malformed: usize,
}

/// A caller's own key for a creation (`Idempotency-Key`).
#[derive(Clone, Copy, Debug)]
pub struct CreationKey<'a> {
    /// Whose key it is: others may use the same text.
    pub caller: &'a str,
    /// The key.
    pub key: &'a str,
    /// When it is used.
    pub now: SystemTime,
}

/// What became of a creation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Creation {
    /// There was none, now there is; or there has been since this key was used first, for the same movie.
    Done(ETag),
    /// There is one already.
    Exists,
    /// The key was used for another movie.
    KeyUsed,
}

/// The table of movies, and the one of what was created under which key.
#[derive(Clone, Debug)]
pub struct Store {
    client: Client,
    table: String,
    creations: String,
}

impl Store {
    /// Opens the tables under [`policy`]. Makes no call.
    ///
    /// # Errors
    /// There are no root certificates.
    pub fn open(table: String, creations: String, aws: Aws) -> io::Result<Self> {
        let mut config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(aws.region))
            .credentials_provider(aws.credentials)
            .http_client(connection::https(&aws.roots)?)
            .interceptor(user_agent::Ours);
        config.set_endpoint_url(aws.endpoint);
        Ok(Self {
            client: Client::from_conf(policy::apply(config).build()),
            table,
            creations,
        })
    }

    /// Reads a movie of a year that has none, so that the first request finds a connection open and signed for.
    ///
    /// # Errors
    /// The table cannot be read.
    pub async fn warm(&self) -> Result<(), Fault> {
        let request = self.client.get_item().table_name(&self.table);
        let nobody = [
            (item::YEAR, AttributeValue::N("0".into())),
            (item::TITLE, AttributeValue::S("-".into())),
        ];
        let request = nobody
            .into_iter()
            .fold(request, |request, (name, value)| request.key(name, value));
        request.send().await?;
        Ok(())
    }

    /// Reads one movie.
    ///
    /// # Errors
    /// A fault of the table or of the way to it.
    pub async fn get(
        &self,
        id: &MovieId,
        consistency: Consistency,
    ) -> Result<Option<StoredMovie>, Fault> {
        let request = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(item::key(id)));
        let request = request.consistent_read(consistency == Consistency::Strong);
        let answer = trace::call("GetItem", Box::pin(request.send())).await?;
        Ok(answer.item.and_then(StoredMovie::new))
    }

    /// Writes a movie whole, whatever is stored.
    ///
    /// # Errors
    /// A fault of the table or of the way to it.
    pub async fn put(&self, movie: &Movie) -> Result<Put, Fault> {
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
        Err(Fault::new(
            Cause::Conflict,
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
        current: Option<&StoredMovie>,
        movie: &Movie,
    ) -> Result<Option<ETag>, Fault> {
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
        current: &StoredMovie,
        patch: &InfoPatch,
    ) -> Result<Option<StoredMovie>, Fault> {
        let patched = item::patched(&current.item, patch)?;
        if patched == current.item {
            return Ok(Some(current.clone()));
        }
        let changes = item::changes(&current.item, &patched);
        let condition = Condition::as_read(&current.item);
        let update = Update::builder()
            .table_name(&self.table)
            .set_key(Some(item::key(current.movie.id())))
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
            StoredMovie::new(patched)
        } else {
            None
        })
    }

    /// Writes a movie that does not exist yet. With a key, the same creation again is answered as the first was, even after the
    /// movie has been changed or deleted; one that was refused is not remembered.
    ///
    /// # Errors
    /// A fault of the tables or of the way to them.
    pub async fn create(
        &self,
        movie: &Movie,
        key: Option<CreationKey<'_>>,
    ) -> Result<Creation, Fault> {
        let (write, etag) = self.put_item(movie, Condition::absent())?;
        let mut writes = vec![write];
        if let Some(key) = key {
            let now = key.now.duration_since(UNIX_EPOCH).unwrap_or_default();
            // The last of the writes: a conflict on it means that the same creation may be under
            // way; see policy.rs.
            writes.push(put(
                &self.creations,
                item::of_key(&key, &etag, now + KEYS_ARE_KEPT),
                Condition::expired(now),
            )?);
        }
        let unmet = self.write(writes).await?;
        // The key first: where it is known, the movie most often exists because of it.
        Ok(match unmet.iter().max_by_key(|(write, _)| *write) {
            None => Creation::Done(etag),
            Some((0, _)) => Creation::Exists,
            Some((_, known)) if item::made(known).as_ref() == Some(&etag) => Creation::Done(etag),
            Some(_) => Creation::KeyUsed,
        })
    }

    /// Deletes a movie, whatever is stored. Whether there was one.
    ///
    /// # Errors
    /// A fault of the table or of the way to it.
    pub async fn delete(&self, id: &MovieId) -> Result<bool, Fault> {
        self.delete_if(id, Condition::present()).await
    }

    /// Deletes a movie as it was read. Whether it was: else it has changed since.
    ///
    /// # Errors
    /// A fault of the table or of the way to it.
    pub async fn delete_as_read(&self, current: &StoredMovie) -> Result<bool, Fault> {
        self.delete_if(current.movie.id(), Condition::as_read(&current.item))
            .await
    }

    async fn delete_if(&self, id: &MovieId, condition: Condition) -> Result<bool, Fault> {
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
    ) -> Result<(TransactWriteItem, ETag), Fault> {
        let item = item::to_item(movie)?;
        let etag = item::etag(&item);
        Ok((put(&self.table, item, condition)?, etag))
    }

    /// Does all of these or nothing, once, however often the call has to be made. Gives the writes whose condition did not hold,
    /// by their place, each with the row that was there instead (empty for none).
    async fn write(
        &self,
        writes: Vec<TransactWriteItem>,
    ) -> Result<Vec<(usize, item::Item)>, Fault> {
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
        if policy::is_transient(reasons) {
            return Err(Fault::of_codes(
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
            Err(Fault::of_codes(
                reasons.iter().filter_map(|reason| reason.code()),
            ))
        } else {
            Ok(unmet)
        }
    }

    /// Reads one page of a list. It costs what it returns: a Query within one year or a Scan that
    /// stops at the limit. Only among items that are no movies it reads on, as many at a time as
    /// the largest page has.
    ///
    /// # Errors
    /// A fault of the table or of the way to it.
    pub async fn list(&self, query: &ListQuery, consistency: Consistency) -> Result<Page, Fault> {
        // One more than asked for tells whether there is a next page.
        let mut limit = i32::from(query.limit) + 1;
        let (mut last, mut malformed) = (query.after.clone(), 0);
        for _ in 0..EMPTY_PAGES {
            let (items, next) = self
                .page(
                    &query.scope,
                    limit,
                    last.as_ref().map(item::key_at),
                    consistency,
                )
                .await?;
            malformed += items
                .iter()
                .filter(|item| !item::is_well_formed(item, &item::etag(item)))
                .count();
            let mut movies: Vec<Movie> = items.into_iter().filter_map(item::from_item).collect();
            last = next.as_ref().and_then(item::position);
            if movies.len() > usize::from(query.limit) {
                movies.truncate(query.limit.into());
                last = movies.last().map(|movie| movie.id().into());
            }
            if last.is_none() || !movies.is_empty() {
                return Ok(Page {
                    movies,
                    last,
                    malformed,
                });
            }
            limit = i32::from(ListQuery::MAX_LIMIT) + 1;
        }
        Ok(Page {
            movies: Vec::new(),
            last,
            malformed,
        })
    }

    async fn page(
        &self,
        scope: &Scope,
        limit: i32,
        start: Option<item::Item>,
        consistency: Consistency,
    ) -> Result<(Vec<item::Item>, Option<item::Item>), Fault> {
        let is_consistent = consistency == Consistency::Strong;
        let (items, next) = match scope {
            Scope::All => {
                let request = self
                    .client
                    .scan()
                    .table_name(&self.table)
                    .limit(limit)
                    .set_exclusive_start_key(start);
                let request = request.consistent_read(is_consistent);
                let answer = trace::call("Scan", Box::pin(request.send())).await?;
                (answer.items, answer.last_evaluated_key)
            }
            Scope::Year {
                year,
                prefix,
                order,
            } => {
                let mut request = self
                    .client
                    .query()
                    .table_name(&self.table)
                    .limit(limit)
                    .set_exclusive_start_key(start)
                    .consistent_read(is_consistent)
                    .scan_index_forward(*order == Order::Ascending)
                    .expression_attribute_names("#year", item::YEAR)
                    .expression_attribute_values(
                        ":year",
                        AttributeValue::N(year.get().to_string()),
                    );
                request = match prefix {
                    None => request.key_condition_expression("#year = :year"),
                    Some(prefix) => request
                        .key_condition_expression("#year = :year AND begins_with(#title, :prefix)")
                        .expression_attribute_names("#title", item::TITLE)
                        .expression_attribute_values(
                            ":prefix",
                            AttributeValue::S(prefix.as_str().to_owned()),
                        ),
                };
                let answer = trace::call("Query", Box::pin(request.send())).await?;
                (answer.items, answer.last_evaluated_key)
            }
        };
        Ok((
            items.unwrap_or_default(),
            next.filter(|key| !key.is_empty()),
        ))
    }
}

fn put(table: &str, item: item::Item, condition: Condition) -> Result<TransactWriteItem, Fault> {
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

impl From<BuildError> for Fault {
    fn from(error: BuildError) -> Self {
        Self::new(Cause::Defect, error.to_string())
    }
}
