//! `tokentrip drill`: a fire drill.
//!
//! In: a configuration whose daemon runs. Out: a marked, made-up theft in one of its logs, and which links of the chain
//! it passed: finding, incident, messages, denial, the calls that would be made, and the way back.
//! Does not know: how any of them works. Nobody is concerned: the subject is drawn by lot, and the daemon is told of it
//! through its own store, so that no forged line can call itself a drill.

use super::Error;
use super::doctor::daemon::reachable;
use super::incidents::{configured, say, store_of};
use super::receivers::Receivers;
use crate::cli::Drill;
use crate::config::{Config, Source};
use crate::domain::incident::{Incident, State};
use crate::ingest::discover::{Input, discover};
use crate::outbound::{Caller, now};
use crate::response::case::{CaseFile, NoCase};
use crate::sinks::{self, Event};
use crate::store::{Query, Store};
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use serde_json::{Value, json};
use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What the subject of every drill begins with: people see it in messages.
const MARK: &str = "tokentrip-drill-";

/// Addresses that belong to nobody (RFC 5737).
const HERE: &str = "192.0.2.10";
const THERE: &str = "198.51.100.5";

const BROWSER: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) \
                       Chrome/126.0.0.0 Safari/537.36";
const TOOL: &str = "python-requests/2.32.3";

/// How long each link may take: a mail server is asked at once, and may take its time.
const PATIENCE: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(100);

/// Runs the drill; 1 when a link is broken.
///
/// # Errors
/// When it cannot begin, or the store cannot be read.
pub(super) fn run(ask: &Drill) -> Result<u8, Error> {
    let config = configured(&ask.config)?;
    let store = store_of(&config)?;
    let log = log_of(&config, ask.source.as_deref())?;
    let issuer = config.issuers.first().ok_or_else(|| {
        Error::new("a drill needs an [[issuer]]").help("name the one whose tokens are protected")
    })?;
    let mut lot = [0; 16];
    getrandom::fill(&mut lot)
        .map_err(|error| Error::new(format!("the system gives no random bytes: {error}")))?;
    let subject = format!("{MARK}{}", HEXLOWER.encode(&lot));
    let path = issuer.protected_paths.first().map_or("/", String::as_str);
    let claims = json!({
        "iss": issuer.issuer, "sub": subject, "sid": format!("{subject}-sid"),
        "jti": format!("{subject}-jti"), "exp": now().as_s() + 600,
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(Error::shown)?;
    store
        .begin_drill(&subject, &ask.by, now())
        .map_err(Error::shown)?;
    let begun = append(&log, &lines(&claims, path));
    let drill = Rehearsal {
        store: &store,
        config: &config,
        claims: &claims,
        by: &ask.by,
        runtime,
    };
    let outcome = begun.and_then(|()| {
        say(&format!(
            "written     a made-up theft of {subject}, into {}",
            log.display()
        ))?;
        drill.follow(&subject)
    });
    store.end_drill().map_err(Error::shown)?;
    let broken = outcome?;
    match broken {
        0 => say("every link holds"),
        _ => {
            say(&format!("broken: {broken}"))?;
            Ok(1)
        }
    }
}

struct Rehearsal<'a> {
    store: &'a Store,
    config: &'a Config,
    claims: &'a Value,
    by: &'a str,
    runtime: tokio::runtime::Runtime,
}

impl Rehearsal<'_> {
    /// How many links are broken.
    fn follow(&self, subject: &str) -> Result<u32, Error> {
        let Some(incident) = patiently(|| self.incident(subject))? else {
            say(
                "incident    NONE: is the daemon running (tokentrip doctor), and does it follow this log?",
            )?;
            return Ok(1);
        };
        let rules: Vec<_> = incident.rules.keys().map(AsRef::as_ref).collect();
        let (id, level) = (incident.id, incident.level.name());
        say(&format!("incident    {id}, {level}: {}", rules.join(", ")))?;
        let mut broken = self.denial(&incident)? + self.messages(&incident)?;
        self.calls(&incident)?;
        self.store.undo(id, self.by, now()).map_err(Error::shown)?;
        self.close(incident)?;
        if patiently(|| Ok((self.check()? == 200).then_some(())))?.is_some() {
            say("taken back  /v1/check lets the made-up token pass again")?;
        } else {
            say("taken back  NO: /v1/check still refuses the made-up token; it ends by itself")?;
            broken += 1;
        }
        Ok(broken)
    }

    /// Says that it was none, and tells those who were told of it.
    fn close(&self, mut incident: Incident) -> Result<(), Error> {
        incident.state = State::FalsePositive;
        let case: Arc<dyn CaseFile> = Arc::new(NoCase);
        let receivers = Receivers::new(self.config, &case)?;
        let alerts = sinks::alerts(&receivers.sinks, Event::Resolved, &incident);
        self.store
            .set_state(incident.id, incident.state, alerts, self.by, now())
            .map_err(Error::shown)?;
        Ok(())
    }

    fn incident(&self, subject: &str) -> Result<Option<Incident>, Error> {
        let query = Query {
            subject: Some(subject.to_owned()),
            limit: 1,
            ..Query::default()
        };
        let page = self.store.incidents(&query).map_err(Error::shown)?;
        // It rises with every finding; what is planned comes with the one that is enough.
        let planned = page
            .incidents
            .into_iter()
            .find(|incident| !incident.actions.is_empty());
        Ok(planned)
    }

    fn denial(&self, incident: &Incident) -> Result<u32, Error> {
        let listen = self
            .config
            .server
            .check_listen
            .unwrap_or(self.config.server.listen);
        if patiently(|| Ok((self.check()? == 401).then_some(())))?.is_some() {
            say(&format!(
                "denied      /v1/check at {listen} refuses the made-up token"
            ))?;
            return Ok(0);
        }
        let planned = incident.actions.len();
        say(&format!(
            "denied      NO: /v1/check at {listen} lets the made-up token pass ({planned} actions planned)"
        ))?;
        Ok(1)
    }

    fn messages(&self, incident: &Incident) -> Result<u32, Error> {
        if self.config.sinks.is_empty() {
            say("told        nobody: no [[sink]] is configured")?;
            return Ok(0);
        }
        let settled = || {
            let messages = self.store.messages(incident.id).map_err(Error::shown)?;
            let open = messages
                .iter()
                .any(|(_, state)| state != "done" && state != "dead");
            Ok((!open && !messages.is_empty()).then_some(()))
        };
        patiently(settled)?;
        let messages = self.store.messages(incident.id).map_err(Error::shown)?;
        let mut broken = 0;
        for sink in &self.config.sinks {
            let of = messages.iter().filter(|(name, _)| *name == sink.name);
            let states: Vec<_> = of.map(|(_, state)| state.as_str()).collect();
            let said = match states.as_slice() {
                [] if incident.level < sink.level_min => {
                    "not asked for: level_min is above".to_owned()
                }
                states if states.contains(&"done") => "took the message".to_owned(),
                [] => "NOT ASKED".to_owned(),
                states => format!("NOT TOLD: {}", states.join(", ")),
            };
            broken += u32::from(said.starts_with("NOT"));
            say(&format!("told        {}: {said}", sink.name))?;
        }
        Ok(broken)
    }

    fn calls(&self, incident: &Incident) -> Result<(), Error> {
        let incident = self.store.incident(incident.id).map_err(Error::shown)?;
        let actions = incident
            .map(|incident| incident.actions)
            .unwrap_or_default();
        let dry = actions.iter().filter(|action| action.outcome == "dry_run");
        for action in dry {
            let (step, target) = (&action.step, &action.target);
            say(&format!(
                "would call  {}: step {step} on {target}",
                action.provider
            ))?;
        }
        if self.config.providers.is_empty() {
            say("would call  nobody: no [[provider]] is configured")?;
        }
        Ok(())
    }

    /// What `/v1/check` answers to the made-up token; 0 while nobody does.
    fn check(&self) -> Result<u16, Error> {
        let part = |json: &Value| BASE64URL_NOPAD.encode(json.to_string().as_bytes());
        // Nobody signed it, and nobody has to: the denylist goes by what it says.
        let token = format!(
            "{}.{}.drill",
            part(&json!({"alg": "RS256"})),
            part(self.claims)
        );
        let listen = self
            .config
            .server
            .check_listen
            .unwrap_or(self.config.server.listen);
        let caller = Caller::new().map_err(Error::shown)?;
        let url = format!("http://{}/v1/check", reachable(listen));
        let request = caller.client().get(url).bearer_auth(token);
        let answer = self.runtime.block_on(caller.send(request));
        Ok(answer.map_or(0, |answer| answer.status))
    }
}

