//! `tokentrip scan --explain`: an incident's sessions, use by use.
//!
//! In: the logs, twice: once to find the incident, once to tell each use of its sessions. Out: a timeline for people,
//! or NDJSON.
//! Does not know: how thefts are found.

use super::output::warn;
use crate::app::Error;
use crate::app::pretty::{self, Palette, TimelineRow};
use crate::app::pseudonyms::Pseudonyms;
use crate::app::replay::Archive;
use crate::cli::{self, Color, Scan};
use crate::domain::context::Prefix;
use crate::domain::finding::{ClientShown, Finding, SourceShown};
use crate::domain::ids::{IncidentId, SessionId};
use crate::domain::incident::Incident;
use crate::domain::time::Time;
use crate::engine::follow::{Follow, Followed};
use crate::incidents::{client_words, template};
use crate::sessions::session::ContextKey;
use crate::sinks::ndjson::{self, Record, RequestShown, Use};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, IsTerminal, Write};

/// Uses told: a thief's script makes thousands, and nobody reads more.
const USES_MAX: usize = 100_000;

/// Explains an incident.
///
/// # Errors
/// When there is no such incident, or the logs cannot be read twice.
pub(super) fn run(options: &Scan, id: IncidentId, color: Color) -> Result<u8, Error> {
    let mut archive = Archive::open(&options.archive)?;
    let engine = archive.set_up.engine(!options.no_fast_path, false);
    let engine = archive.judge(engine, &mut |_| {})?;
    let incidents = engine.incidents();
    let incident = incidents.into_iter().find(|one| one.id == id);
    let incident = incident.ok_or_else(|| {
        Error::new(format!("there is no incident {id} in these logs")).help(
            "`tokentrip scan` lists what is there; ids of a daemon need its `--config`, and `--since` \
             must be the same",
        )
    })?;
    let sides = Sides::new(&incident, |session| engine.suspects_of(session));
    let mut told = Told::new(&incident, sides);
    let mut engine = archive.set_up.engine(!options.no_fast_path, false);
    engine.follow(what_to_follow(&incident));
    archive.judge(engine, &mut |seen| {
        for finding in seen.findings.drain(..) {
            told.finding(finding);
        }
        for usage in seen.followed.drain(..) {
            told.usage(usage);
        }
    })?;
    if told.left_out > 0 {
        warn(&format!("{} further uses are not shown", told.left_out));
    }
    write(options, &archive, &incident, &told, color)
}

/// The incident's sessions; about a sender of what is refused, all that it sends.
fn what_to_follow(incident: &Incident) -> Follow {
    if incident.sessions.is_empty() {
        let prefixes = incident.suspect.ips.iter().map(|ip| Prefix::of(*ip));
        return Follow::Senders(prefixes.collect());
    }
    Follow::Sessions(incident.sessions.iter().copied().collect())
}

/// Who is who.
struct Sides<'a> {
    incident: &'a Incident,
    suspects: BTreeSet<(SessionId, u64)>,
}

impl<'a> Sides<'a> {
    fn new(incident: &'a Incident, suspects_of: impl Fn(SessionId) -> Vec<ContextKey>) -> Self {
        let sessions = incident.sessions.iter();
        let suspects = sessions.flat_map(|session| {
            let keys = suspects_of(*session).into_iter();
            keys.map(|key| (*session, key.0))
        });
        Self {
            incident,
            suspects: suspects.collect(),
        }
    }

    fn of(&self, usage: &Followed) -> &'static str {
        let known = self
            .suspects
            .contains(&(usage.token.session, usage.context_key.0));
        let suspect = &self.incident.suspect;
        let client = usage.context.client.as_deref().map(client_words);
        let same = suspect.ips.contains(&usage.context.address.ip())
            && client.is_none_or(|client| suspect.clients.contains(&client));
        if known || same { "suspect" } else { "holder" }
    }
}

/// What is to be told.
struct Told<'a> {
    incident: &'a Incident,
    sides: Sides<'a>,
    uses: Vec<Use>,
    findings: BTreeMap<crate::domain::ids::FindingId, Finding>,
    last: BTreeMap<SessionId, Time>,
    left_out: u64,
}

impl<'a> Told<'a> {
    fn new(incident: &'a Incident, sides: Sides<'a>) -> Self {
        Self {
            incident,
            sides,
            uses: Vec::new(),
            findings: BTreeMap::new(),
            last: BTreeMap::new(),
            left_out: 0,
        }
    }

    fn finding(&mut self, finding: Finding) {
        let own = finding
            .session
            .is_some_and(|session| self.incident.sessions.contains(&session));
        if own || self.incident.findings.contains(&finding.id) {
            self.findings.insert(finding.id, finding);
        }
    }

