//! `tokentrip doctor`: is everything there that the daemon needs, and does it see what it should?
//!
//! In: the configuration. Out: one line for each thing looked at, ok, warn or fail, with what to do about it; exit code
//! 0, 1 where something should be better, 2 where something cannot work.
//! Does not know: what the logs mean. Nothing is changed, and nobody is called but key sets and our own daemon.

pub(super) mod daemon;
mod providers;
mod sources;

use super::set_up::load_rules;
use super::{Error, geo};
use crate::cli;
use crate::config::{Config, Issuer, Jwks, environment_of_process};
use crate::domain::ids::IdKey;
use crate::domain::mask::mask;
use crate::domain::time::Time;
use crate::ingest::state;
use crate::issuers::{Fetcher, KeySource, Location};
use crate::outbound::now;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

/// A key set that takes longer is too slow for the daemon's start, too.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);

/// How things are, best first: the worst is the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    Ok,
    Warn,
    Fail,
}

/// What was found of one thing.
#[derive(Debug)]
struct Line {
    state: State,
    what: &'static str,
    said: String,
    hint: Option<String>,
}

/// What was found, in the order it was looked at.
#[derive(Debug, Default)]
struct Report(Vec<Line>);

impl Report {
    fn ok(&mut self, what: &'static str, said: impl Into<String>) {
        self.add(State::Ok, what, said.into(), None);
    }

    fn warn(&mut self, what: &'static str, said: impl Into<String>, hint: impl Into<String>) {
        self.add(State::Warn, what, said.into(), Some(hint.into()));
    }

    fn fail(&mut self, what: &'static str, said: impl Into<String>, hint: impl Into<String>) {
        self.add(State::Fail, what, said.into(), Some(hint.into()));
    }

    fn add(&mut self, state: State, what: &'static str, said: String, hint: Option<String>) {
        self.0.push(Line {
            state,
            what,
            said,
            hint,
        });
    }

    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        for line in &self.0 {
            let state = match line.state {
                State::Ok => "ok",
                State::Warn => "warn",
                State::Fail => "fail",
            };
            writeln!(out, "{state:<4}  {:<8}  {}", line.what, mask(&line.said))?;
            if let Some(hint) = &line.hint {
                writeln!(out, "                = {}", mask(hint))?;
            }
        }
        Ok(())
    }

    fn code(&self) -> u8 {
        self.0
            .iter()
            .map(|line| line.state as u8)
            .max()
            .unwrap_or(0)
    }
}

/// Runs the command.
///
/// # Errors
/// When the configuration is wrong, with every mistake in it; then there is nothing else to look at.
pub(super) fn run(options: &cli::Doctor) -> Result<u8, Error> {
    let file = options.config.config.as_deref();
    let config = Config::load(file, &environment_of_process()).map_err(Error::shown)?;
    let mut report = Report::default();
    match file {
        Some(file) => report.ok("config", format!("{} has no mistakes", file.display())),
        None => report.warn(
            "config",
            "no file is named, so everything is at its default",
            "name one with --config; `tokentrip init` writes one",
        ),
    }
    rules(&config, &mut report);
    exceptions(&config, &mut report);
    places(&config, &mut report);
    let key = state_folder(&config, &mut report).unwrap_or_else(|| IdKey::public([0; 32]));
    sources::look(&config, &key, &mut report);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(Error::shown)?;
    for issuer in &config.issuers {
        runtime.block_on(keys(issuer, &mut report));
    }
    if config.issuers.is_empty() {
        report.warn(
            "issuer",
            "none is configured: an answer 2xx has to do for genuine, which is enough to detect and never to act",
            "add [[issuer]] with `issuer` and `jwks`",
        );
    }
    providers::look(&config, &mut report);
    runtime.block_on(daemon::look(&config, &mut report));
    match report.write(&mut io::stdout().lock()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Error::shown(error)),
        _ => Ok(report.code()),
    }
}

fn rules(config: &Config, report: &mut Report) {
    match load_rules(config.rules.folder.as_deref(), config) {
        Ok(rules) => {
            let on_trial = rules.rules().iter().filter(|rule| rule.is_shadow).count();
            let said = match on_trial {
                0 => format!("{} rules", rules.rules().len()),
                some => format!("{} rules, {some} of them on trial", rules.rules().len()),
            };
            report.ok("rules", said);
        }
        Err(error) => report.fail(
            "rules",
            error.to_string(),
            "tokentrip rules check --rules FOLDER",
        ),
    }
}

