//! `tokentrip incidents`, `pause`, `resume`: what the daemon found and did, and a person's word about it.
//!
//! In: the store in the state folder, which a running daemon shares. Out: incidents for people or NDJSON; decisions
//! that the daemon takes over within a second.
//! Does not know: how incidents are found or actions carried out.

use super::Error;
use super::pretty::{self, Palette};
use super::receivers::Receivers;
use crate::cli::{Color, ConfigFile, Decision, Forget, Incidents, Moment, Output, Range};
use crate::config::{Config, environment_of_process};
use crate::domain::action::Action;
use crate::domain::ids::IncidentId;
use crate::domain::incident::{Incident, State};
use crate::outbound::now;
use crate::response::case::{CaseFile, NoCase};
use crate::sinks::ndjson::{self, Record};
use crate::sinks::{self, Event};
use crate::store::{Query, Store};
use std::io::{self, IsTerminal, Write};
use std::sync::Arc;

/// Runs one of the commands about incidents.
///
/// # Errors
/// When there is no store, or no such incident.
pub(super) fn run(ask: &Incidents, color: Color) -> Result<u8, Error> {
    match ask {
        Incidents::List {
            config,
            level,
            subject,
            state,
            since,
            output,
        } => {
            let query = Query {
                level: *level,
                subject: subject.clone(),
                state: *state,
                since: *since,
                ..Query::default()
            };
            list(&open(config)?, query, *output)
        }
        Incidents::Show { id, config, output } => show(&open(config)?, *id, *output, color),
        Incidents::Approve(range) => each(range, approve),
        Incidents::Undo(range) => each(range, undo),
        Incidents::Replay(range) => each(range, replay),
        Incidents::Acknowledge(decision) => {
            set_state(decision, State::Acknowledged, Event::Updated)
        }
        Incidents::Resolve {
            decision,
            false_positive,
        } => {
            let state = match false_positive {
                true => State::FalsePositive,
                false => State::Resolved,
            };
            set_state(decision, state, Event::Resolved)
        }
    }
}

/// Stops actions, or lets them go on.
///
/// # Errors
/// When there is no store.
pub(super) fn pause(config: &ConfigFile, pause: bool) -> Result<u8, Error> {
    let by = std::env::var("USER").unwrap_or_else(|_| "unknown".to_owned());
    open(config)?
        .pause(pause, &by, now())
        .map_err(Error::shown)?;
    let word = if pause {
        "paused: detection and alerts go on"
    } else {
        "resumed"
    };
    say(&format!("actions are {word}"))
}

/// Erases a person.
///
/// # Errors
/// When there is no store.
pub(super) fn forget(ask: &Forget) -> Result<u8, Error> {
    let store = open(&ask.config)?;
    let done = store
        .forget(&ask.subject, &ask.by, now())
        .map_err(Error::shown)?;
    say(&format!(
        "erased: {} incidents, {} findings, their name in {} incidents of others, {} events that nobody had polled, {} \
         texts of the audit",
        done.incidents, done.findings, done.mentions, done.events, done.audit
    ))?;
    if done.denials > 0 {
        say(&format!(
            "{} denials name them and go on until they end: without them a stolen token would be let in again",
            done.denials
        ))?;
    }
    say(
        "not erased: your logs (`tokentrip scrub` takes tokens out of them), and what the running daemon remembers \
         of their sessions until it has room for others",
    )
}

pub(super) fn configured(file: &ConfigFile) -> Result<Config, Error> {
    Config::load(file.config.as_deref(), &environment_of_process()).map_err(Error::shown)
}

fn open(file: &ConfigFile) -> Result<Store, Error> {
    store_of(&configured(file)?)
}

/// The store of the daemon with this configuration.
///
/// # Errors
/// When there is none.
pub(super) fn store_of(config: &Config) -> Result<Store, Error> {
    let path = config.state.folder.join("store.db");
    if !path.exists() {
        return Err(
            Error::new(format!("there is no store at {}", path.display())).help(
                "name the daemon's configuration with --config; it makes the store at its start",
            ),
        );
    }
    Store::open(&path).map_err(Error::shown)
}

fn list(store: &Store, mut query: Query, output: Option<Output>) -> Result<u8, Error> {
    let out = &mut io::stdout().lock();
    loop {
        let page = store.incidents(&query).map_err(Error::shown)?;
        for incident in &page.incidents {
            let written = match form(output) {
                Output::Ndjson => ndjson::write(out, &Record::Incident(incident)),
                Output::Pretty => row(out, incident),
            };
            match written {
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(0),
                written => written.map_err(Error::shown)?,
            }
        }
        match page.next {
            Some(cursor) => query.cursor = Some(cursor),
            None => return Ok(0),
        }
    }
}

fn row(out: &mut impl Write, incident: &Incident) -> io::Result<()> {
    let (level, state) = (incident.level.name(), incident.state.name());
    writeln!(
        out,
        "{}  {}  {level:<8}  {state:<14}  {}",
        incident.id, incident.opened, incident.title
    )
}

