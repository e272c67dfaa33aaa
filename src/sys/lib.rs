//! The only unsafe code of lighterman, behind safe faces.

pub mod localtime;
pub mod raw_write;
pub mod resume;
