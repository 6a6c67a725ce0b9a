//! Branch stub.
fn main() {}
