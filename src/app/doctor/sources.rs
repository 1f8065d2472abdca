//! Can each log be read, is its format known, does it show tokens, and are its times and addresses plausible?
//!
//! In: `[[source]]`. Out: a line each for the files, their last lines and whose addresses they hold.
//! Does not know: what was in the log before its last lines.

use super::Report;
use crate::app::look::Look;
use crate::app::scan::streams::{SAMPLE_LINES, Stream, Wanted};
use crate::config::{Config, Source};
use crate::domain::ids::IdKey;
use crate::domain::line::{Chunk, Source as Name};
use crate::domain::token::Form;
use crate::engine::paths::Paths;
use crate::engine::prepare::{Front, Reading};
use crate::formats::client_address::TrustedProxies;
use crate::formats::{FieldMap, Parser};
use crate::ingest::discover::{Found, Input, discover};
use crate::outbound::now;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

/// How much of a log's end is looked at: hundreds of lines, read in no time.
const TAIL_BYTES: u64 = 256 << 10;

/// Files of one source that are looked at.
const FILES_MAX: usize = 20;

/// Fewer requests than this say nothing about who is behind them.
const REQUESTS_MIN: u64 = 20;

/// Half of the last lines: below that the format is another one.
const PARSED_SHARE_MIN: f64 = 0.5;

/// A log ahead of our clock by more than this makes every age wrong; as late lines are allowed to be.
const AHEAD_S_MAX: f64 = 300.0;

/// A gateway that nobody asked anything for a day is not the one that matters, or does not write any more.
const SILENT_S_MAX: f64 = 86_400.0;

pub(super) fn look(config: &Config, key: &IdKey, report: &mut Report) {
    if config.sources.is_empty() {
        let hint = "add [[source]] with `path`; `tokentrip init` finds the usual ones";
        report.fail(
            "source",
            "none is configured: there is nothing to watch",
            hint,
        );
    }
    // What a source that listens will hear cannot be looked at before.
    let read = |source: &&Source| source.listen.is_none();
    for source in config.sources.iter().filter(read) {
        let found = match discover(&[source.path.clone().into_os_string()]) {
            Ok(found) => found,
            Err(error) => {
                let text = error.to_string();
                let (said, hint) = text
                    .split_once("\n  = ")
                    .unwrap_or((&text, "check the path"));
                report.fail("source", said, hint);
                continue;
            }
        };
        let plain = found.iter().filter(|file| !is_packed(file));
        plain
            .take(FILES_MAX)
            .for_each(|file| look_at(file, source, key, report));
    }
}

fn look_at(file: &Found, source: &Source, key: &IdKey, report: &mut Report) {
    let name = &file.source.0;
    if file.size_bytes == 0 {
        let said = format!("{name} is empty: what it will hold cannot be told yet");
        return report.warn("source", said, "run it again once a request was logged");
    }
    match one(file, source, key) {
        Ok((format, look)) => told(file, source, &format, &look, report),
        Err(reason) => report.fail(
            "source",
            format!("{name}: {reason}"),
            "try `tokentrip parse --format FORMAT` on it",
        ),
    }
}

fn is_packed(file: &Found) -> bool {
    [".gz", ".zst", ".bz2", ".xz"]
        .iter()
        .any(|ending| file.source.0.ends_with(ending))
}

