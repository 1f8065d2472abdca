//! How each followed source is read: as configured, or as its first lines look.
//!
//! In: a source and its first chunk. Out: its [`Reading`].
//! Does not know: what comes of the lines.

use crate::app::scan::streams::{SAMPLE_LINES, Wanted};
use crate::app::set_up::SetUp;
use crate::domain::line::{Chunk, Source};
use crate::engine::prepare::Reading;
use crate::formats;
use std::collections::HashMap;
use std::path::Path;
use tracing::{error, info, warn};

/// The sources that are understood so far, and how the next chunk of each begins.
#[derive(Default)]
pub(super) struct Readings(HashMap<Source, Reading>);

impl Readings {
    /// How a source is read; `None` while nothing recognises it, which the next chunk may change.
    pub(super) fn of(&mut self, set_up: &SetUp, source: &Source, chunk: &Chunk) -> Option<Reading> {
        if let Some(next) = self.0.get_mut(source) {
            let reading = next.clone();
            next.parser.follow_chunk(chunk);
            return Some(reading);
        }
        let Wanted {
            parser,
            fields,
            trusted,
        } = set_up
            .wanted(Path::new(&*source.0))
            .inspect_err(|error| error!(source = &*source.0, %error, "cannot be read"))
            .ok()?;
        let parser = match parser {
            Some(parser) => parser,
            None => detected(source, chunk, &fields)?,
        };
        let reading = Reading { parser, trusted };
        let mut next = reading.clone();
        next.parser.follow_chunk(chunk);
        self.0.insert(source.clone(), next);
        Some(reading)
    }
}

fn detected(source: &Source, chunk: &Chunk, fields: &formats::FieldMap) -> Option<formats::Parser> {
    let sample: Vec<&str> = chunk
        .lines()
        .take(SAMPLE_LINES)
        .map(|line| line.text)
        .collect();
    match formats::detect(&sample, fields) {
        Ok(found) => {
            let (format, confidence) = (found.parser.name(), found.confidence);
            info!(source = &*source.0, format, confidence, "format recognised");
            Some(found.parser)
        }
        Err(error) => {
            warn!(source = &*source.0, %error, "format not recognised");
            None
        }
    }
}
