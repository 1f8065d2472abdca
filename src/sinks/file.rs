//! A file that incidents are appended to, one JSON object a line.
//!
//! In: an [`Incident`]. Out: lines as [`ndjson`] writes them. A crash in the middle of a delivery may repeat a line.
//! Does not know: rotation; the file is opened anew for each line, so any rotation works.

use super::{Event, Sink, ndjson};
use crate::domain::action::{Alert, Outcome};
use crate::domain::finding::Level;
use crate::domain::incident::Incident;
use crate::outbound::Attempt;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

/// A file.
#[derive(Debug)]
pub struct File {
    name: Arc<str>,
    level_min: Level,
    path: PathBuf,
}

impl File {
    /// A sink that appends to `path`.
    pub fn new(name: Arc<str>, level_min: Level, path: PathBuf) -> Self {
        Self {
            name,
            level_min,
            path,
        }
    }
}

impl Sink for File {
    fn name(&self) -> &Arc<str> {
        &self.name
    }

    fn level_min(&self) -> Level {
        self.level_min
    }

    fn body(&self, _: Event, incident: &Incident) -> String {
        ndjson::line(&ndjson::Record::Incident(incident)).unwrap_or_default()
    }

    fn deliver<'a>(&'a self, alert: &'a Alert) -> Attempt<'a> {
        let (path, line) = (self.path.clone(), format!("{}\n", alert.body));
        Box::pin(async move {
            let append = tokio::task::spawn_blocking(move || append(&path, &line)).await;
            match append.unwrap_or_else(|error| Err(io::Error::other(error))) {
                Ok(()) => Outcome::Done,
                Err(error) => Outcome::Retry {
                    after_s: None,
                    why: format!("cannot append: {error}"),
                },
            }
        })
    }
}

fn append(path: &PathBuf, line: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    // The lines name people.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o640);
    let mut file = options.open(path)?;
    // One write, so that two processes do not tear each other's lines.
    file.write_all(line.as_bytes())
}
