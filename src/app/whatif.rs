//! `tokentrip whatif`: what a shorter lifetime, a binding or rotation would have prevented, and whom it would hurt.
//!
//! In: the logs, twice: once to find the thefts, once to hold each use against the measures. Out: a table, or NDJSON.
//! Does not know: how thefts are found, or how a measure is held against a use ([`measures`]).

mod measures;

use super::Error;
use super::pretty::Palette;
use super::replay::Archive;
use crate::cli::{self, Bind, Color, Whatif};
use crate::domain::ids::SessionId;
use crate::domain::incident::Incident;
use crate::engine::follow::{Follow, Followed};
use crate::incidents::{client_words, counted};
use crate::sinks::brief::grouped;
use crate::sinks::ndjson::{self, Record};
use measures::{Ledger, Measure, Party};
use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};

/// Compared when nothing is asked for. RFC 9700, section 2.2, asks for short lives and for binding or rotation.
const USUAL: [Measure; 6] = [
    Measure::Lifetime(300),
    Measure::Lifetime(900),
    Measure::Lifetime(3600),
    Measure::Bind(Bind::Network),
    Measure::Bind(Bind::Client),
    Measure::Rotate,
];

/// Replays an archive under each measure.
///
/// # Errors
/// When the logs cannot be read twice, or nothing in them could be judged.
pub(super) fn run(options: &Whatif, color: Color) -> Result<u8, Error> {
    let mut archive = Archive::open(&options.archive)?;
    let engine = archive.set_up.engine(true, false);
    let engine = archive.judge(engine, &mut |_| {})?;
    let thefts = Thefts::new(&engine.incidents(), |session| {
        let keys = engine.suspects_of(session).into_iter();
        keys.map(|key| key.0).collect()
    });
    drop(engine);
    let measures = asked(options);
    let together = is_asked(options) && measures.len() > 1;
    let mut ledger = Ledger::new(measures, together, thefts.incidents.len());
    let mut engine = archive.set_up.engine(true, false);
    engine.follow(Follow::All);
    archive.judge(engine, &mut |seen| {
        for usage in seen.followed.drain(..) {
            ledger.see(&usage, thefts.party(&usage));
        }
    })?;
    write(&ledger.results(), options, color)
}

fn is_asked(options: &Whatif) -> bool {
    !options.lifetime.is_empty() || !options.bind.is_empty() || options.rotate
}

fn asked(options: &Whatif) -> Vec<Measure> {
    if !is_asked(options) {
        return USUAL.to_vec();
    }
    let lifetimes = options.lifetime.iter().map(|s| Measure::Lifetime(*s));
    let bindings = options.bind.iter().map(|bind| Measure::Bind(*bind));
    let rotation = options.rotate.then_some(Measure::Rotate);
    let mut asked: Vec<Measure> = lifetimes.chain(bindings).chain(rotation).collect();
    asked.sort_unstable();
    asked.dedup();
    asked
}

/// The thefts of sessions, and who the thieves are.
struct Thefts {
    incidents: Vec<Incident>,
    /// Of each session the incidents about it.
    sessions: BTreeMap<SessionId, Vec<usize>>,
    /// Of each session the contexts that findings named.
    suspects: BTreeMap<SessionId, Vec<u64>>,
}

impl Thefts {
    fn new(incidents: &[Incident], suspects_of: impl Fn(SessionId) -> Vec<u64>) -> Self {
        // A shared source tells of thefts that have incidents of their own.
        let about_sessions = |one: &&Incident| !one.sessions.is_empty() && one.children.is_empty();
        let incidents: Vec<Incident> = incidents.iter().filter(about_sessions).cloned().collect();
        let mut sessions: BTreeMap<SessionId, Vec<usize>> = BTreeMap::new();
        for (index, incident) in incidents.iter().enumerate() {
            for session in &incident.sessions {
                sessions.entry(*session).or_default().push(index);
            }
        }
        let suspects = sessions.keys().map(|id| (*id, suspects_of(*id))).collect();
        Self {
            incidents,
            sessions,
            suspects,
        }
    }

    fn party(&self, usage: &Followed) -> Party {
        let session = usage.token.session;
        let Some(incidents) = self.sessions.get(&session) else {
            return Party::Holder;
        };
        let client = usage.context.client.as_deref().map(client_words);
        let shows = |index: &&usize| {
            let suspect = &self.incidents[**index].suspect;
            suspect.ips.contains(&usage.context.address.ip())
                && (client.as_ref()).is_none_or(|client| suspect.clients.contains(client))
        };
        let known = self.suspects.get(&session);
        let named = known.is_some_and(|keys| keys.contains(&usage.context_key.0));
        match incidents.iter().find(shows) {
            Some(index) => Party::Thief(*index),
            None if named => Party::Thief(incidents[0]),
            None => Party::Holder,
        }
    }
}

fn write(results: &[ndjson::Whatif], options: &Whatif, color: Color) -> Result<u8, Error> {
    let terminal = io::stdout().is_terminal();
    let form = options.output.unwrap_or(match terminal {
        true => cli::Output::Pretty,
        false => cli::Output::Ndjson,
    });
    let out = &mut io::stdout().lock();
    let written = match form {
        cli::Output::Ndjson => results
            .iter()
            .try_for_each(|result| ndjson::write(out, &Record::Whatif(result))),
        cli::Output::Pretty => {
            let no_color = std::env::var("NO_COLOR").ok();
            let palette = Palette::new(color.wanted(terminal, no_color.as_deref()));
            table(out, results, &palette)
        }
    };
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Error::shown(error)),
        _ => Ok(0),
    }
}

/// What the columns mean.
const NOTES: [&str; 4] = [
    "The thief is taken to hold the access token and nothing to renew it with.",
    "hurt by a lifetime   people whose session never showed a second token: they have to sign in again",
    "hurt by a binding    people who went elsewhere themselves: another network, another program",
    "hurt by rotation     people who used an older token a minute after a newer one of the session",
];

fn table(out: &mut dyn Write, results: &[ndjson::Whatif], palette: &Palette) -> io::Result<()> {
    let Some(first) = results.first() else {
        return Ok(());
    };
    let thefts = counted(first.thefts, "theft");
    let requests = counted(first.requests, "request");
    let people = grouped(first.users);
    writeln!(
        out,
        " {thefts}, {requests} of thieves that were let in; {people} people\n"
    )?;
    let [measure, prevented, ended] = ["measure", "requests prevented", "thefts prevented"];
    let [hurt, refreshes] = ["people hurt", "more refreshes"];
    let (bold, reset) = (palette.bold().render(), palette.bold().render_reset());
    writeln!(
        out,
        " {bold}{measure:<16} {prevented:>20} {ended:>18} {hurt:>18} {refreshes:>15}{reset}"
    )?;
    for result in results {
        writeln!(
            out,
            " {:<16} {:>20} {:>18} {:>18} {:>15}",
            result.measure,
            share(result.prevented, result.requests),
            share(result.thefts_prevented, result.thefts),
            share(result.users_hurt, result.users),
            grouped(result.refreshes)
        )?;
    }
    writeln!(out)?;
    NOTES.iter().try_for_each(|note| writeln!(out, " {note}"))
}

/// `1,100 (91 %)`.
fn share(part: u64, whole: u64) -> String {
    match whole {
        0 => grouped(part),
        whole => format!(
            "{} ({:.1} %)",
            grouped(part),
            part as f64 * 100.0 / whole as f64
        ),
    }
}
