//! Lists of movies, page by page.

use super::{Consistency, Page, Store, item, retry::MAX_EMPTY_PAGES};
use crate::{
    domain::{ListQuery, Listing, Order},
    trace,
};
use aws_sdk_dynamodb::types::AttributeValue;
use outbound::Error;

impl Store {
    /// Reads one page of a list, by a Query within one year or by a Scan. Both stop at the limit,
    /// so a page costs what it returns. If it finds items that are no movies, it continues with
    /// pages of the maximum size.
    ///
    /// # Errors
    /// The table cannot be reached or fails.
    pub async fn list(&self, query: &ListQuery, consistency: Consistency) -> Result<Page, Error> {
        // Reads one item more than requested, to find out whether there is a next page.
        let mut limit = i32::from(query.limit) + 1;
        let (mut last, mut malformed) = (query.after.clone(), 0);
        for _ in 0..MAX_EMPTY_PAGES {
            let (items, next) = self
                .page(
                    &query.listing,
                    limit,
                    last.as_ref().map(item::key_at),
                    consistency,
                )
                .await?;
            let mut movies = Vec::new();
            for item in items {
                let has_etag = item::has_etag(&item, &item::etag(&item));
                let read = item::from_item(item);
                malformed += usize::from(!has_etag || !matches!(read, Some((_, true))));
                movies.extend(read.map(|(movie, _)| movie));
            }
            last = next.as_ref().and_then(item::position);
            if movies.len() > usize::from(query.limit) {
                movies.truncate(query.limit.into());
                last = movies.last().map(|movie| (&movie.id).into());
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
        listing: &Listing,
        limit: i32,
        start: Option<item::Item>,
        consistency: Consistency,
    ) -> Result<(Vec<item::Item>, Option<item::Item>), Error> {
        let is_consistent = consistency == Consistency::Strong;
        let (items, next) = match listing {
            Listing::All => {
                let request = self
                    .client
                    .scan()
                    .table_name(&self.table)
                    .limit(limit)
                    .set_exclusive_start_key(start);
                let request = request.consistent_read(is_consistent);
                let response = trace::call("Scan", Box::pin(request.send())).await?;
                (response.items, response.last_evaluated_key)
            }
            Listing::Year {
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
                    .expression_attribute_values(":year", AttributeValue::N(year.to_string()));
                request = match prefix {
                    None => request.key_condition_expression("#year = :year"),
                    Some(prefix) => request
                        .key_condition_expression("#year = :year AND begins_with(#title, :prefix)")
                        .expression_attribute_names("#title", item::TITLE)
                        .expression_attribute_values(
                            ":prefix",
                            AttributeValue::S(prefix.to_string()),
                        ),
                };
                let response = trace::call("Query", Box::pin(request.send())).await?;
                (response.items, response.last_evaluated_key)
            }
        };
        Ok((
            items.unwrap_or_default(),
            next.filter(|key| !key.is_empty()),
        ))
    }
}