/// The format of a log and a look at its last lines.
fn one(found: &Found, source: &Source, key: &IdKey) -> Result<(String, Look), String> {
    let Input::File(path) = &found.input else {
        return Err("is no file".to_owned());
    };
    let fields = FieldMap::new(&source.fields).map_err(|fault| fault.to_string())?;
    let named = Some(&source.format).filter(|format| *format != "auto");
    let parser = named
        .map(|format| Parser::from_spec(format, &fields))
        .transpose();
    let wanted = Wanted {
        parser: parser.map_err(|fault| fault.to_string())?,
        fields,
        trusted: TrustedProxies::new(source.trusted_proxies.iter().copied()),
        wrapper: source.wrapper,
        zone: source.timezone.clone(),
        ..Wanted::default()
    };
    let front = Front {
        key: key.clone(),
        paths: Paths::new(Vec::new(), Vec::new()),
    };
    let stream = Stream::sniff(found, &wanted, &front)?;
    let chunk = tail(path, &found.source).map_err(|error| error.to_string())?;
    let chunk = stream.inside(chunk).ok_or("cannot be read again")?;
    let after = chunk.len().saturating_sub(SAMPLE_LINES);
    let reading: &Reading = &stream.reading;
    let look = Look::at(reading, chunk.lines().skip(after), key);
    Ok((reading.parser.name().to_owned(), look))
}

/// The whole lines at the end of a file.
fn tail(path: &Path, name: &Name) -> io::Result<Chunk> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let from = length.saturating_sub(TAIL_BYTES);
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
    // The first may begin before, the last may still be written.
    let start = match from {
        0 => 0,
        _ => memchr::memchr(b'\n', &bytes).map_or(bytes.len(), |at| at + 1),
    };
    let end = memchr::memrchr(b'\n', &bytes)
        .map_or(start, |at| at + 1)
        .max(start);
    bytes.truncate(end);
    bytes.drain(..start);
    Ok(Chunk::split(name.clone(), bytes, from + start as u64, 0))
}

fn told(found: &Found, source: &Source, format: &str, look: &Look, report: &mut Report) {
    let name = &found.source.0;
    let parsed = look.events as f64 / look.lines.max(1) as f64;
    let said = format!(
        "{name}: {format}, {} of the last {} lines are requests, {}",
        look.events,
        look.lines,
        look.shown_forms()
    );
    if look.lines == 0 {
        report.warn(
            "source",
            format!("{name} has no line yet"),
            "send a request through the gateway",
        );
        return;
    } else if parsed < PARSED_SHARE_MIN {
        report.warn(
            "source",
            said,
            "name the format, or give the gateway's log_format string, in `format`",
        );
    } else if look.is_blind() {
        report.warn(
            "source",
            said,
            "`tokentrip init LOG` prints what the gateway should log",
        );
    } else if look.of(Form::Raw) > 0 {
        let hint = "whoever reads the log can use them: `tokentrip init LOG` prints what to log instead, \
                    `tokentrip scrub` cleans what is there; only verifying needs whole ones";
        report.warn("source", said, hint);
    } else {
        report.ok("source", said);
    }
    clients(name, source, look, report);
    times(name, look, report);
}

fn clients(name: &str, source: &Source, look: &Look, report: &mut Report) {
    let Some(address) = look.only_client(REQUESTS_MIN) else {
        return;
    };
    let said = format!("{name}: every client is {address}, which is a private address");
    let hint = match (source.trusted_proxies.is_empty(), look.chains > 0) {
        (true, true) => format!("if it is your load balancer: trusted_proxies = [\"{address}\"]"),
        (_, false) => "if it is your load balancer, have the gateway log X-Forwarded-For and name it in `trusted_proxies`".to_owned(),
        (false, true) => "`trusted_proxies` does not hold every proxy before the gateway".to_owned(),
    };
    report.warn("clients", said, hint);
}

fn times(name: &str, look: &Look, report: &mut Report) {
    let Some(newest) = look.newest else { return };
    let age_s = now().since_s(newest);
    if age_s < -AHEAD_S_MAX {
        report.warn(
            "clock",
            format!(
                "{name}: the last line is {:.0} s ahead of this machine's clock",
                -age_s
            ),
            "set both clocks by NTP, or the time zone of the gateway's log",
        );
    } else if age_s > SILENT_S_MAX {
        report.warn(
            "clock",
            format!("{name}: the last line is {:.0} days old", age_s / 86_400.0),
            "is this the log that the gateway writes now?",
        );
    } else {
        report.ok(
            "clock",
            format!("{name}: the last line is {:.0} s old", age_s.max(0.0)),
        );
    }
}