fn show(store: &Store, id: IncidentId, output: Option<Output>, color: Color) -> Result<u8, Error> {
    let incident = known(store, id)?;
    let out = &mut io::stdout().lock();
    if form(output) == Output::Ndjson {
        ndjson::write(out, &Record::Incident(&incident)).map_err(Error::shown)?;
        return Ok(0);
    }
    let no_color = std::env::var("NO_COLOR").ok();
    let palette = Palette::new(color.wanted(io::stdout().is_terminal(), no_color.as_deref()));
    pretty::write_one(out, &incident, &palette).map_err(Error::shown)?;
    for action in &incident.actions {
        let said = writeln!(
            out,
            "  {} {} {}: {} ({}, by {})",
            action.at, action.provider, action.target, action.outcome, action.step, action.by
        );
        said.map_err(Error::shown)?;
    }
    for refusal in &incident.refused {
        writeln!(out, "  not done: {} ({})", refusal.reason, refusal.gate).map_err(Error::shown)?;
    }
    Ok(0)
}

/// Does something to one incident, or to all of a time, and says what came of it.
fn each(
    range: &Range,
    work: fn(&Store, IncidentId, &str) -> Result<Vec<String>, Error>,
) -> Result<u8, Error> {
    let store = open(&range.config)?;
    if let Some(id) = range.id {
        known(&store, id)?;
        let done = work(&store, id, &range.by)?;
        if done.is_empty() {
            return Err(nothing_waits(id));
        }
        return say(&done.join("\n"));
    }
    let since = match range.since {
        Some(Moment::At(time)) => time,
        Some(Moment::Ago(ms)) => now().plus_ms(-ms),
        None => return Err(Error::new("name an incident, or a time with --since")),
    };
    let mut query = Query {
        since: Some(since),
        ..Query::default()
    };
    let mut count = 0;
    loop {
        let page = store.incidents(&query).map_err(Error::shown)?;
        for incident in &page.incidents {
            let done = work(&store, incident.id, &range.by)?;
            if !done.is_empty() {
                let (id, title, done) = (incident.id, &incident.title, done.join("\n"));
                say(&format!("{id}  {title}\n{done}"))?;
                count += 1;
            }
        }
        match page.next {
            Some(cursor) => query.cursor = Some(cursor),
            None => return say(&format!("{count} incidents since {since}")),
        }
    }
}

/// Nothing, where nothing waits.
fn approve(store: &Store, id: IncidentId, by: &str) -> Result<Vec<String>, Error> {
    let released = store.approve(id, by, now()).map_err(Error::shown)?;
    let said = |action: &Action| {
        let calls = action.calls.join(", ");
        format!("goes ahead: {calls} ({})", action.provider)
    };
    Ok(released.iter().map(said).collect())
}

fn nothing_waits(id: IncidentId) -> Error {
    Error::new(format!("nothing of {id} waits for approval"))
        .help("in mode observe nothing is planned; `[response] mode = \"approve\"` plans and waits")
}

fn undo(store: &Store, id: IncidentId, by: &str) -> Result<Vec<String>, Error> {
    let undone = store.undo(id, by, now()).map_err(Error::shown)?;
    let targets = undone.targets.iter();
    let mut said: Vec<_> = targets
        .map(|target| format!("no longer denied: {target}"))
        .collect();
    if undone.reversed > 0 {
        said.push(format!("{} calls are being taken back", undone.reversed));
    }
    said.push(format!(
        "{} calls that were not made yet will not be made; a logout or a mail cannot be taken back",
        undone.cancelled
    ));
    Ok(said)
}

fn replay(store: &Store, id: IncidentId, by: &str) -> Result<Vec<String>, Error> {
    let count = store.replay(id, by, now()).map_err(Error::shown)?;
    Ok(vec![format!("{count} calls and messages are tried again")])
}

/// Sets where an incident stands, and tells everybody who was told that it opened.
fn set_state(decision: &Decision, state: State, event: Event) -> Result<u8, Error> {
    let config = configured(&decision.config)?;
    let store = store_of(&config)?;
    let mut incident = known(&store, decision.id)?;
    // Who looks at an incident undoes nothing of what was done about it.
    if state == State::Acknowledged && incident.state != State::Open {
        let stays = incident.state.name();
        return say(&format!("{} is {stays}, and stays so", decision.id));
    }
    incident.state = state;
    let case: Arc<dyn CaseFile> = Arc::new(NoCase);
    let receivers = Receivers::new(&config, &case)?;
    let alerts = sinks::alerts(&receivers.sinks, event, &incident);
    store
        .set_state(decision.id, state, alerts, &decision.by, now())
        .map_err(Error::shown)?;
    say(&format!("{} is {}", decision.id, state.name()))
}

/// The incident as it is stored.
///
/// # Errors
/// When there is none, or the store cannot be read.
pub(super) fn known(store: &Store, id: IncidentId) -> Result<Incident, Error> {
    let incident = store.incident(id).map_err(Error::shown)?;
    incident.ok_or_else(|| {
        Error::new(format!("there is no incident {id}"))
            .help("`tokentrip incidents list` shows those of the store")
    })
}

fn form(output: Option<Output>) -> Output {
    output.unwrap_or(match io::stdout().is_terminal() {
        true => Output::Pretty,
        false => Output::Ndjson,
    })
}

pub(super) fn say(text: &str) -> Result<u8, Error> {
    match writeln!(io::stdout(), "{text}") {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Error::shown(error)),
        _ => Ok(0),
    }
}
