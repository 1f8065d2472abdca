//! A file that incidents are appended to, one line each.
//!
//! In: an [`Incident`]. Out: lines in a [`Dialect`]. A crash in the middle of a delivery may repeat a line.
//! Does not know: rotation; the file is opened anew for each line, so any rotation works.

use super::dialect::Dialect;
use super::{Event, Kind, Sink};
use crate::domain::action::{Alert, Outcome};
use crate::domain::incident::Incident;
use crate::outbound::Attempt;
use crate::outbound::options::{Key, Takes};
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

/// `kind = "file"`.
pub const KIND: Kind = Kind {
    name: "file",
    keys: &[
        Key::needed(
            "path",
            Takes::Path,
            "\"/var/log/tokentrip/incidents.ndjson\"",
        ),
        Dialect::KEY,
    ],
    make: |options, _| {
        let path = options.path("path")?.to_owned();
        let dialect = Dialect::of(options).unwrap_or(Dialect::Ndjson);
        Ok(Arc::new(File { path, dialect }))
    },
};

/// A file.
#[derive(Debug)]
struct File {
    path: PathBuf,
    dialect: Dialect,
}

impl Sink for File {
    fn body(&self, event: Event, incident: &Incident) -> String {
        self.dialect.line(event, incident)
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
