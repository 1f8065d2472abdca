//! The stateless half of the line: text → event → located credentials. It runs on every core.
//!
//! In: [`RawLine`] and how its source is read. Out: [`Prepared`], or why there is no event.
//! Does not know: anything about earlier lines.

use super::ahead::Foretold;
use super::paths::Paths;
use crate::detectors::PathClass;
use crate::domain::event::{AccessEvent, Intent};
use crate::domain::ids::IdKey;
use crate::domain::line::{Chunk, RawLine, SkipReason};
use crate::domain::token::Credentials;
use crate::formats::client_address::{self, TrustedProxies};
use crate::formats::{self, Parser};
use crate::sessions::session::ContextKey;
use crate::tokens::locate::locate;
use self_cell::self_cell;
use std::borrow::Cow;
use std::net::IpAddr;

/// How one source is read.
#[derive(Clone, Debug)]
pub struct Reading {
    /// Its format.
    pub parser: Parser,
    /// The proxies in front of the gateway whose forwarding header is believed.
    pub trusted: TrustedProxies,
}

impl Reading {
    /// The first step: text → event, with the client behind its proxies.
    fn read(&self, prepared: &mut Prepared<'_>) -> Result<(), SkipReason> {
        let (line, event) = (prepared.line, &mut prepared.event);
        if let Err(reason) = self.parser.parse_into(line.text, line.written, event) {
            let reason = if line.truncated {
                SkipReason::TooLong
            } else {
                reason
            };
            *event = formats::note(line.text, line.written).ok_or(reason)?;
            prepared.unread = Some(reason);
        }
        client_address::settle(event, &self.trusted);
        Ok(())
    }
}

/// What every source shares.
#[derive(Clone, Debug)]
pub struct Front {
    /// The installation's keys.
    pub key: IdKey,
    /// What kinds of path there are.
    pub paths: Paths,
}

/// One line, understood as far as that needs no memory.
#[derive(Debug)]
pub struct Prepared<'a> {
    /// The line.
    pub line: RawLine<'a>,
    /// The request.
    pub event: AccessEvent<'a>,
    /// The tokens it shows.
    pub credentials: Credentials<'a>,
    /// Keyed hash of address, user agent, fingerprint and language.
    pub context_key: ContextKey,
    /// What the method asks for, so that nobody has to fetch its text from another core's cache.
    pub intent: Intent,
    /// What kind of path.
    pub path: PathClass,
    /// Why the line could not be read, though it shows a token: it counts as skipped all the same.
    pub unread: Option<SkipReason>,
    /// What its first token is, where somebody looked ahead.
    pub foretold: Option<Box<Foretold>>,
}

impl<'a> Prepared<'a> {
    /// A line that nothing is known of yet.
    pub(super) fn blank(line: RawLine<'a>) -> Self {
        Self {
            line,
            event: AccessEvent::default(),
            credentials: Credentials::new(),
            context_key: ContextKey(0),
            intent: Intent::default(),
            path: PathClass::default(),
            unread: None,
            foretold: None,
        }
    }
}

/// Why a line counts as skipped: it gave nothing, or only a token that it mentions.
pub fn skipped_for(line: &Result<Prepared<'_>, SkipReason>) -> Option<SkipReason> {
    match line {
        Ok(prepared) => prepared.unread,
        Err(reason) => Some(*reason),
    }
}

/// Goes on with a line, unless an earlier step gave it up.
fn step<'a>(
    line: &mut Result<Prepared<'a>, SkipReason>,
    step: impl FnOnce(&mut Prepared<'a>) -> Result<(), SkipReason>,
) {
    if let Ok(prepared) = line
        && let Err(reason) = step(prepared)
    {
        *line = Err(reason);
    }
}

/// Every line of a chunk, in order.
pub type PreparedLines<'a> = Vec<Result<Prepared<'a>, SkipReason>>;

self_cell!(
    /// A chunk with what was understood of its lines: the unit that travels from the parsers to the engine.
    pub struct PreparedChunk {
        owner: Chunk,
        #[covariant]
        dependent: PreparedLines,
    }
    impl {Debug}
);

/// Address, user agent and languages of nearly every request are shorter together.
const CONTEXT_BYTES_USUAL: usize = 512;

/// Paths whose kind is remembered within a chunk: a service has some dozen that are asked for again and again.
const PATHS_KNOWN: usize = 64;

