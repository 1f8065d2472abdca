//! What providers may ask about an incident: how it is stored, and the raw token, read again from the log.
//!
//! In: an incident's id, a target. Out: the incident; the token as it stands in a line of its evidence, also where the
//! file was renamed or packed since.
//! Does not know: what a provider does with it. A token is only held while its call is made.

use crate::app::scan::streams::Stream;
use crate::app::set_up::SetUp;
use crate::domain::finding::{Evidence, Finding};
use crate::domain::ids::IncidentId;
use crate::domain::incident::{Incident, Target};
use crate::domain::line::{Chunk, LINE_BYTES_MAX, Source};
use crate::domain::token::{Form, RawToken, Shape, Token};
use crate::ingest::archive::{self, Packing};
use crate::ingest::discover::{Found, Input};
use crate::ingest::open;
use crate::outbound::now;
use crate::response::case::{CaseFile, Gone, Looked};
use crate::store::Store;
use crate::tokens::decode::decode;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::task::spawn_blocking;

/// Lines looked at for one token: the newest of an incident's evidence.
const LINES_MAX: usize = 50;

/// Names that a rotated file is looked for under: a month of days.
const NAMES_MAX: usize = 32;

/// How far into a packed file a line is looked for: more takes longer than a call may.
const PACKED_BYTES_MAX: u64 = 1 << 30;

/// The incidents of a store and the logs of a configuration.
pub(super) struct Cases {
    store: Arc<Store>,
    set_up: Arc<SetUp>,
}

impl std::fmt::Debug for Cases {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Cases")
    }
}

impl Cases {
    pub(super) fn of(store: &Arc<Store>, set_up: &SetUp) -> Arc<dyn CaseFile> {
        Arc::new(Self {
            store: Arc::clone(store),
            set_up: Arc::new(set_up.clone()),
        })
    }
}

impl CaseFile for Cases {
    fn incident(&self, id: IncidentId) -> Looked<'_, Incident> {
        let store = Arc::clone(&self.store);
        Box::pin(async move {
            let found = spawn_blocking(move || store.incident(id)).await;
            let found = found.ok().and_then(Result::ok).flatten();
            found.ok_or_else(|| Gone("the incident is not stored any more".to_owned()))
        })
    }

    fn token<'a>(&'a self, id: IncidentId, target: &'a Target) -> Looked<'a, RawToken<'static>> {
        let (store, set_up) = (Arc::clone(&self.store), Arc::clone(&self.set_up));
        let target = target.clone();
        Box::pin(async move {
            let found = spawn_blocking(move || {
                let findings = store.findings(id).ok()?;
                token(&findings, &target, &set_up)
            });
            let gone = "no line of the log shows the whole token (any more)";
            found
                .await
                .ok()
                .flatten()
                .ok_or_else(|| Gone(gone.to_owned()))
        })
    }

    fn offer<'a>(&'a self, stream: &'a str, jti: String, set: String) -> Looked<'a, ()> {
        let (store, stream) = (Arc::clone(&self.store), stream.to_owned());
        Box::pin(async move {
            let kept = spawn_blocking(move || store.offer(&stream, &jti, &set, now())).await;
            let kept = kept.ok().and_then(Result::ok);
            kept.ok_or_else(|| Gone("the event cannot be kept now".to_owned()))
        })
    }
}

/// The newest line of evidence that still shows the token.
fn token(findings: &[Finding], target: &Target, set_up: &SetUp) -> Option<RawToken<'static>> {
    // What a forgery shows is not what was stolen.
    let real = findings.iter().rev();
    let real = real.filter(|finding| !finding.verdict.forged() && finding.provenance.teaches());
    let lines = real.flat_map(|finding| finding.evidence.iter().rev());
    let mut lines = lines.take(LINES_MAX);
    lines.find_map(|evidence| {
        let names = names(Path::new(&*evidence.file));
        names
            .iter()
            .find_map(|path| in_file(path, evidence, target, set_up))
    })
}

/// The file, and what it may be called since it was rotated, newest first.
fn names(path: &Path) -> Vec<PathBuf> {
    let mut names = vec![path.to_owned()];
    let (Some(folder), Some(stem)) = (path.parent(), path.file_stem()) else {
        return names;
    };
    let stem = stem.to_string_lossy().into_owned();
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let rotated = entries.filter(|entry| {
        let name = entry.file_name();
        let rest = name.to_str().and_then(|name| name.strip_prefix(&*stem));
        rest.is_some_and(|rest| rest.starts_with(['.', '-', '_'])) && entry.path() != path
    });
    let changed = |entry: &fs::DirEntry| {
        entry
            .metadata()
            .and_then(|metadata| metadata.modified())
            .ok()
    };
    let mut rotated: Vec<_> = rotated
        .map(|entry| (changed(&entry), entry.path()))
        .collect();
    rotated.sort_by(|one, other| other.cmp(one));
    names.extend(rotated.into_iter().map(|(_, path)| path).take(NAMES_MAX));
    names
}

fn in_file(
    path: &Path,
    evidence: &Evidence,
    target: &Target,
    set_up: &SetUp,
) -> Option<RawToken<'static>> {
    let line = line_at(path, evidence.offset_bytes).ok()?;
    let source = Source(Arc::clone(&evidence.file));
    let found = Found {
        input: Input::File(path.to_owned()),
        source: source.clone(),
        size_bytes: 0,
    };
    let wanted = set_up.wanted(Path::new(&*evidence.file)).ok()?;
    let stream = Stream::sniff(&found, &wanted, &set_up.front).ok()?;
    let chunk = Chunk::split(source, line, evidence.offset_bytes, evidence.line);
    let chunk = stream.inside(chunk)?;
    let prepared = set_up.front.chunk(&stream.reading, chunk);
    let lines = prepared.borrow_dependent().iter().flatten();
    let mut credentials = lines.flat_map(|line| line.credentials.iter());
    credentials.find_map(|credential| {
        let Shape::Raw(raw) = &credential.shape else {
            return None;
        };
        let token = decode(credential, &set_up.front.key).ok()?;
        (token.form == Form::Raw && names_token(target, &token)).then(|| raw.to_owned())
    })
}

/// The line at this position of what the file holds.
fn line_at(path: &Path, offset_bytes: u64) -> io::Result<Vec<u8>> {
    let opened = archive::open(path)?;
    let mut reader: Box<dyn Read> = match opened.packing {
        Packing::Plain => {
            let (mut file, _) = open::regular(path)?;
            file.seek(SeekFrom::Start(offset_bytes))?;
            Box::new(file)
        }
        _ if offset_bytes > PACKED_BYTES_MAX => return Err(io::ErrorKind::FileTooLarge.into()),
        _ => {
            let mut reader = opened.reader;
            io::copy(&mut (&mut reader).take(offset_bytes), &mut io::sink())?;
            reader
        }
    };
    let mut line = Vec::new();
    let limit = LINE_BYTES_MAX as u64;
    BufReader::new((&mut reader).take(limit)).read_until(b'\n', &mut line)?;
    Ok(line)
}

fn names_token(target: &Target, token: &Token) -> bool {
    if token.issuer.as_deref().unwrap_or_default() != target.issuer() {
        return false;
    }
    match target {
        Target::Jti { jti, .. } => token.jti.as_deref() == Some(jti),
        Target::Sid { sid, .. } => token.sid.as_deref() == Some(sid),
        Target::Subject { sub, .. } => token.sub.as_deref() == Some(sub),
        Target::Token { token: id, .. } => token.id == *id,
        Target::Address { .. } => false,
    }
}
