//! Movies in DynamoDB. A failed condition is an answer; everything else that goes wrong is a [`Fault`].
//!
//! Every write is a transaction, of one row most often. It costs two write units where a plain put costs one, and buys this:
//! each has a token (the SDK's), and for ten minutes DynamoDB answers a token that it has seen with what it did the first
//! time. So an answer may get lost and the call be made again, and still the write happens once and the caller hears how it
//! went. A plain put that is repeated meets the row that it wrote itself: refused by its own success, or written over what
//! somebody else put there in between.

mod cache;
mod connection;
mod fault;
pub mod item;
pub mod policy;
mod user_agent;

pub use fault::{Cause, Fault};

use crate::{
    config::Aws,
    domain::{ETag, ListQuery, Movie, MovieId, Order, Precondition, Scope},
    trace,
};
use aws_sdk_dynamodb::{
    Client,
    config::{BehaviorVersion, Config, Region},
    error::BuildError,
    operation::transact_write_items::TransactWriteItemsError,
    types::{AttributeValue, Delete, Put as PutRow, ReturnValuesOnConditionCheckFailure, TransactWriteItem},
};
use cache::Cache;
use std::{
    io,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// What this store does to the tables, in IAM's words: the function's role allows this and no other. A wall holds the list to
/// the code, a test of the stack holds the role to the list. (A transaction is allowed what its parts are allowed.)
pub const OPERATIONS: [&str; 5] = ["GetItem", "Query", "Scan", "PutItem", "DeleteItem"];

/// How long a creation is known by the caller's key for it.
pub const KEYS_ARE_KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// How often a put with no condition asks whether there is a row, should others make and delete it all the while.
const PUT_ROUNDS: usize = 2;

/// Pages that a list may read to find its first movie, should they be empty or hold no movie.
const EMPTY_PAGES: usize = 5;

/// A movie and the version it is at. Rows written by others may lack the ETag; they can be read and replaced, but
/// satisfy no `If-Match` but `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versioned {
    /// The movie.
    pub movie: Movie,
    /// Its stored version.
    pub etag: Option<ETag>,
    /// Whether the row has all that this API writes, each part of its type; what is not is left out of the movie.
    pub whole: bool,
}

/// What became of a put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Put {
    /// There was none; now there is.
    Created(ETag),
    /// There was one; it is replaced.
    Replaced(ETag),
    /// The precondition did not hold; nothing was written.
    Refused,
}

/// What became of a delete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deleted {
    /// It is gone.
    Done,
    /// There was none.
    Absent,
    /// The precondition did not hold; nothing was deleted.
    Refused,
}

/// A part of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// In the list's order.
    pub movies: Vec<Movie>,
    /// Where the next part begins; `None` at the end.
    pub last: Option<MovieId>,
    /// Rows that are not whole: served as far as they go, or left out if they are no movie at all.
    pub damaged: usize,
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
    cache: Arc<Cache>,
}

