//! The line itself.
