//! Movies in DynamoDB. A failed condition is an answer; everything else that goes wrong is a [`Fault`].

pub mod item;

use crate::{
    domain::{ETag, ListQuery, Movie, MovieId, Order, Precondition, Scope},
    trace,
};
use aws_config::{BehaviorVersion, Region, retry::RetryConfig, timeout::TimeoutConfig};
use aws_sdk_dynamodb::{
    Client,
    error::{DisplayErrorContext, ProvideErrorMetadata, SdkError},
    operation::put_item::PutItemError,
    types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure},
};
use std::time::Duration;

/// The policy for every call, kept within what the gateway's caller waits for. An attempt that hangs is given up early
/// enough for two more; after `OPERATION` the caller is told to come again. Retries are the SDK's: exponential backoff
/// with full jitter and a token bucket, so that an outage is not answered with a storm.
const CONNECT: Duration = Duration::from_millis(500);
const ATTEMPT: Duration = Duration::from_millis(800);
const OPERATION: Duration = Duration::from_millis(2500);
const ATTEMPTS: u32 = 3;

/// Every call that this store makes of DynamoDB: the function's role may make these and no other. A wall holds the list to
/// the code, a test of the stack holds the role to the list.
pub const OPERATIONS: [&str; 5] = ["GetItem", "Query", "Scan", "PutItem", "DeleteItem"];

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
}

/// Something that should not happen did. It carries the cause for the log; the caller of the API never sees it.
#[derive(Debug)]
pub struct Fault {
    /// Whether trying again later is likely to help.
    pub transient: bool,
    cause: String,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.cause)
    }
}

impl std::error::Error for Fault {}

impl<E, R> From<SdkError<E, R>> for Fault
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    R: std::fmt::Debug + Send + Sync + 'static,
{
    fn from(error: SdkError<E, R>) -> Self {
        // A call that we built wrongly or may not make fails alike tomorrow; whatever else it is, waiting may help.
        let ours = matches!(error.code(), Some("AccessDeniedException" | "ValidationException" | "KMSAccessDeniedException"))
            || matches!(error, SdkError::ConstructionFailure(_));
        Self { transient: !ours, cause: DisplayErrorContext(error).to_string() }
    }
}

impl From<serde_dynamo::Error> for Fault {
    fn from(error: serde_dynamo::Error) -> Self {
        Self { transient: false, cause: error.to_string() }
    }
}

/// The table of movies.
#[derive(Clone, Debug)]
pub struct Store {
    client: Client,
    table: String,
}

impl Store {
    /// Opens the table with the credentials and endpoint that AWS's own environment variables give, under this
    /// service's policy of timeouts and retries. Makes no call.
    pub async fn open(table: String, region: String) -> Self {
        let config = aws_config::defaults(BehaviorVersion::latest())
            .region(Region::new(region))
            .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
            .timeout_config(
                TimeoutConfig::builder().connect_timeout(CONNECT).operation_attempt_timeout(ATTEMPT).operation_timeout(OPERATION).build(),
            )
            .load()
            .await;
        Self { client: Client::new(&config), table }
    }

    /// Reads a movie of a year that has none, so that the first request finds a connection open and signed for.
    /// It cannot fail: what is wrong shows at that request, with its own answer.
    pub async fn warm(&self) {
        let request = self.client.get_item().table_name(&self.table);
        let nobody = [(item::YEAR, AttributeValue::N("0".into())), (item::TITLE, AttributeValue::S("-".into()))];
        let request = nobody.into_iter().fold(request, |request, (name, value)| request.key(name, value));
        if let Err(error) = request.send().await {
            tracing::warn!(error = %DisplayErrorContext(error), "the table could not be reached while starting");
        }
    }

    /// Reads one movie (eventually consistent).
    ///
    /// # Errors
    /// A fault of the table or of the way to it.
    pub async fn get(&self, id: &MovieId) -> Result<Option<Versioned>, Fault> {
        self.read(id, false).await
    }

    /// Reads one movie as it is after every write so far.
    ///
    /// # Errors
    /// A fault of the table or of the way to it.
    pub async fn get_latest(&self, id: &MovieId) -> Result<Option<Versioned>, Fault> {
        self.read(id, true).await
    }

    async fn read(&self, id: &MovieId, consistent: bool) -> Result<Option<Versioned>, Fault> {
        let request = self.client.get_item().table_name(&self.table).set_key(Some(item::key(id))).consistent_read(consistent);
        let answer = trace::call("GetItem", request.send()).await?;
        Ok(answer.item.and_then(item::from_item).map(|(movie, etag)| Versioned { movie, etag }))
    }

