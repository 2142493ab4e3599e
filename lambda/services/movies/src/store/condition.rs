//! What must be true of an item, or a write does not happen, in DynamoDB's expression language.

use super::item::{self, Item};
use aws_sdk_dynamodb::types::AttributeValue;
use std::{collections::HashMap, time::Duration};

/// Attributes that a write is conditional on. DynamoDB takes 300 operators in an expression, two
/// for each attribute.
const MAX_ATTRIBUTES: usize = 100;

/// A condition expression with what stands for names and values in it.
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

    /// The item is as it was read. Its stored ETag proves nothing, because another
    /// writer may have left it as it was. An attribute that was added since is not noticed, because
    /// an expression cannot ask for names that it does not have.
    pub(super) fn as_read(item: &Item) -> Self {
        let mut names: Vec<&String> = item.keys().collect();
        names.sort_by_key(|name| (!item::is_known_name(name), *name));
        let mut condition = Self::default();
        let mut terms = Vec::new();
        for (number, name) in names.into_iter().take(MAX_ATTRIBUTES).enumerate() {
            let value = &item[name];
            if item::holds_unknown(value) {
                // Such a value cannot be sent.
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

    /// There is no such key, or its time is over: DynamoDB deletes what has expired within days,
    /// not at once.
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

    /// The values; `None` if there are none, because DynamoDB takes no empty map.
    pub(super) fn values(self) -> Option<Item> {
        Some(self.values).filter(|values| !values.is_empty())
    }
}
