//! How well a population's thefts are found, beside what others' rules make of the same requests.
//!
//! In: populations by seed. Out: tables, and floors. `TOKENTRIP_POPULATION=3000x7x3` runs 3,000 people over seven days
//! with three seeds; `TOKENTRIP_SEED=n` moves the seeds; `--nocapture` shows the tables;
//! `TOKENTRIP_KEEP=folder` keeps there the log of each missed theft's victim, and of who was suspected for nothing.
//! Does not know: rules. Lines go in and incidents come out.

use super::rivals::{self, Hit, Rivals};
use super::scene::OWN_PROVIDER;
use super::thefts::Theft;
use super::town::{self, Town};
use super::{Keys, Watcher};
use crate::support::population::{self, Request, Shown, World};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write;
use std::net::IpAddr;
use std::sync::Arc;
use tokentrip::context::Surroundings;
use tokentrip::context::tables::Tables;
use tokentrip::domain::event::AccessEvent;
use tokentrip::domain::finding::Level;
use tokentrip::domain::incident::Incident;

/// People, days, seeds, unless the environment says otherwise: half a minute without optimisation.
const SIZE: (usize, i64, u64) = (200, 4, 1);

/// The first seed.
const SEED: u64 = 7001;

/// Of so many cases nine of ten must be found, however hard the class is.
const CASES_MIN: usize = 10;

/// Requests turned into lines at once.
const LINES_AT_ONCE: usize = 5000;

/// Classes that no log of addresses and agents can show, and what their victims do that leaves the same lines.
const TWINS: [(&str, &str); 5] = [
    (
        OWN_PROVIDER,
        "the browser behind a router with two lines of its provider, or one that shares its addresses",
    ),
    (
        "same city, same client",
        "the browser on another line of its town: a neighbour's Wi-Fi, a phone as an access point",
    ),
    (
        "on the victim's own Wi-Fi, other client",
        "another browser behind its own router: two browsers, an emulated phone",
    ),
    (
        "far away, same agent, idle",
        "the browser after a flight or behind a tunnel, with nobody left at home",
    ),
    (
        "phishing proxy only, several victims",
        "a desktop in a cloud, from login to logout",
    ),
];

fn is_twin(class: &str) -> bool {
    TWINS.iter().any(|(twin, _)| *twin == class)
}

fn twins_explained() -> String {
    let mut text = String::from(
        "* a twin, which no log can show, so it is not in the sum: these lines could as well be\n",
    );
    for (class, life) in TWINS {
        let _ = writeln!(text, "  {class:<42}{life}");
    }
    text
}

#[derive(Default)]
struct Class {
    thefts: usize,
    found: usize,
    named: usize,
    requests: Vec<usize>,
    /// The thief's requests until his session would have been revoked, where it would.
    answered: Vec<usize>,
    seconds: Vec<f64>,
}

/// What one or several populations gave.
#[derive(Default)]
struct Result {
    user_days: usize,
    classes: BTreeMap<&'static str, Class>,
    right: usize,
    wrong: usize,
    wrong_by_life: BTreeMap<&'static str, usize>,
    revoked: usize,
    victims_blamed: usize,
    rivals: Vec<(usize, usize, usize)>,
    thefts: usize,
    thefts_without_twins: usize,
    notes: String,
}

#[derive(Clone, Copy, Default)]
struct Progress {
    first_ms: i64,
    requests: usize,
    /// Requests so far and time when an incident about it was first shown.
    found: Option<(usize, i64)>,
    /// Requests so far when one would first have revoked.
    answered: Option<usize>,
}

/// One population in the making.
struct Judge<'a> {
    town: &'a Town,
    of_sub: HashMap<&'a str, Vec<usize>>,
    of_ip: HashMap<IpAddr, Vec<usize>>,
    progress: Vec<Progress>,
}

impl<'a> Judge<'a> {
    fn new(town: &'a Town) -> Self {
        let mut of_sub: HashMap<&str, Vec<usize>> = HashMap::new();
        let mut of_ip: HashMap<IpAddr, Vec<usize>> = HashMap::new();
        for (number, crime) in town.crimes.iter().enumerate() {
            of_sub.entry(&crime.sub).or_default().push(number);
            for ip in &crime.thief {
                of_ip.entry(*ip).or_default().push(number);
            }
        }
        Self {
            town,
            of_sub,
            of_ip,
            progress: vec![Progress::default(); town.crimes.len()],
        }
    }

