//! `scan --around`: everything that the suspects of known incidents did, as far as it stands in these logs.
//!
//! In: an incident of the daemon's store, or a file with some. Out: each request, in order of event time, then the
//! incidents with their third step read anew.
//! Does not know: rules; nothing is judged.

use super::merge::{self, Consumer};
use super::progress::Progress;
use super::{Error, output};
use crate::app::incidents::{known, store_of};
use crate::app::pretty::{self, Palette};
use crate::app::pseudonyms::Pseudonyms;
use crate::app::set_up::SetUp;
use crate::cli::{self, Color, Scan};
use crate::domain::finding::{Evidence, rfc3339};
use crate::domain::ids::{IncidentId, SessionId, TokenId};
use crate::domain::incident::Incident;
use crate::domain::line::{SkipReason, Source};
use crate::domain::mask::mask;
use crate::domain::time::Time;
use crate::engine::examine::{Examiner, Found};
use crate::engine::prepare::Prepared;
use crate::incidents::template;
use crate::ingest::discover;
use crate::sinks::brief::{grouped, plain};
use crate::sinks::ndjson::{self, Record};
use serde::Serialize;
use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, IsTerminal, Read, Stdout, Write};
use std::net::IpAddr;
use std::sync::Arc;

/// A file of incidents that is longer was not meant.
const FILE_BYTES_MAX: u64 = 256 << 20;

/// Requests shown to people: NDJSON has all of them.
const SHOWN_MAX: u64 = 50;

/// One request of a suspect.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename = "request")]
struct Request<'a> {
    incidents: &'a [IncidentId],
    #[serde(with = "rfc3339")]
    time: Time,
    ip: Option<IpAddr>,
    /// Tokens are masked here, too: a client writes what it likes.
    method: Option<Cow<'a, str>>,
    /// Without its query.
    path: Option<String>,
    status: u16,
    bytes: u64,
    request_id: Option<Cow<'a, str>>,
    session: Option<SessionId>,
    tokens: &'a [TokenId],
    evidence: [Evidence; 1],
}

/// Looks for what the suspects did.
///
/// # Errors
/// When the incident is not known, nothing can be read, or nothing of the suspect's stands there.
pub(super) fn run(around: &str, options: &Scan, color: Color, set_up: &SetUp) -> Result<u8, Error> {
    let mut incidents = incidents(around, set_up)?;
    let archive = &options.archive;
    let found = discover::discover(&archive.paths).map_err(Error::shown)?;
    let (streams, unread) = super::open(&found, set_up, super::workers(archive))?;
    unread.iter().for_each(|reason| output::warn(reason));
    let issuers = Arc::new(set_up.issuers.clone());
    let (key, tables) = (set_up.front.key.clone(), set_up.tables.clone());
    let mut pass = Pass {
        examiner: Examiner::new(key.clone(), issuers, tables, &incidents),
        out: Out {
            out: BufWriter::new(io::stdout()),
            form: output::form(options),
            pseudonyms: options.pseudonymise.then(|| Pseudonyms::new(key)),
            rows: Vec::new(),
            failed: None,
        },
        progress: Progress::new(archive.progress, &found),
        lines: 0,
        requests: 0,
    };
    merge::merge(
        &streams,
        &set_up.front,
        None,
        super::workers(archive),
        &mut pass,
    );
    pass.progress.finish();
    let Pass {
        examiner,
        out,
        requests,
        ..
    } = pass;
    if requests == 0 {
        return Err(nothing(around));
    }
    examiner.complete(&mut incidents);
    out.finish(&incidents, requests, options, color)?;
    Ok(super::exit_code(&incidents, options))
}

fn nothing(around: &str) -> Error {
    Error::new(format!(
        "nothing of what the suspect of {around} did stands in these logs"
    ))
    .help(
        "name the logs of that time, rotated ones too; ids are keyed: name the daemon's \
         configuration with --config when the daemon found it, and leave it out for one of a scan \
         without",
    )
}

/// The incidents that are asked for: one of the store with those below it, or all in a file.
fn incidents(around: &str, set_up: &SetUp) -> Result<Vec<Incident>, Error> {
    let Ok(id) = around.parse::<IncidentId>() else {
        return of_file(around);
    };
    let store = store_of(&set_up.config)?;
    let first = known(&store, id)?;
    let below = first.children.clone();
    let mut incidents = vec![first];
    for child in below {
        incidents.push(known(&store, child)?);
    }
    Ok(incidents)
}

fn of_file(path: &str) -> Result<Vec<Incident>, Error> {
    let unreadable = |error: io::Error| {
        Error::new(format!("cannot read {path}: {error}")).help(
            "--around takes the id of an incident of the daemon's store (i-…, with --config), or \
             a file with incidents as `scan` and `incidents show` write them in NDJSON",
        )
    };
    let file = File::open(path).map_err(unreadable)?;
    let mut incidents = Vec::new();
    let lines = BufReader::new(file.take(FILE_BYTES_MAX)).lines();
    for (number, line) in (1..).zip(lines) {
        let line = line.map_err(unreadable)?;
        let Ok(value) = serde_json::from_str::<serde_json::Value>(&line) else {
            continue;
        };
        if value["type"] != "incident" && value.get("steps").is_none() {
            continue;
        }
        let incident = serde_json::from_value(value).map_err(|error| {
            Error::new(format!("{path}:{number}: not an incident: {error}")).help(
                "one that was written with --pseudonymise no longer says where its suspect came \
                 from",
            )
        })?;
        incidents.push(incident);
    }
    match incidents.is_empty() {
        true => Err(Error::new(format!("there is no incident in {path}"))
            .help("`tokentrip scan --output ndjson` and `tokentrip incidents show` write some")),
        false => Ok(incidents),
    }
}

