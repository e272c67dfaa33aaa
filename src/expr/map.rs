//! Maps and ACL files.

/// All maps and ACL files of one process.
#[derive(Default)]
pub struct Maps {}
