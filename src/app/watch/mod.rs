//! `tokentrip watch`: the daemon beside a gateway.
//!
//! In: [`Watch`]. Out: a process that follows logs, answers over HTTP, denies, calls and tells, until SIGTERM.
//! Does not know: how a line is judged ([`mod@line`]) or what follows from it ([`answer`]).
//!
//! One thread follows and judges ([`mod@line`]); HTTP, key sets and deliveries live on tokio. They meet in a channel of
//! [`Order`]s, the store and the denylist.

mod answer;
mod breaches;
mod cases;
mod line;
mod memory;
mod readings;
mod rules_folder;
mod sensor;
mod surroundings;
mod unstored;

use super::Error;
use super::receivers::Receivers;
use super::set_up::SetUp;
use super::stderr::Masked;
use crate::cli::Watch;
use crate::config::Config;
use crate::domain::incident::Target;
use crate::domain::time::Time;
use crate::http::{Check, InForce, Options, Parts, Readiness, RuleShown, Server, Settled};
use crate::ingest::open::allow_many_files;
use crate::ingest::state::State;
use crate::issuers::{FetchedKeys, KeyRequests};
use crate::metrics::Metrics;
use crate::outbound::now;
use crate::response::denylist::Denylist;
use crate::sinks::{self, Event};
use crate::store::Store;
use cases::Cases;
use line::{Line, Shared};
use sensor::Asking;
use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::{Duration, Instant};
use surroundings::Surroundings;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Notify, watch};
use tracing::{info, warn};
use tracing_subscriber::EnvFilter;

/// How long the first key sets may keep the first line waiting: a provider that is down must not blind us.
const FIRST_KEYS: Duration = Duration::from_secs(10);

/// What the thread of lines is told from outside.
#[derive(Debug)]
pub(crate) enum Order {
    /// A key set came.
    Keys(FetchedKeys),
    /// The rules changed on the disk.
    Rules,
    /// A provider revoked this: a later use that is accepted is to be noticed.
    Revoked(Target),
    /// Somebody asks for the configuration to be read again, and all that it names.
    Configuration,
    /// Logs were read again for incidents.
    Breaches(breaches::Done),
    /// Finish what was read, and end.
    Stop,
}

/// Runs the daemon until it is told to stop.
///
/// # Errors
/// With what is wrong with the set-up; nothing was started then.
pub(crate) fn run(options: &Watch) -> Result<u8, Error> {
    log_to_stderr();
    allow_many_files();
    let mut state = None;
    let set_up = SetUp::load(
        options.config.config.as_deref(),
        options.rules.rules.as_deref(),
        options.format.as_deref(),
        |config| {
            let opened = State::open(&config.state.folder).map_err(Error::shown)?;
            let key = opened.id_key().clone();
            state = Some(opened);
            Ok(key)
        },
    )?;
    let Some(state) = state else {
        return Err(Error::new("the state folder was not opened"));
    };
    if set_up.config.sources.is_empty() {
        return Err(
            Error::new("there is nothing to watch: no [[source]] is configured").help(
                "add `[[source]]` with `path = \"/var/log/nginx/*.log\"` to the configuration",
            ),
        );
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::new(format!("cannot start the runtime: {error}")))?;
    let store = Arc::new(Store::open(&state.folder().join("store.db")).map_err(Error::shown)?);
    let denylist = Arc::new(Denylist::default());
    for (target, until) in store.denylist(now()).map_err(Error::shown)? {
        // A full denylist is counted by itself; what found room is in force.
        let _ = denylist.deny(&target, until);
    }
    let metrics = Arc::new(Metrics::new().map_err(Error::shown)?);
    let readiness = Arc::new(Readiness::waiting_for(&["sources", "keys"]));
    let receivers = Receivers::new(&set_up.config, &Cases::of(&store, &set_up))?;
    let (in_force, samples) = (Arc::new(InForce::default()), Arc::default());
    in_force.set(settled(&set_up, &receivers));
    let (asking, asked) = Asking::new(
        set_up.front.clone(),
        &set_up.config,
        &set_up.issuers,
        Arc::clone(&metrics),
    );
    let asking = Arc::new(asking);
    let check = Check::new(set_up.front.key.clone(), Arc::clone(&denylist));
    let parts = Parts {
        metrics: Arc::clone(&metrics),
        readiness: Arc::clone(&readiness),
        check: Arc::new(check.with_sensor(asking.clone())),
        store: Arc::clone(&store),
        streams: receivers
            .providers
            .iter()
            .filter_map(|p| p.stream())
            .collect(),
        in_force: Arc::clone(&in_force),
        samples: Arc::clone(&samples),
    };
    let http = http_options(&set_up.config)?;
    let server = runtime
        .block_on(Server::bind(http, parts))
        .map_err(Error::shown)?;
    for address in server.addresses() {
        info!(%address, "listening");
    }
    let (orders, inbox) = channel();
    // Whoever sees that we are ready may send one.
    let signals = runtime.block_on(async { Signals::hear() });
    let signals = signals.map_err(|error| Error::new(format!("cannot hear signals: {error}")))?;
    runtime.spawn(signals.pass_on(orders.clone()));
    let wake = Arc::new(Notify::new());
    let (stop, stopped) = watch::channel(false);
    let mut surroundings = Surroundings::new(runtime.handle().clone(), orders);
    let keys = first_keys(&set_up, &mut surroundings, &readiness, &runtime)?;
    let shared = Shared {
        store,
        denylist,
        metrics,
        readiness,
        wake,
        keys,
        in_force,
        samples,
        asking,
        asked,
    };
    surroundings.deliver_to(&receivers, &shared)?;
    surroundings.mirror_to(&receivers, &shared);
    surroundings.listen(&set_up.config, &shared)?;
    surroundings.watch_rules(&set_up);
    let served = runtime.spawn(server.run(stopped));
    let fast_path = !options.no_fast_path;
    let mut line = Line::open(set_up, state, shared, receivers, surroundings, fast_path)?;
    let ended = thread::Builder::new()
        .name("line".to_owned())
        .spawn(move || {
            let outcome = line.run(&inbox);
            (outcome, line.into_surroundings())
        })
        .map_err(|error| Error::new(format!("cannot start a thread: {error}")))?
        .join();
    let outcome = ended.map(|(outcome, surroundings)| {
        // The last findings are in the outbox: let what can be delivered now be delivered.
        surroundings.end();
        outcome
    });
    let _ = stop.send(true);
    let _ = runtime.block_on(served);
    match outcome {
        Ok(outcome) => outcome.map(|()| 0),
        Err(_) => Err(Error::new(
            "the thread that judges lines ended unexpectedly; please report",
        )),
    }
}