/// What the lines of a chunk share, and none of them depends on.
struct Scratch<'a> {
    /// The parts of a context, joined.
    parts: Vec<u8>,
    /// Kinds of paths, each at the place that its path gives.
    classes: [(&'a str, PathClass); PATHS_KNOWN],
}

impl<'a> Scratch<'a> {
    fn new(paths: &Paths) -> Self {
        Self {
            parts: Vec::with_capacity(CONTEXT_BYTES_USUAL),
            classes: [("", paths.class("")); PATHS_KNOWN],
        }
    }

    #[allow(clippy::ptr_arg, reason = "only a borrowed path outlives its line")]
    fn class(&mut self, path: &Cow<'a, str>, paths: &Paths) -> PathClass {
        let (Cow::Borrowed(path), Some(tail)) = (path, path.as_bytes().last_chunk::<8>()) else {
            return paths.class(path);
        };
        let mixed = u64::from_le_bytes(*tail).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let place = (mixed >> 32) as usize ^ path.len();
        let known = &mut self.classes[place % PATHS_KNOWN];
        if known.0 != *path {
            *known = (path, paths.class(path));
        }
        known.1
    }
}

impl Front {
    /// Prepares every line of a chunk: one step for all lines, then the next. The code of all steps is more than a
    /// core's first cache holds, and would be fetched anew for each line.
    pub fn chunk(&self, reading: &Reading, chunk: Chunk) -> PreparedChunk {
        self.lines_of(reading, chunk, |_| true)
    }

    /// Prepares the lines of a chunk that are `wanted`, as if no others stood in it.
    pub fn lines_of(
        &self,
        reading: &Reading,
        chunk: Chunk,
        wanted: impl Fn(&RawLine<'_>) -> bool,
    ) -> PreparedChunk {
        let mut reading = reading.clone();
        PreparedChunk::new(chunk, |chunk| {
            let mut lines = PreparedLines::with_capacity(chunk.len());
            for line in chunk.lines().filter(wanted) {
                // Filled in its place: a prepared line is too large to be moved for nothing.
                lines.push(Ok(Prepared::blank(line)));
                let place = lines.last_mut();
                place
                    .into_iter()
                    .for_each(|line| step(line, |line| reading.read(line)));
                reading.parser.follow(line.text);
            }
            for line in &mut lines {
                step(line, |line| self.locate(line));
            }
            let mut scratch = Scratch::new(&self.paths);
            for line in lines.iter_mut().flatten() {
                self.classify(line, &mut scratch);
            }
            lines
        })
    }

    /// Prepares one line.
    ///
    /// # Errors
    /// Why the line gives no event.
    pub fn line<'a>(
        &self,
        reading: &Reading,
        line: RawLine<'a>,
    ) -> Result<Prepared<'a>, SkipReason> {
        let mut prepared = Prepared::blank(line);
        reading.read(&mut prepared)?;
        self.locate(&mut prepared)?;
        self.classify(&mut prepared, &mut Scratch::new(&self.paths));
        Ok(prepared)
    }

    /// The second step: event → credentials.
    fn locate(&self, prepared: &mut Prepared<'_>) -> Result<(), SkipReason> {
        prepared.credentials = locate(&mut prepared.event, &self.key);
        match prepared.unread {
            Some(reason) if prepared.credentials.is_empty() => Err(reason),
            _ => Ok(()),
        }
    }

    /// The third step: what rules and stores ask of every event.
    fn classify<'a>(&self, prepared: &mut Prepared<'a>, scratch: &mut Scratch<'a>) {
        let event = &prepared.event;
        prepared.context_key = self.context_key(event, &mut scratch.parts);
        prepared.intent = event.intent();
        if let Some(path) = &event.path {
            prepared.path = scratch.class(path, &self.paths);
        }
    }

    /// Keyed hash of what tells one client from another; `parts` is room for it.
    pub fn context_key(&self, event: &AccessEvent<'_>, parts: &mut Vec<u8>) -> ContextKey {
        // Joined first: the hash is fast on one piece, and slow on many.
        parts.clear();
        match event.client.map(|client| client.to_canonical()) {
            Some(IpAddr::V4(v4)) => parts.extend_from_slice(&v4.octets()),
            Some(IpAddr::V6(v6)) => parts.extend_from_slice(&v6.octets()),
            None => {}
        }
        for text in [&event.user_agent, &event.ja4, &event.language] {
            parts.push(0xff);
            parts.extend_from_slice(text.as_deref().unwrap_or_default().as_bytes());
        }
        ContextKey(self.key.short_digest_of(parts))
    }
}

/// Keyed hash of host and path; `None` for a request that shows no path.
pub(super) fn path_key(key: &IdKey, event: &AccessEvent<'_>) -> Option<u64> {
    let path = event.path.as_deref()?;
    let host = event.host.as_deref().unwrap_or_default();
    let mut parts = Vec::with_capacity(host.len() + 1 + path.len());
    parts.extend_from_slice(host.as_bytes());
    parts.push(0xff);
    parts.extend_from_slice(path.as_bytes());
    Some(key.short_digest_of(&parts))
}
