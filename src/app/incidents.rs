//! `tokentrip incidents`, `pause`, `resume`: what the daemon found and did, and a person's word about it.
//!
//! In: the store in the state folder, which a running daemon shares. Out: incidents for people or NDJSON; decisions
//! that the daemon takes over within a second.
//! Does not know: how incidents are found or actions carried out.

use super::Error;
use super::pretty::{self, Palette};
use super::receivers::Receivers;
use crate::cli::{Color, ConfigFile, Decision, Incidents, Output};
use crate::config::{Config, environment_of_process};
use crate::domain::finding::Level;
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
            since,
            output,
        } => {
            let query = Query {
                level: *level,
                subject: subject.clone(),
                since: *since,
                ..Query::default()
            };
            list(&open(config)?, query, *output)
        }
        Incidents::Show { id, config, output } => show(&open(config)?, *id, *output, color),
        Incidents::Approve(decision) => approve(decision),
        Incidents::Undo(decision) => undo(decision),
        Incidents::Resolve {
            decision,
            false_positive,
        } => resolve(decision, *false_positive),
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

fn configured(file: &ConfigFile) -> Result<Config, Error> {
    Config::load(file.config.as_deref(), &environment_of_process()).map_err(Error::shown)
}

fn open(file: &ConfigFile) -> Result<Store, Error> {
    store_of(&configured(file)?)
}

fn store_of(config: &Config) -> Result<Store, Error> {
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
    let incident = store
        .incident(id)
        .map_err(Error::shown)?
        .ok_or_else(|| unknown(id))?;
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

fn approve(decision: &Decision) -> Result<u8, Error> {
    let store = open(&decision.config)?;
    known(&store, decision.id)?;
    let released = store
        .approve(decision.id, &decision.by, now())
        .map_err(Error::shown)?;
    if released.is_empty() {
        return Err(Error::new(format!("nothing of {} waits for approval", decision.id)).help(
            "in mode observe nothing is planned; `[response] mode = \"approve\"` plans and waits",
        ));
    }
    for action in &released {
        say(&format!(
            "goes ahead: {} ({})",
            action.calls.join(", "),
            action.provider
        ))?;
    }
    Ok(0)
}

fn undo(decision: &Decision) -> Result<u8, Error> {
    let store = open(&decision.config)?;
    known(&store, decision.id)?;
    let undone = store
        .undo(decision.id, &decision.by, now())
        .map_err(Error::shown)?;
    for target in &undone.targets {
        say(&format!("no longer denied: {target}"))?;
    }
    if undone.reversed > 0 {
        say(&format!("{} calls are being taken back", undone.reversed))?;
    }
    say(&format!(
        "{} calls that were not made yet will not be made; a logout or a mail cannot be taken back",
        undone.cancelled
    ))
}

/// Closes an incident, and tells everybody who was told that it opened.
fn resolve(decision: &Decision, false_positive: bool) -> Result<u8, Error> {
    let config = configured(&decision.config)?;
    let store = store_of(&config)?;
    let incident = store.incident(decision.id).map_err(Error::shown)?;
    let mut incident = incident.ok_or_else(|| unknown(decision.id))?;
    incident.state = match false_positive {
        true => State::FalsePositive,
        false => State::Resolved,
    };
    let case: Arc<dyn CaseFile> = Arc::new(NoCase);
    let receivers = Receivers::new(&config, &case)?;
    let alerts = sinks::alerts(&receivers.sinks, Event::Resolved, &incident);
    let (id, state) = (incident.id, incident.state);
    store
        .set_state(id, state, alerts, &decision.by, now())
        .map_err(Error::shown)?;
    say(&format!("{id} is {}", state.name()))
}

/// The incident's level, or the error that there is none.
fn known(store: &Store, id: IncidentId) -> Result<Level, Error> {
    let incident = store.incident(id).map_err(Error::shown)?;
    incident
        .map(|incident| incident.level)
        .ok_or_else(|| unknown(id))
}

fn unknown(id: IncidentId) -> Error {
    Error::new(format!("there is no incident {id}"))
        .help("`tokentrip incidents list` shows those of the store")
}

fn form(output: Option<Output>) -> Output {
    output.unwrap_or(match io::stdout().is_terminal() {
        true => Output::Pretty,
        false => Output::Ndjson,
    })
}

fn say(text: &str) -> Result<u8, Error> {
    match writeln!(io::stdout(), "{text}") {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Error::shown(error)),
        _ => Ok(0),
    }
}
