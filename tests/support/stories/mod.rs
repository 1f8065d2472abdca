//! The sample stories: who does what, as a gateway would have logged it.
//!
//! In: nothing. Out: [`Story`], the logs of one folder of `sample-logs`, the same every time.
//! Does not know: what Tokentrip makes of them.

mod log;
mod people;
mod quiet;
mod script;
mod thefts;

use log::{Request, Shape};

/// One folder of `sample-logs`.
#[derive(Debug)]
pub(crate) struct Story {
    /// The folder.
    pub(crate) name: &'static str,
    /// Its logs.
    pub(crate) files: Vec<File>,
}

/// One log.
#[derive(Debug)]
pub(crate) struct File {
    /// Its name; what ends in `.gz` is compressed when it is written.
    pub(crate) name: &'static str,
    /// What is in it.
    pub(crate) text: String,
}

impl Story {
    fn new(name: &'static str, requests: Vec<Request>, shape: Shape) -> Self {
        let files = vec![File::new("access.log", requests, shape)];
        Self { name, files }
    }
}

impl File {
    fn new(name: &'static str, requests: Vec<Request>, shape: Shape) -> Self {
        let text = log::text(requests, shape);
        Self { name, text }
    }
}

/// Every story, in order of time.
pub(crate) fn all() -> Vec<Story> {
    vec![
        thefts::impossible_travel(),
        thefts::same_browser_from_hosting(),
        thefts::one_thief_many_tokens(),
        thefts::forged_alg_none(),
        thefts::leaked_in_url(),
        thefts::after_logout(),
        quiet::quiet_moves(),
        quiet::quiet_day(),
    ]
}
