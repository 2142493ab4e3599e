//! The environment variables of the service, read once, here and nowhere else.

/// Returns a variable of the process. An empty one is not set.
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