    fn usage(&mut self, usage: Followed) {
        if self.uses.len() == USES_MAX {
            self.left_out += 1;
            return;
        }
        let (token, context) = (&usage.token, &usage.context);
        let before = self.last.insert(token.session, usage.time);
        self.uses.push(Use {
            incident: self.incident.id,
            time: usage.time,
            gap_s: before.map(|before| usage.time.since_s(before)),
            side: self.sides.of(&usage),
            session: token.session,
            token: token.id,
            subject: token.sub.as_deref().map(Into::into),
            source: SourceShown::from(&**context),
            client: context.client.as_deref().map(ClientShown::from),
            request: RequestShown {
                method: usage.method,
                host: usage.host,
                path: usage.path.as_deref().map(template),
                status: usage.status,
                bytes: usage.bytes,
            },
            place: usage.place.name(),
            accepted: usage.standing.accepted,
            logout: usage.logout,
            provenance: usage.provenance,
            verdict: usage.verdict,
            findings: usage.findings,
            evidence: usage.evidence,
            request_id: usage.request_id,
        });
    }
}

fn write(
    options: &Scan,
    archive: &Archive<'_>,
    incident: &Incident,
    told: &Told<'_>,
    color: Color,
) -> Result<u8, Error> {
    let terminal = io::stdout().is_terminal();
    let form = options.output.unwrap_or(match terminal {
        true => cli::Output::Pretty,
        false => cli::Output::Ndjson,
    });
    let key = archive.set_up.front.key.clone();
    let pseudonyms = options.pseudonymise.then(|| Pseudonyms::new(key));
    let out = &mut io::BufWriter::new(io::stdout().lock());
    let written = match form {
        cli::Output::Ndjson => records(out, incident, told, pseudonyms.as_ref()),
        cli::Output::Pretty => {
            let no_color = std::env::var("NO_COLOR").ok();
            let palette = Palette::new(color.wanted(terminal, no_color.as_deref()));
            let shown = pseudonyms.as_ref().map(|names| names.incident(incident));
            let shown = shown.as_ref().unwrap_or(incident);
            let rows = rows(told, pseudonyms.as_ref());
            pretty::write_one(out, shown, &palette)
                .and_then(|()| pretty::timeline(out, &rows, &palette))
        }
    };
    match written.and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Error::new(format!("cannot write the results: {error}")))
        }
        _ => Ok(0),
    }
}

fn records(
    out: &mut dyn Write,
    incident: &Incident,
    told: &Told<'_>,
    pseudonyms: Option<&Pseudonyms>,
) -> io::Result<()> {
    let mut write = |record: Record<'_>| match pseudonyms {
        Some(pseudonyms) => writeln!(out, "{}", ndjson::line(&pseudonyms.record(&record))?),
        None => writeln!(out, "{}", ndjson::line(&record)?),
    };
    write(Record::Incident(incident))?;
    for usage in &told.uses {
        write(Record::Use(usage))?;
        let findings = usage.findings.iter().filter_map(|id| told.findings.get(id));
        for finding in findings {
            write(Record::Finding(finding))?;
        }
    }
    Ok(())
}

fn rows(told: &Told<'_>, pseudonyms: Option<&Pseudonyms>) -> Vec<TimelineRow> {
    let several = told.last.len() > 1;
    let row = |usage: &Use| {
        let findings = usage.findings.iter().filter_map(|id| told.findings.get(id));
        let source = &usage.source;
        let ip = source.ip.map(|ip| ip.to_string()).unwrap_or_default();
        TimelineRow {
            time: usage.time,
            gap_s: usage.gap_s,
            side: usage.side,
            from: [
                pseudonyms.map_or_else(|| ip.clone(), |names| names.sentence(&ip)),
                network_words(source),
                usage.client.as_ref().map(program_words).unwrap_or_default(),
                if several {
                    usage.session.to_string()
                } else {
                    String::new()
                },
            ],
            request: format!(
                "{} {}",
                usage.request.method.as_deref().unwrap_or("-"),
                usage.request.path.as_deref().unwrap_or("-")
            ),
            status: usage.request.status,
            provenance: usage.provenance,
            findings: findings
                .map(|finding| (finding.level, format!("{}: {}", finding.rule, finding.says)))
                .collect(),
        }
    };
    told.uses.iter().map(row).collect()
}

fn network_words(source: &SourceShown) -> String {
    let org = source.org.as_deref().unwrap_or("an unknown network");
    let place = [source.place.as_deref(), source.country.as_deref()];
    let place: Vec<&str> = place.into_iter().flatten().collect();
    match place.is_empty() {
        true => org.to_owned(),
        false => format!("{org} ({})", place.join(", ")),
    }
}

fn program_words(client: &ClientShown) -> String {
    let major = client.version.split('.').next().unwrap_or_default();
    let name = format!("{} {major}", client.name);
    match client.os.is_empty() {
        true => name.trim_end().to_owned(),
        false => format!("{} on {}", name.trim_end(), client.os),
    }
}