impl Store {
    /// Opens the tables under [`policy`], and keeps what it reads for `cache_ttl`. Makes no call.
    ///
    /// # Errors
    /// There are no root certificates.
    pub fn open(table: String, creations: String, aws: Aws, cache_ttl: Duration) -> io::Result<Self> {
        let mut config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(aws.region))
            .credentials_provider(aws.credentials)
            .http_client(connection::https(policy::CONNECT, &aws.roots)?)
            .interceptor(user_agent::Ours);
        config.set_endpoint_url(aws.endpoint);
        Ok(Self { client: Client::from_conf(policy::apply(config).build()), table, creations, cache: Arc::new(Cache::new(cache_ttl)) })
    }

    /// Reads a movie of a year that has none, so that the first request finds a connection open and signed for.
    ///
    /// # Errors
    /// The table cannot be read.
    pub async fn warm(&self) -> Result<(), Fault> {
        let request = self.client.get_item().table_name(&self.table);
        let nobody = [(item::YEAR, AttributeValue::N("0".into())), (item::TITLE, AttributeValue::S("-".into()))];
        let request = nobody.into_iter().fold(request, |request, (name, value)| request.key(name, value));
        request.send().await?;
        Ok(())
    }

    /// Reads one movie for a request that came at `now`: as it was within the last second or so, or, with a cache, as this process
    /// left it and others left it not longer ago than the cache keeps it.
    ///
    /// # Errors
    /// A fault of the table or of the way to it.
    pub async fn get(&self, id: &MovieId, now: SystemTime) -> Result<Option<Versioned>, Fault> {
        if let Some(kept) = self.cache.get(id, now) {
            return Ok(Some(kept));
        }
        let writes = self.cache.writes();
        // What is kept is read consistently: else it could be older than a write of our own, and stay.
        let found = self.read(id, self.cache.is_on()).await?;
        if let Some(found) = &found {
            self.cache.keep(id, found, now, writes);
        }
        Ok(found)
    }

    /// Reads one movie as it is after every write so far.
    ///
    /// # Errors
    /// A fault of the table or of the way to it.
    pub async fn get_latest(&self, id: &MovieId) -> Result<Option<Versioned>, Fault> {
        // Nobody is to see an older one after this.
        let _forget = self.cache.forget_after(id);
        self.read(id, true).await
    }

    async fn read(&self, id: &MovieId, consistent: bool) -> Result<Option<Versioned>, Fault> {
        let request = self.client.get_item().table_name(&self.table).set_key(Some(item::key(id))).consistent_read(consistent);
        let answer = trace::call("GetItem", Box::pin(request.send())).await?;
        Ok(answer.item.and_then(|item| {
            let whole = item::is_whole(&item);
            item::from_item(item).map(|(movie, etag)| Versioned { movie, etag, whole })
        }))
    }

    /// Writes a movie whole.
    ///
    /// # Errors
    /// A fault of the table or of the way to it.
    pub async fn put(&self, movie: &Movie, precondition: &Precondition) -> Result<Put, Fault> {
        let _forget = self.cache.forget_after(movie.id());
        // Where nothing is asked, two conditions are tried in turn: what is answered, made or replaced, is then as true as the
        // write itself. A row most often exists.
        let either = [Precondition::Present, Precondition::Absent];
        let tried = if *precondition == Precondition::Unconditional { &either[..] } else { std::slice::from_ref(precondition) };
        for precondition in tried.iter().cycle().take(tried.len() * if tried.len() > 1 { PUT_ROUNDS } else { 1 }) {
            if self.write(vec![self.row(movie, precondition)?]).await?.is_empty() {
                let etag = ETag::of(movie);
                return Ok(if *precondition == Precondition::Absent { Put::Created(etag) } else { Put::Replaced(etag) });
            }
        }
        if tried.len() == 1 { Ok(Put::Refused) } else { Err(Fault::new(Cause::Conflict, "the row came and went between writes")) }
    }

    /// Writes a movie that does not exist yet. With a key, the same creation again is answered as the first was, even after the
    /// movie has been changed or deleted; one that was refused is not remembered.
    ///
    /// # Errors
    /// A fault of the tables or of the way to them.
    pub async fn create(&self, movie: &Movie, key: Option<CreationKey<'_>>) -> Result<Creation, Fault> {
        let _forget = self.cache.forget_after(movie.id());
        let etag = ETag::of(movie);
        let mut writes = vec![self.row(movie, &Precondition::Absent)?];
        if let Some(key) = key {
            let now = key.now.duration_since(UNIX_EPOCH).unwrap_or_default();
            // DynamoDB deletes what has expired within days, not at once.
            let condition = Condition::of_expired(now);
            writes.push(put(PutRow::builder()
                .table_name(&self.creations)
                .set_item(Some(item::of_key(&key, &etag, now + KEYS_ARE_KEPT)))
                .set_condition_expression(condition.expression)
                .set_expression_attribute_names(condition.names)
                .set_expression_attribute_values(condition.values))?);
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

    /// Deletes a movie.
    ///
    /// # Errors
    /// A fault of the table or of the way to it.
    pub async fn delete(&self, id: &MovieId, precondition: &Precondition) -> Result<Deleted, Fault> {
        let _forget = self.cache.forget_after(id);
        let condition = Condition::of(if *precondition == Precondition::Unconditional { &Precondition::Present } else { precondition });
        let delete = Delete::builder()
            .table_name(&self.table)
            .set_key(Some(item::key(id)))
            .set_condition_expression(condition.expression)
            .set_expression_attribute_names(condition.names)
            .set_expression_attribute_values(condition.values)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()?;
        let unmet = self.write(vec![TransactWriteItem::builder().delete(delete).build()]).await?;
        Ok(match unmet.first() {
            None => Deleted::Done,
            Some((_, found)) if found.is_empty() => Deleted::Absent,
            Some(_) => Deleted::Refused,
        })
    }

    fn row(&self, movie: &Movie, precondition: &Precondition) -> Result<TransactWriteItem, Fault> {
        let condition = Condition::of(precondition);
        put(PutRow::builder()
            .table_name(&self.table)
            .set_item(Some(item::to_item(movie)?))
            .set_condition_expression(condition.expression)
            .set_expression_attribute_names(condition.names)
            .set_expression_attribute_values(condition.values))
    }

    /// Does all of these or nothing, once, however often the call has to be made. Gives the writes whose condition did not hold,
    /// by their place, each with the row that was there instead (empty for none).
    async fn write(&self, writes: Vec<TransactWriteItem>) -> Result<Vec<(usize, item::Item)>, Fault> {
        let request = self.client.transact_write_items().set_transact_items(Some(writes));
        let error = match trace::call("TransactWriteItems", Box::pin(request.send())).await {
            Ok(_) => return Ok(Vec::new()),
            Err(error) => error,
        };
        let Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) = error.as_service_error() else {
            return Err(error.into());
        };
        let reasons = cancelled.cancellation_reasons();
        let unmet = reasons.iter().enumerate().filter(|(_, reason)| reason.code() == Some("ConditionalCheckFailed"));
        let unmet: Vec<_> = unmet.map(|(write, reason)| (write, reason.item().cloned().unwrap_or_default())).collect();
        if unmet.is_empty() { Err(Fault::of_codes(reasons.iter().filter_map(|reason| reason.code()))) } else { Ok(unmet) }
    }

    /// Reads one page of a list. It costs what it returns: a Query within one year or a Scan that stops at the limit.
    ///
    /// # Errors
    /// A fault of the table or of the way to it.
    pub async fn list(&self, query: &ListQuery) -> Result<Page, Fault> {
        // One more than asked for tells whether there is a next page.
        let limit = i32::from(query.limit) + 1;
        let mut start = query.after.as_ref().map(item::key);
        let mut damaged = 0;
        for _ in 0..EMPTY_PAGES {
            let (items, next) = self.page(&query.scope, limit, start.take()).await?;
            damaged += items.iter().filter(|item| !item::is_whole(item)).count();
            let mut movies: Vec<Movie> = items.into_iter().filter_map(item::from_item).map(|(movie, _)| movie).collect();
            if movies.len() > usize::from(query.limit) {
                movies.truncate(query.limit.into());
                let last = movies.last().map(|movie| movie.id().clone());
                return Ok(Page { movies, last, damaged });
            }
            let Some(next) = next else { return Ok(Page { movies, last: None, damaged }) };
            // A row that is no movie can be the last one read, and a cursor names a movie: then rows are read again.
            let last = item::id_of(&next).or_else(|| movies.last().map(|movie| movie.id().clone()));
            if !movies.is_empty() {
                return Ok(Page { movies, last, damaged });
            }
            start = Some(next);
        }
        Err(Fault::new(Cause::Garbled, format!("{EMPTY_PAGES} pages without a movie in a row")))
    }

    async fn page(&self, scope: &Scope, limit: i32, start: Option<item::Item>) -> Result<(Vec<item::Item>, Option<item::Item>), Fault> {
        let (items, next) = match scope {
            Scope::All => {
                let request = self.client.scan().table_name(&self.table).limit(limit).set_exclusive_start_key(start);
                let answer = trace::call("Scan", Box::pin(request.send())).await?;
                (answer.items, answer.last_evaluated_key)
            }
            Scope::Year { year, prefix, order } => {
                let mut request = self
                    .client
                    .query()
                    .table_name(&self.table)
                    .limit(limit)
                    .set_exclusive_start_key(start)
                    .scan_index_forward(*order == Order::Ascending)
                    .expression_attribute_names("#year", item::YEAR)
                    .expression_attribute_values(":year", AttributeValue::N(year.get().to_string()));
                request = match prefix {
                    None => request.key_condition_expression("#year = :year"),
                    Some(prefix) => request
                        .key_condition_expression("#year = :year AND begins_with(#title, :prefix)")
                        .expression_attribute_names("#title", item::TITLE)
                        .expression_attribute_values(":prefix", AttributeValue::S(prefix.as_str().to_owned())),
                };
                let answer = trace::call("Query", Box::pin(request.send())).await?;
                (answer.items, answer.last_evaluated_key)
            }
        };
        Ok((items.unwrap_or_default(), next.filter(|key| !key.is_empty())))
    }
}