/// Asks until there is an answer, for as long as a link may take.
fn patiently<T>(mut ask: impl FnMut() -> Result<Option<T>, Error>) -> Result<Option<T>, Error> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = ask()?;
        if answer.is_some() || Instant::now() >= deadline {
            return Ok(answer);
        }
        std::thread::sleep(POLL);
    }
}

/// The log that the theft is written into.
fn log_of(config: &Config, asked: Option<&Path>) -> Result<PathBuf, Error> {
    if let Some(path) = asked {
        return Ok(path.to_owned());
    }
    let is_file = |source: &&Source| source.listen.is_none();
    let takes_json = |source: &&Source| matches!(source.format.as_str(), "auto" | "json");
    let mut sources = config.sources.iter().filter(is_file);
    let source = sources.find(takes_json).ok_or_else(|| {
        Error::new("no [[source]] takes the lines of a drill, which are JSON")
            .help("a drill needs a source with a path and with `format = \"auto\"`")
    })?;
    let pattern = [OsString::from(&source.path)];
    let found = discover(&pattern).map_err(Error::shown)?;
    let mut paths = found.into_iter().filter_map(|found| match found.input {
        Input::File(path) => Some(path),
        Input::Stdin => None,
    });
    paths.next().ok_or_else(|| {
        Error::new(format!("there is no log at {}", source.path.display()))
            .help("name one with --source")
    })
}

/// The holder works; five minutes later somebody else goes on.
fn lines(claims: &Value, path: &str) -> String {
    let line = |ago_s: i64, client: &str, agent: &str| {
        let line = json!({
            "msec": format!("{}.000", now().as_s() - ago_s), "remote_addr": client, "request_method": "GET",
            "request_uri": path, "status": "200", "body_bytes_sent": "0", "http_user_agent": agent,
            "jwt_iss": claims["iss"], "jwt_sub": claims["sub"], "jwt_sid": claims["sid"],
            "jwt_jti": claims["jti"], "jwt_exp": claims["exp"].to_string(),
        });
        format!("{line}\n")
    };
    let holder = (0..3).map(|step| line(320 - step * 10, HERE, BROWSER));
    let thief = (0..2).map(|step| line(2 - step, THERE, TOOL));
    holder.chain(thief).collect()
}

fn append(log: &Path, lines: &str) -> Result<(), Error> {
    let cannot = |error: std::io::Error| {
        Error::new(format!("cannot write into {}: {error}", log.display()))
            .help("run it as a user who may, or name another log with --source")
    };
    let mut file = OpenOptions::new().append(true).open(log).map_err(cannot)?;
    file.write_all(lines.as_bytes()).map_err(cannot)
}