    /// Writes a movie whole, in one conditional request.
    ///
    /// # Errors
    /// A fault of the table or of the way to it.
    pub async fn put(&self, movie: &Movie, precondition: &Precondition) -> Result<Put, Fault> {
        let request = self.client.put_item().table_name(&self.table).set_item(Some(item::to_item(movie)?));
        let condition = Condition::of(precondition);
        let request = request
            .set_condition_expression(condition.expression)
            .set_expression_attribute_names(condition.names)
            .set_expression_attribute_values(condition.values)
            .return_values(ReturnValue::AllOld);
        match trace::call("PutItem", request.send()).await {
            Ok(answer) if answer.attributes.is_some() => Ok(Put::Replaced(ETag::of(movie))),
            Ok(_) => Ok(Put::Created(ETag::of(movie))),
            Err(error) if matches!(error.as_service_error(), Some(PutItemError::ConditionalCheckFailedException(_))) => Ok(Put::Refused),
            Err(error) => Err(error.into()),
        }
    }

    /// Deletes a movie, in one conditional request.
    ///
    /// # Errors
    /// A fault of the table or of the way to it.
    pub async fn delete(&self, id: &MovieId, precondition: &Precondition) -> Result<Deleted, Fault> {
        let condition = Condition::of(if *precondition == Precondition::Unconditional { &Precondition::Present } else { precondition });
        let request = self
            .client
            .delete_item()
            .table_name(&self.table)
            .set_key(Some(item::key(id)))
            .set_condition_expression(condition.expression)
            .set_expression_attribute_names(condition.names)
            .set_expression_attribute_values(condition.values)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        match trace::call("DeleteItem", request.send()).await {
            Ok(_) => Ok(Deleted::Done),
            Err(error) => match error.as_service_error() {
                Some(aws_sdk_dynamodb::operation::delete_item::DeleteItemError::ConditionalCheckFailedException(failed)) => {
                    Ok(if failed.item().is_some_and(|item| !item.is_empty()) { Deleted::Refused } else { Deleted::Absent })
                }
                _ => Err(error.into()),
            },
        }
    }

    /// Reads one page of a list. It costs what it returns: a Query within one year or a Scan that stops at the limit.
    ///
    /// # Errors
    /// A fault of the table or of the way to it.
    pub async fn list(&self, query: &ListQuery) -> Result<Page, Fault> {
        // One more than asked for tells whether there is a next page.
        let limit = i32::from(query.limit) + 1;
        let mut start = query.after.as_ref().map(item::key);
        for _ in 0..EMPTY_PAGES {
            let (items, next) = self.page(&query.scope, limit, start.take()).await?;
            let mut movies: Vec<Movie> = items
                .into_iter()
                .filter_map(|item| {
                    let movie = item::from_item(item);
                    if movie.is_none() {
                        tracing::error!("a row that is no movie was left out of a list");
                    }
                    movie.map(|(movie, _)| movie)
                })
                .collect();
            if movies.len() > usize::from(query.limit) {
                movies.truncate(query.limit.into());
                let last = movies.last().map(|movie| movie.id().clone());
                return Ok(Page { movies, last });
            }
            let Some(next) = next else { return Ok(Page { movies, last: None }) };
            // A row that is no movie can be the last one read, and a cursor names a movie: then rows are read again.
            let last = item::id_of(&next).or_else(|| movies.last().map(|movie| movie.id().clone()));
            if !movies.is_empty() {
                return Ok(Page { movies, last });
            }
            start = Some(next);
        }
        Err(Fault { transient: true, cause: format!("{EMPTY_PAGES} pages without a movie in a row") })
    }

    async fn page(&self, scope: &Scope, limit: i32, start: Option<item::Item>) -> Result<(Vec<item::Item>, Option<item::Item>), Fault> {
        let (items, next) = match scope {
            Scope::All => {
                let request = self.client.scan().table_name(&self.table).limit(limit).set_exclusive_start_key(start);
                let answer = trace::call("Scan", request.send()).await?;
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
                let answer = trace::call("Query", request.send()).await?;
                (answer.items, answer.last_evaluated_key)
            }
        };
        Ok((items.unwrap_or_default(), next.filter(|key| !key.is_empty())))
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
}