    /// The thefts that an incident tells of: about their victim, or about nobody, and naming a thief's address.
    fn told(&self, incident: &Incident) -> BTreeSet<usize> {
        let at = incident
            .suspect
            .ips
            .iter()
            .filter_map(|ip| self.of_ip.get(ip))
            .flatten();
        let about = |number: &&usize| match incident.subject.as_deref() {
            Some(sub) => self.town.crimes[**number].sub == sub,
            None => true,
        };
        at.filter(about).copied().collect()
    }

    fn count(&mut self, request: &Request) {
        if let Some(number) = request.theft {
            let progress = &mut self.progress[number];
            if progress.requests == 0 {
                progress.first_ms = request.at_ms;
            }
            progress.requests += 1;
        }
    }

    fn hear(&mut self, incident: &Incident, at_ms: i64) {
        // What is found by its subject alone is found; who did it is asked at the end.
        let about = incident
            .subject
            .as_deref()
            .and_then(|sub| self.of_sub.get(sub));
        let mut told = self.told(incident);
        told.extend(about.into_iter().flatten());
        for number in told {
            let progress = &mut self.progress[number];
            if progress.requests > 0 && progress.found.is_none() {
                progress.found = Some((progress.requests, at_ms));
            }
            if progress.requests > 0 && progress.answered.is_none() && incident.actionable {
                progress.answered = Some(progress.requests);
            }
        }
    }
}

fn run(world: &World, seed: u64, people: usize, days: i64, result: &mut Result) {
    let town = Town::tell(world, seed, people, days);
    let mut judge = Judge::new(&town);
    let mut rivals = Rivals::new();
    let mut names = Names::new();
    let mut watcher = Watcher::new(Keys::Known);
    for requests in town.requests.chunks(LINES_AT_ONCE) {
        let text = population::text(requests, false, Shown::Header);
        let mut next = requests.iter();
        watcher.read(text, |incidents| {
            let Some(request) = next.next() else { return };
            judge.count(request);
            for incident in incidents.iter().filter(|i| i.level >= Level::Medium) {
                judge.hear(incident, request.at_ms);
            }
            if let Some(hit) = names.hit(request) {
                rivals.see(&hit);
            }
        });
    }
    let incidents = watcher.incidents();
    score(&town, &judge, &incidents, result);
    let twins: Vec<bool> = town
        .crimes
        .iter()
        .map(|crime| is_twin(crime.class))
        .collect();
    result.rivals.resize(rivals.tallies.len(), (0, 0, 0));
    for (tally, sum) in rivals.tallies.iter().zip(&mut result.rivals) {
        sum.0 += tally.found.iter().filter(|number| !twins[**number]).count();
        sum.1 += tally.right;
        sum.2 += tally.wrong;
    }
    result.thefts += twins.len();
    result.thefts_without_twins += twins.iter().filter(|twin| !**twin).count();
}

fn score(town: &Town, judge: &Judge<'_>, incidents: &[Incident], result: &mut Result) {
    result.user_days += town.user_days;
    let mut doing: HashMap<IpAddr, &'static str> = HashMap::new();
    for request in &town.requests {
        let said = doing.entry(request.ip).or_default();
        if said.is_empty() {
            *said = request.doing;
        }
    }
    let mut named: BTreeSet<usize> = BTreeSet::new();
    for incident in incidents {
        let told = judge.told(incident);
        let right = !told.is_empty();
        *(if right {
            &mut result.right
        } else {
            &mut result.wrong
        }) += 1;
        let own = |number: &usize| &town.crimes[*number].thief;
        let only_thieves = |number: &usize| {
            incident
                .suspect
                .ips
                .iter()
                .all(|ip| own(number).contains(ip))
        };
        if incident.subject.is_some() {
            named.extend(told.iter().filter(|number| only_thieves(number)));
            result.victims_blamed += told.iter().filter(|number| !only_thieves(number)).count();
        }
        if right {
            continue;
        }
        suspect_for_nothing(town, incident, &doing, result);
    }
    for (number, crime) in town.crimes.iter().enumerate() {
        let class = result.classes.entry(crime.class).or_default();
        class.thefts += 1;
        class.named += usize::from(named.contains(&number));
        let progress = &judge.progress[number];
        let Some((requests, at_ms)) = progress.found else {
            let _ = writeln!(result.notes, "missed {} {}", crime.class, crime.sub);
            keep(town, crime.class, &crime.sub);
            continue;
        };
        class.found += 1;
        class.requests.push(requests);
        class.answered.extend(progress.answered);
        class
            .seconds
            .push((at_ms - progress.first_ms) as f64 / 1000.0);
    }
}

