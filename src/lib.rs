//! Branch stub: only what `app`, `scan::forest` and `views::groups::tokens` need.

pub mod app;
pub mod error;
pub mod time;
/// Decoded packets.
pub mod decode {
    pub mod packet;
}
/// Flow identity.
pub mod table {
    pub mod key;
}
/// Scan verdicts.
pub mod scan {
    pub mod forest;
}
/// Products.
pub mod views {
    /// Groups.
    pub mod groups {
        pub mod tokens;
    }
}
