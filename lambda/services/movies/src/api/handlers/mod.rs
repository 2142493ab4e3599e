//! The operations, one file each.

mod create;
mod delete;
mod get;
mod list;
mod patch;
mod put;

pub(super) use create::create;
pub(super) use delete::delete;
pub(super) use get::get;
pub(super) use list::list;
pub(super) use patch::patch;
pub(super) use put::put;

use super::error::Error;
use crate::store::Consistency;
use inbound::precondition::NoCache;
use outbound::ErrorKind;

impl From<NoCache> for Consistency {
    fn from(NoCache(no_cache): NoCache) -> Self {
        if no_cache {
            Self::Strong
        } else {
            Self::Eventual
        }
    }
}

/// Returns the error of a conditional write that other writers overtook at every attempt. Nothing
/// was written.
fn overtaken() -> Error {
    let message = "the item changed between each read and its write";
    outbound::Error::new(ErrorKind::Conflict, message).into()
}