/// Exceptions whose time is over help nobody, and hide what is still in force.
fn exceptions(config: &Config, report: &mut Report) {
    let is_over = |until: Option<Time>| until.is_some_and(|until| until <= now());
    let allows = config
        .allows
        .iter()
        .filter(|allow| is_over(allow.times.until));
    let allows = allows.map(|allow| format!("[[allow]] \"{}\"", allow.name));
    let travels = config.travels.iter().filter(|one| is_over(one.times.until));
    let travels = travels.map(|travel| format!("[[travel]] of {}", travel.subject));
    for over in allows.chain(travels) {
        let hint = "take it out of the configuration";
        report.warn("rules", format!("{over} is over"), hint);
    }
}

fn places(config: &Config, report: &mut Report) {
    let places = &config.places;
    match geo::tables(&places.city, &places.asn, places.home.clone()) {
        Ok(tables) => {
            let newest = tables.info().iter().map(|table| table.built).max();
            let age_days = newest
                .map_or(0.0, |built| now().since_s(built) / 86_400.0)
                .max(0.0);
            report.ok("places", format!("tables of {age_days:.0} days ago"));
        }
        Err(error) => report.fail(
            "places",
            error.to_string(),
            "check `city` and `asn` in [places]",
        ),
    }
}

/// Looks at the state folder without making or locking it, since it may be the running daemon's.
fn state_folder(config: &Config, report: &mut Report) -> Option<IdKey> {
    let folder = &config.state.folder;
    let shown = folder.display();
    match state::existing_key(folder) {
        Ok(Some(key)) => {
            report.ok(
                "state",
                format!("{shown} is there, with the key of this installation"),
            );
            return Some(key);
        }
        Ok(None) if writable(folder) => {
            report.ok(
                "state",
                format!("{shown} is made when the daemon starts first"),
            );
        }
        Ok(None) => report.fail(
            "state",
            format!("{shown} cannot be made or written by this user"),
            format!("install -d -m 700 -o tokentrip {shown}, or run this as the daemon's user"),
        ),
        Err(error) => {
            let text = error.to_string();
            let (said, hint) = text
                .split_once("\n  = ")
                .unwrap_or((&text, "check the folder"));
            report.fail("state", said, hint);
        }
    }
    None
}

/// True when this user may write into the folder, or into the nearest one above it that is there.
fn writable(folder: &Path) -> bool {
    let absolute = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let there = absolute
        .ancestors()
        .find_map(|folder| fs::metadata(folder).ok());
    let Some(there) = there.filter(fs::Metadata::is_dir) else {
        return false;
    };
    // As open(2) would decide, short of access lists: those are rare on state folders.
    let own = fs::metadata("/proc/self").map(|own| (own.uid(), own.gid()));
    let (uid, gid) = own.unwrap_or((u32::MAX, u32::MAX));
    let mode = there.mode();
    uid == 0
        || (there.uid() == uid && mode & 0o200 != 0)
        || (there.gid() == gid && mode & 0o020 != 0)
        || mode & 0o002 != 0
}

async fn keys(issuer: &Issuer, report: &mut Report) {
    let name = &issuer.issuer;
    let location = match &issuer.jwks {
        None => {
            return report.warn(
                "issuer",
                format!("{name} has no keys: signatures are not verified"),
                "add `jwks`: an https address, or a file",
            );
        }
        Some(Jwks::File(path)) => Ok(Location::file(path)),
        Some(Jwks::Url(url)) => Location::url(url),
    };
    let fetched = async {
        let source = KeySource {
            issuer: name.as_str().into(),
            location: location.map_err(|fault| fault.to_string())?,
        };
        let fetcher = Fetcher::new(FETCH_TIMEOUT).map_err(|error| error.to_string())?;
        fetcher
            .fetch(&source)
            .await
            .map_err(|fault| fault.to_string())
    };
    match fetched.await {
        Ok(keys) if keys.set.is_empty() => report.warn(
            "issuer",
            format!("{name}: the key set has no key that can be used"),
            "look at it: RSA, EC, Ed25519 and, from a file, oct keys are known",
        ),
        Ok(keys) => report.ok("issuer", format!("{name}: {} keys", keys.set.len())),
        Err(fault) => report.fail(
            "issuer",
            format!("{name}: {fault}"),
            "check `jwks` of this issuer",
        ),
    }
}