fn put(row: aws_sdk_dynamodb::types::builders::PutBuilder) -> Result<TransactWriteItem, Fault> {
    let row = row.return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld).build()?;
    Ok(TransactWriteItem::builder().put(row).build())
}

impl From<BuildError> for Fault {
    fn from(error: BuildError) -> Self {
        Self::new(Cause::Defect, error.to_string())
    }
}

/// A precondition in DynamoDB's words.
#[derive(Default)]
struct Condition {
    expression: Option<String>,
    names: Option<std::collections::HashMap<String, String>>,
    values: Option<item::Item>,
}

impl Condition {
    fn of(precondition: &Precondition) -> Self {
        let on = |expression: String, name: &str| Self {
            expression: Some(expression),
            names: Some([("#a".to_owned(), name.to_owned())].into()),
            values: None,
        };
        match precondition {
            Precondition::Unconditional => Self::default(),
            Precondition::Absent => on("attribute_not_exists(#a)".into(), item::TITLE),
            Precondition::Present => on("attribute_exists(#a)".into(), item::TITLE),
            Precondition::Unversioned => {
                let mut condition = on("attribute_exists(#a) AND attribute_not_exists(#etag)".into(), item::TITLE);
                condition.names.get_or_insert_default().insert("#etag".into(), item::ETAG.into());
                condition
            }
            Precondition::OneOf(etags) => {
                let values: item::Item =
                    etags.iter().enumerate().map(|(n, etag)| (format!(":e{n}"), AttributeValue::S(etag.as_str().to_owned()))).collect();
                let list = (0..etags.len()).map(|n| format!(":e{n}")).collect::<Vec<_>>().join(", ");
                Self { values: Some(values), ..on(format!("#a IN ({list})"), item::ETAG) }
            }
        }
    }

    /// There is no such key, or there was one.
    fn of_expired(now: Duration) -> Self {
        let names = [("#key".to_owned(), item::KEY.to_owned()), ("#expires".to_owned(), item::EXPIRES.to_owned())];
        Self {
            expression: Some("attribute_not_exists(#key) OR #expires <= :now".into()),
            names: Some(names.into()),
            values: Some([(":now".to_owned(), AttributeValue::N(now.as_secs().to_string()))].into()),
        }
    }
}
