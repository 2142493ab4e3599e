//! Loads movies in bulk.

fn main() {}