/// Notes an incident that tells of no theft.
fn suspect_for_nothing(
    town: &Town,
    incident: &Incident,
    doing: &HashMap<IpAddr, &'static str>,
    result: &mut Result,
) {
    let life = incident
        .suspect
        .ips
        .iter()
        .find_map(|ip| doing.get(ip).copied());
    let life = life
        .filter(|life| !life.is_empty())
        .unwrap_or("an ordinary day");
    *result.wrong_by_life.entry(life).or_default() += 1;
    if let Some(sub) = incident.subject.as_deref() {
        keep(town, life, sub);
    }
    result.revoked += usize::from(incident.actionable);
    let rules: Vec<_> = incident.rules.keys().map(|rule| &**rule).collect();
    let victim = incident
        .victim
        .as_ref()
        .map(|victim| (&victim.networks, &victim.clients));
    let suspect = (&incident.suspect.networks, &incident.suspect.clients);
    let _ = writeln!(
        result.notes,
        "false {life} {:?} actionable {}: {rules:?} {victim:?} {suspect:?}",
        incident.subject, incident.actionable
    );
}

/// Writes a person's log where the environment says, for `tokentrip scan --explain`.
fn keep(town: &Town, story: &str, sub: &str) {
    let Some(folder) = std::env::var_os("TOKENTRIP_KEEP") else {
        return;
    };
    let own = |token: &Arc<str>| population::payload(token)["sub"] == *sub;
    let requests = town.requests.iter();
    let requests = requests.filter(|request| request.token.as_ref().is_some_and(own));
    let requests: Vec<Request> = requests.cloned().collect();
    let name = format!("{story} {sub}.log").replace(['/', '|'], "-");
    let text = population::text(&requests, false, Shown::Header);
    std::fs::write(std::path::Path::new(&folder).join(name), text).unwrap();
}

/// Whom and which session a request belongs to, as a reader of whole tokens sees it.
struct Names {
    of_token: HashMap<Arc<str>, (Arc<str>, Arc<str>)>,
    surroundings: Surroundings,
    contexts: HashMap<(IpAddr, Arc<str>), Arc<tokentrip::domain::context::Context>>,
}

impl Names {
    fn new() -> Self {
        Self {
            of_token: HashMap::new(),
            surroundings: Surroundings::new(Tables::embedded()),
            contexts: HashMap::new(),
        }
    }

    fn hit(&mut self, request: &Request) -> Option<Hit> {
        let token = request
            .token
            .as_ref()
            .filter(|_| (200..400).contains(&request.status))?;
        let names = self.of_token.entry(token.clone()).or_insert_with(|| {
            let claims = population::payload(token);
            let text = |name: &str| claims[name].as_str().map(Arc::<str>::from);
            let sub = text("sub").unwrap_or_default();
            let session = text("sid").or_else(|| text("jti"));
            (sub, session.unwrap_or_else(|| token.clone()))
        });
        let key = (request.ip, request.agent.clone());
        let context = self.contexts.entry(key).or_insert_with(|| {
            let event = AccessEvent {
                client: Some(request.ip),
                user_agent: Some((&*request.agent).into()),
                ..AccessEvent::default()
            };
            Arc::new(self.surroundings.describe(&event).unwrap())
        });
        Some(Hit {
            at_s: request.at_ms as f64 / 1000.0,
            sub: names.0.clone(),
            session: names.1.clone(),
            agent: request.agent.clone(),
            context: context.clone(),
            theft: request.theft,
        })
    }
}

