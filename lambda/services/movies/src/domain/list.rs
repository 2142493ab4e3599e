use super::{MovieId, Title, Year};

/// A request for a page of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListQuery {
    /// The movies that are listed.
    pub listing: Listing,
    /// Maximum number of movies, 1 to 100.
    pub limit: u8,
    /// Only movies after this position, in the listing's order.
    pub after: Option<Position>,
}

impl ListQuery {
    /// Maximum number of movies of a page.
    pub const MAX_LIMIT: u8 = 100;
    /// Default number of movies of a page.
    pub const DEFAULT_LIMIT: u8 = 20;
}

/// The movies that are listed, and their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listing {
    /// Every movie, in the table's order.
    All,
    /// The movies of one year, by title.
    Year {
        /// The year.
        year: Year,
        /// Only titles that begin with this.
        prefix: Option<Title>,
        /// The direction.
        order: Order,
    },
}

/// The order of titles: that of their UTF-8 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// A before B.
    Ascending,
    /// B before A.
    Descending,
}

/// A position in a listing: the key of an item. It need not be a movie's, because a page can end at
/// a malformed item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The year, as DynamoDB writes numbers.
    pub year: String,
    /// The title.
    pub title: String,
}

impl From<&MovieId> for Position {
    fn from(id: &MovieId) -> Self {
        Self {
            year: id.year.to_string(),
            title: id.title.to_string(),
        }
    }
}

impl Listing {
    /// Returns whether a position is one of this listing's keys.
    #[must_use]
    pub fn contains(&self, position: &Position) -> bool {
        match self {
            Self::All => true,
            Self::Year { year, prefix, .. } => {
                let prefix = prefix.as_ref().map_or("", Title::as_str);
                position.year.parse() == Ok(*year) && position.title.starts_with(prefix)
            }
        }
    }
}
