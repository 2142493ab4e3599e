//! Conditions of writes, as DynamoDB's condition expressions.

use super::item::{self, Item};
use aws_sdk_dynamodb::types::AttributeValue;
use std::{collections::HashMap, time::Duration};

/// Maximum number of attributes in a condition. DynamoDB allows 300 operators in an expression, and
/// each attribute needs two.
const MAX_ATTRIBUTES: usize = 100;

/// A condition expression with its placeholders for names and values.
#[derive(Debug, Default)]
pub(super) struct Condition {
    pub(super) expression: String,
    pub(super) names: HashMap<String, String>,
    pub(super) values: Item,
}

impl Condition {
    fn on(expression: &str, attribute: &str) -> Self {
        let names = HashMap::from([("#a".to_owned(), attribute.to_owned())]);
        Self {
            expression: expression.to_owned(),
            names,
            values: Item::new(),
        }
    }

    pub(super) fn absent() -> Self {
        Self::on("attribute_not_exists(#a)", item::TITLE)
    }

    pub(super) fn present() -> Self {
        Self::on("attribute_exists(#a)", item::TITLE)
    }

    /// The item is unchanged since it was read. Comparing the stored ETag would not suffice,
    /// because other writers may not update it. An attribute that was added since is not noticed,
    /// because an expression can only test names that it contains.
    pub(super) fn as_read(item: &Item) -> Self {
        let mut names: Vec<&String> = item.keys().collect();
        names.sort_by_key(|name| (!item::is_known_name(name), *name));
        let mut condition = Self::default();
        let mut terms = Vec::new();
        for (number, name) in names.into_iter().take(MAX_ATTRIBUTES).enumerate() {
            let value = &item[name];
            if item::holds_unknown(value) {
                // The SDK cannot send a value of an unknown type.
                terms.push(format!("attribute_exists(#r{number})"));
            } else {
                terms.push(format!("#r{number} = :r{number}"));
                condition
                    .values
                    .insert(format!(":r{number}"), value.clone());
            }
            condition.names.insert(format!("#r{number}"), name.clone());
        }
        condition.expression = terms.join(" AND ");
        condition
    }

    /// The key does not exist or has expired. DynamoDB deletes expired items within days, not at
    /// once.
    pub(super) fn expired(now: Duration) -> Self {
        let names = [
            ("#key".to_owned(), item::KEY.to_owned()),
            ("#expires".to_owned(), item::EXPIRES.to_owned()),
        ];
        Self {
            expression: "attribute_not_exists(#key) OR #expires <= :now".into(),
            names: names.into(),
            values: [(
                ":now".to_owned(),
                AttributeValue::N(now.as_secs().to_string()),
            )]
            .into(),
        }
    }

    /// Returns the values, or `None` if there are none, because DynamoDB rejects an empty map.
    pub(super) fn values(self) -> Option<Item> {
        Some(self.values).filter(|values| !values.is_empty())
    }
}