fn median<T: PartialOrd + Copy + Default>(values: &[T]) -> T {
    let mut sorted = values.to_vec();
    sorted.sort_by(|a, b| a.partial_cmp(b).unwrap());
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

fn share(part: usize, whole: usize) -> f64 {
    part as f64 / whole.max(1) as f64
}

impl Result {
    fn recall(&self) -> f64 {
        let rest = || self.classes.iter().filter(|(name, _)| !is_twin(name));
        let found: usize = rest().map(|(_, class)| class.found).sum();
        let all: usize = rest().map(|(_, class)| class.thefts).sum();
        share(found, all)
    }

    fn precision(&self) -> f64 {
        share(self.right, self.right + self.wrong)
    }

    fn table(&self) -> String {
        let mut table = format!(
            "{:<42}{:>7}{:>7}{:>8}{:>9}{:>9}{:>9}{:>9}\n",
            "theft", "cases", "found", "named", "requests", "seconds", "revoked", "requests"
        );
        let mut all = Class::default();
        for (name, class) in &self.classes {
            let star = if is_twin(name) { " *" } else { "" };
            let name = format!("{name}{star}");
            let _ = writeln!(
                table,
                "{name:<42}{:>7}{:>7}{:>8}{:>9}{:>9}{:>9}{:>9}",
                class.thefts,
                class.found,
                class.named,
                median(&class.requests),
                median(&class.seconds),
                class.answered.len(),
                median(&class.answered)
            );
            all.found += class.found;
            all.named += class.named;
            all.requests.extend(&class.requests);
            all.answered.extend(&class.answered);
            all.seconds.extend(&class.seconds);
        }
        table.push_str(&twins_explained());
        let per = |wrong: usize| share(wrong * 10_000, self.user_days);
        let _ = writeln!(
            table,
            "\nfalse incidents by what people did: {:?}",
            self.wrong_by_life
        );
        let _ = writeln!(
            table,
            "median to detect: {} requests, {} s; to revoke, in {}: {} requests; suspect named {} of {} found; victim's address blamed {}; \
             would wrongly revoke {}; user-days {}\n",
            median(&all.requests),
            median(&all.seconds),
            all.answered.len(),
            median(&all.answered),
            all.named,
            all.found,
            self.victims_blamed,
            self.revoked,
            self.user_days
        );
        let _ = writeln!(
            table,
            "{:<28}{:>8}{:>11}{:>24}",
            "rule", "recall", "precision", "false / 10,000 days"
        );
        let mut row = |name: &str, recall: f64, precision: f64, wrong: usize| {
            let _ = writeln!(
                table,
                "{name:<28}{recall:>8.3}{precision:>11.3}{:>24.1}",
                per(wrong)
            );
        };
        row("Tokentrip", self.recall(), self.precision(), self.wrong);
        for ((name, _), (found, right, wrong)) in rivals::ALL.iter().zip(&self.rivals) {
            let recall = share(*found, self.thefts_without_twins);
            row(name, recall, share(*right, right + wrong), *wrong);
        }
        table
    }
}

fn size() -> (usize, i64, u64) {
    let asked = std::env::var("TOKENTRIP_POPULATION").ok();
    let parts = asked
        .iter()
        .flat_map(|text| text.split('x'))
        .map(|part| part.parse().ok());
    match parts.collect::<Option<Vec<u64>>>().as_deref() {
        Some([people, days, seeds]) => (*people as usize, *days as i64, *seeds),
        _ => SIZE,
    }
}

#[test]
fn thefts_in_a_population_are_found_and_its_everyday_life_is_left_alone() {
    tokentrip::tokens::verify::install_crypto();
    let (people, days, seeds) = size();
    let first = std::env::var("TOKENTRIP_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let world = World::read();
    let mut result = Result::default();
    for seed in 0..seeds {
        run(
            &world,
            first.unwrap_or(SEED) + seed * 7919,
            people,
            days,
            &mut result,
        );
    }
    let table = result.table();
    #[allow(clippy::print_stdout, reason = "the table is what one runs this for")]
    {
        println!("{table}\n{}", result.notes);
    }
    let rest = town::classes()
        .into_iter()
        .filter(|theft| !is_twin(theft.name));
    let missed: Vec<_> = rest
        .filter_map(|theft: &Theft| Some((theft, result.classes.get(theft.name)?)))
        .filter(|(theft, class)| theft.found_percent_min >= 90 || class.thefts >= CASES_MIN)
        .map(|(theft, class)| (theft.name, class))
        .filter(|(_, class)| class.found * 10 < class.thefts * 9)
        .map(|(name, _)| name)
        .collect();
    assert_eq!(
        result.revoked, 0,
        "nobody honest may be logged out\n{table}\n{}",
        result.notes
    );
    assert!(
        missed.is_empty(),
        "found in less than nine of ten: {missed:?}\n{table}"
    );
}
