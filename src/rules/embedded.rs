//! The rules that come with the program: one line a rule.

/// Name and text of every shipped rule, in the order of their names.
pub const ALL: &[(&str, &str)] = &[];