/// What a configuration puts in force, as far as anybody asks.
fn settled(set_up: &SetUp, receivers: &Receivers) -> Settled {
    let shown = set_up.rules.rules().iter().map(|rule| RuleShown {
        name: rule.name.to_string(),
        title: rule.title.to_string(),
        level: rule.level.name(),
        score: rule.score,
        dimension: rule.dimension.name(),
        description: rule.description.trim().to_owned(),
        runbook: rule.runbook.trim().to_owned(),
    });
    let sinks = receivers.sinks.clone();
    Settled {
        rules: shown.collect(),
        mode: set_up.config.response.mode.name(),
        farewell: Arc::new(move |incident| sinks::alerts(&sinks, Event::Resolved, incident)),
    }
}

/// Diagnostics go to stderr, RUST_LOG says which: events and errors unless told otherwise.
fn log_to_stderr() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    // `notify` traces every change in a watched folder. Where our own log is written there, each line of it would be
    // the reason for the next, and nothing else would be done.
    let filter = match "notify=info".parse() {
        Ok(quiet) => filter.add_directive(quiet),
        Err(_) => filter,
    };
    // A second daemon in one process keeps the first one's log.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| Masked)
        .with_ansi(std::io::stderr().is_terminal())
        .try_init();
}

fn http_options(config: &Config) -> Result<Options, Error> {
    let secret = config
        .server
        .viewer_secret
        .as_ref()
        .map(|secret| secret.read());
    let approvers = config.approvers.iter().map(|approver| {
        let secret = approver.secret.read().map_err(Error::shown)?;
        Ok((approver.name.clone(), secret))
    });
    Ok(Options {
        approvers: approvers.collect::<Result<_, Error>>()?,
        listen: Some(config.server.listen),
        check_listen: config.server.check_listen,
        metrics_listen: config.server.metrics_listen,
        viewer_secret: secret.transpose().map_err(Error::shown)?,
    })
}

fn start_thread(
    name: &str,
    work: Box<dyn FnOnce() + Send>,
) -> std::io::Result<thread::JoinHandle<()>> {
    thread::Builder::new().name(name.to_owned()).spawn(work)
}

/// Starts fetching key sets, and waits a while for the first of each.
fn first_keys(
    set_up: &SetUp,
    surroundings: &mut Surroundings,
    readiness: &Readiness,
    runtime: &tokio::runtime::Runtime,
) -> Result<KeyRequests, Error> {
    let (first, mut arrivals) = tokio::sync::mpsc::unbounded_channel();
    let fetched = move |issuer: &Arc<str>| {
        // Nobody waits for the second.
        let _ = first.send(Arc::clone(issuer));
    };
    let (issuers, requests) = surroundings.fetch_keys(&set_up.config, fetched)?;
    let mut missing: BTreeSet<Arc<str>> = issuers.into_iter().collect();
    let deadline = Instant::now() + FIRST_KEYS;
    runtime.block_on(async {
        while !missing.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(Some(issuer)) = tokio::time::timeout(left, arrivals.recv()).await else {
                return;
            };
            missing.remove(&issuer);
        }
    });
    if missing.is_empty() {
        readiness.ready("keys");
    } else {
        let names = missing.iter().map(|issuer| &**issuer);
        let names = names.collect::<Vec<_>>().join(", ");
        warn!(
            issuers = names,
            "no key set yet: their tokens are not verified"
        );
        readiness.not_ready("keys", format!("no key set of {names}"));
    }
    Ok(requests)
}

/// SIGTERM and SIGINT stop, SIGHUP reads the configuration again.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    /// From now on they no longer end the process by themselves. To be called inside the runtime.
    fn hear() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn pass_on(mut self, orders: Sender<Order>) {
        loop {
            let order = tokio::select! {
                _ = self.terminate.recv() => Order::Stop,
                _ = self.interrupt.recv() => Order::Stop,
                _ = self.hangup.recv() => Order::Configuration,
            };
            if orders.send(order).is_err() {
                return;
            }
        }
    }
}

/// The wall clock, for what is not judged by it.
fn wall() -> Time {
    now()
}