struct Pass {
    examiner: Examiner,
    out: Out,
    progress: Progress,
    lines: u64,
    requests: u64,
}

impl Consumer for Pass {
    fn foresee(&self, _lines: &[Result<Prepared<'_>, SkipReason>]) {}

    fn line(&mut self, _source: &Source, line: &Result<Prepared<'_>, SkipReason>) {
        self.lines += 1;
        let Ok(prepared) = line else { return };
        let found = self.examiner.line(prepared);
        if !found.incidents.is_empty() {
            self.requests += 1;
            self.out.request(prepared, &found);
        }
    }

    fn fault(&mut self, source: &Source, error: &io::Error) {
        self.progress
            .suspend(|| output::warn(&format!("{}: {error}", source.0)));
        let always = (Time::EARLIEST, Time::LATEST);
        let reason = format!("{} cannot be read to its end: {error}", source.0);
        self.examiner.miss(&reason, always);
    }

    fn held_back(&mut self, _source: &Source, _lines: u64) {}

    fn progress(&mut self, bytes: u64) {
        self.progress.advance(bytes, self.lines);
    }
}

/// Where requests and incidents go.
struct Out {
    out: BufWriter<Stdout>,
    form: cli::Output,
    pseudonyms: Option<Pseudonyms>,
    rows: Vec<String>,
    /// The first write that failed: it is told at the end, once.
    failed: Option<io::Error>,
}

impl Out {
    fn request(&mut self, prepared: &Prepared<'_>, found: &Found) {
        let (line, event) = (&prepared.line, &prepared.event);
        let path = event.path.as_deref();
        let request = Request {
            incidents: &found.incidents,
            time: event.time,
            ip: event.client,
            method: event.method.as_deref().map(mask),
            path: match &self.pseudonyms {
                Some(_) => path.map(template),
                None => path.map(|path| mask(path).into_owned()),
            },
            status: event.status,
            bytes: event.bytes,
            request_id: event.request_id.as_deref().map(mask),
            session: found.session,
            tokens: &found.tokens,
            evidence: [Evidence {
                file: Arc::clone(&line.source.0),
                line: line.number,
                offset_bytes: line.offset_bytes,
                time: event.time,
            }],
        };
        match self.form {
            cli::Output::Ndjson => self.write(&request),
            cli::Output::Pretty if (self.rows.len() as u64) < SHOWN_MAX => {
                self.rows.push(row(&request, self.pseudonyms.as_ref()));
            }
            cli::Output::Pretty => {}
        }
    }

    fn write(&mut self, record: &impl Serialize) {
        if self.failed.is_some() {
            return;
        }
        let line = match &self.pseudonyms {
            Some(pseudonyms) => ndjson::line(&pseudonyms.value(record)),
            None => ndjson::line(record),
        };
        let written = line.map_err(io::Error::from);
        let written = written.and_then(|line| writeln!(self.out, "{line}"));
        self.failed = written.err();
    }

    fn finish(
        mut self,
        incidents: &[Incident],
        requests: u64,
        options: &Scan,
        color: Color,
    ) -> Result<(), Error> {
        match self.form {
            cli::Output::Ndjson => {
                let records = incidents.iter().map(Record::Incident);
                records.for_each(|record| self.write(&record));
            }
            cli::Output::Pretty => {
                let pretty = self.pretty(incidents, requests, options, color);
                self.failed = pretty.err();
            }
        }
        let flushed = self.out.flush();
        match self.failed.or(flushed.err()) {
            Some(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            Some(error) => Err(Error::new(format!("cannot write the results: {error}"))),
            None => Ok(()),
        }
    }

    fn pretty(
        &mut self,
        incidents: &[Incident],
        requests: u64,
        options: &Scan,
        color: Color,
    ) -> io::Result<()> {
        let no_color = std::env::var("NO_COLOR").ok();
        let terminal = io::stdout().is_terminal();
        let palette = Palette::new(color.wanted(terminal, no_color.as_deref()));
        for incident in incidents {
            let shown = match &self.pseudonyms {
                Some(pseudonyms) => &pseudonyms.incident(incident),
                None => incident,
            };
            pretty::write_one(&mut self.out, shown, &palette)?;
        }
        if options.summary {
            return Ok(());
        }
        for row in &self.rows {
            writeln!(self.out, "{row}")?;
        }
        match requests.saturating_sub(SHOWN_MAX) {
            0 => Ok(()),
            more => writeln!(self.out, "and {} more: --output ndjson", grouped(more)),
        }
    }
}

/// `2026-05-04 10:06:40  192.0.2.7  GET /api/orders/4711 200  512  access.log.1:7`.
fn row(request: &Request<'_>, pseudonyms: Option<&Pseudonyms>) -> String {
    let [evidence] = &request.evidence;
    let time = request.time.to_string().replace('T', " ");
    let place = match evidence.line {
        0 => format!("{}, byte {}", evidence.file, evidence.offset_bytes),
        line => format!("{}:{line}", evidence.file),
    };
    let ip = request.ip.map(|ip| ip.to_string()).unwrap_or_default();
    let ip = match pseudonyms {
        Some(pseudonyms) => pseudonyms.sentence(&ip),
        None => ip,
    };
    plain(&format!(
        "{}  {ip}  {} {} {}  {}  {place}",
        time.get(..19).unwrap_or(&time),
        request.method.as_deref().unwrap_or("-"),
        request.path.as_deref().unwrap_or("-"),
        request.status,
        grouped(request.bytes),
    ))
}
