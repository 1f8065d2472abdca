//! How much theft the shipped rules find without any configuration, and how often they cry wolf.
//!
//! In: stories over real prefixes, told by seed. Out: one table, and floors for each kind of story.
//! `TOKENTRIP_ACCURACY=200` tells each story two hundred times in each format and prints the table with `--nocapture`;
//! `TOKENTRIP_STORY=text` tells only those with it in their names.
//! Does not know: how anything is judged; lines go in and incidents come out, as in `scan`.

mod benign;
mod crimes;
mod further;
mod measured;
mod oddities;
mod outside;
mod red_team;
mod rivals;
mod scene;
mod thefts;
mod town;

use crate::support::population::{ISSUER, Log, Rng, SECRET, Shown, World};
use data_encoding::BASE64URL_NOPAD;
use scene::{Scene, Truth};
use std::fmt::Write;
use std::sync::{Arc, LazyLock};
use tokentrip::context::tables::Tables;
use tokentrip::domain::finding::Level;
use tokentrip::domain::ids::IdKey;
use tokentrip::domain::incident::Incident;
use tokentrip::domain::line::{Chunk, Source};
use tokentrip::domain::time::Time;
use tokentrip::engine::paths::Paths;
use tokentrip::engine::prepare::{Front, Reading};
use tokentrip::engine::{Engine, Input, Observation, Settings};
use tokentrip::formats::client_address::TrustedProxies;
use tokentrip::formats::{self, FieldMap};
use tokentrip::rules::RuleSet;
use tokentrip::sessions::Limits;
use tokentrip::tokens::keys::KeySet;
use tokentrip::tokens::verify::{Issuers, install_crypto};

/// Scenes of one story in one format, unless the environment asks for more: the whole test stays below half a minute.
const SCENES: u64 = 3;

/// More seeds than a run needs, kept apart by story.
const SEED_STEP: u64 = 1_000_003;

static RULES: LazyLock<Arc<RuleSet>> = LazyLock::new(|| Arc::new(RuleSet::embedded().unwrap()));

fn scenes() -> u64 {
    let asked = std::env::var("TOKENTRIP_ACCURACY").ok();
    asked.and_then(|count| count.parse().ok()).unwrap_or(SCENES)
}

/// True for the stories that the environment asks for; for every one unless it does.
fn is_asked_for(name: &str) -> bool {
    std::env::var("TOKENTRIP_STORY").is_ok_and(|text| name.contains(&*text))
        || std::env::var_os("TOKENTRIP_STORY").is_none()
}

#[derive(Default)]
struct Score {
    scenes: usize,
    found: usize,
    subject: usize,
    suspect: usize,
    /// Incidents that blame the wrong one, or nobody's deed.
    false_alarms: Vec<String>,
    missed: Vec<String>,
}

/// Whether the issuer's keys are at hand.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keys {
    None,
    Known,
}

/// The program as `scan` would run it, one line at a time.
struct Watcher {
    engine: Engine,
    front: Front,
    reading: Option<Reading>,
    seen: Observation,
    lines: u64,
}

impl Watcher {
    fn new(keys: Keys) -> Self {
        let key = IdKey::public([0; 32]);
        let settings = Settings {
            key: key.clone(),
            limits: Limits {
                tokens: 1_000_000,
                sessions: 100_000,
                subjects: 100_000,
                sources: 100_000,
                claimed: 100_000,
            },
            protects: false,
            sightings: false,
            fast_path: true,
        };
        let mut issuers = Issuers::default();
        if keys == Keys::Known {
            let secret = BASE64URL_NOPAD.encode(SECRET);
            let set =
                format!(r#"{{"keys":[{{"kty":"oct","kid":"k1","alg":"HS256","k":"{secret}"}}]}}"#);
            issuers.configure(ISSUER, &[]).unwrap();
            issuers.learn(ISSUER, KeySet::parse(set.as_bytes()).unwrap(), Time::LATEST);
        }
        let rules = Arc::clone(&RULES);
        Self {
            engine: Engine::new(settings, rules, Arc::new(issuers), Tables::embedded()),
            front: Front {
                key,
                paths: Paths::new(Vec::new(), Vec::new()),
            },
            reading: None,
            seen: Observation::default(),
            lines: 1,
        }
    }

    /// Reads lines; after each, tells the incidents that changed with it.
    fn read(&mut self, text: String, mut after: impl FnMut(&[Incident])) {
        let reading = self.reading.get_or_insert_with(|| {
            let sample: Vec<&str> = text.lines().take(100).collect();
            let detected = formats::detect(&sample, &FieldMap::default()).unwrap();
            Reading {
                parser: detected.parser,
                trusted: TrustedProxies::default(),
            }
        });
        let chunk = Chunk::split(
            Source("access.log".into()),
            text.into_bytes(),
            0,
            self.lines,
        );
        let prepared = self.front.chunk(reading, chunk);
        for line in prepared.borrow_dependent() {
            self.lines += 1;
            self.engine
                .observe(Input::Line(line.as_ref().unwrap()), &mut self.seen);
            let news = !self.seen.findings.is_empty();
            self.seen = Observation::default();
            let changed = if news {
                self.engine.changed_incidents()
            } else {
                Vec::new()
            };
            after(&changed);
        }
    }

    /// What is worth a person's time.
    fn incidents(&self) -> Vec<Incident> {
        let mut incidents = self.engine.incidents();
        incidents.retain(|incident| incident.level >= Level::Medium);
        incidents
    }
}

fn judge(text: String, keys: Keys) -> Vec<Incident> {
    let mut watcher = Watcher::new(keys);
    watcher.read(text, |_| ());
    watcher.incidents()
}

fn story(tell: fn(&mut Scene<'_>), shown: Shown, seed: u64) -> Score {
    let world = World::read();
    let mut score = Score::default();
    for (format, keys) in [
        (false, Keys::None),
        (true, Keys::Known),
        (false, Keys::Known),
    ] {
        let combined = format && shown == Shown::Header;
        if keys == Keys::Known && shown != Shown::Header {
            continue;
        }
        for scene in 0..scenes() {
            let mut log = Log::default();
            let seed = Rng(seed * SEED_STEP + scene * 7 + u64::from(format)).next();
            let mut stage = Scene::new(&world, &mut log, seed);
            tell(&mut stage);
            let truths = std::mem::take(&mut stage.truths);
            let text = log.text(combined, shown);
            if let Some(folder) = std::env::var_os("TOKENTRIP_KEEP") {
                let name = format!("{seed}-{scene}.log");
                std::fs::write(std::path::Path::new(&folder).join(name), &text).unwrap();
            }
            let incidents = judge(text, keys);
            count(&truths, &incidents, &mut score);
        }
    }
    score
}

fn count(truths: &[Truth], incidents: &[Incident], score: &mut Score) {
    score.scenes += truths.len().max(1);
    let subject = |incident: &Incident| incident.subject.as_deref().map(str::to_owned);
    for truth in truths {
        let about: Vec<_> = incidents
            .iter()
            .filter(|i| subject(i).as_deref() == Some(&*truth.sub))
            .collect();
        let blamed = |i: &&Incident| truth.thief.iter().any(|ip| i.suspect.ips.contains(ip));
        let found = !about.is_empty() || incidents.iter().any(|i| blamed(&i));
        score.found += usize::from(found);
        score.subject += usize::from(!about.is_empty());
        score.suspect += usize::from(
            about
                .iter()
                .any(|i| blamed(i) && i.suspect.ips.iter().all(|ip| truth.thief.contains(ip))),
        );
        if !about.iter().any(blamed) {
            score
                .missed
                .push(format!("{} {:?}", truth.sub, truth.thief));
        }
    }
    for incident in incidents {
        let true_one = incident
            .suspect
            .ips
            .iter()
            .all(|ip| truths.iter().any(|truth| truth.thief.contains(ip)));
        if !true_one {
            let rules: Vec<_> = incident.rules.keys().map(|rule| &**rule).collect();
            let sides = (
                &incident.victim.as_ref().map(|v| &v.networks),
                &incident.suspect.networks,
            );
            score
                .false_alarms
                .push(format!("{:?} {rules:?} {sides:?}", incident.dimensions));
        }
    }
}

/// Every theft that is told, with its number.
fn all_thefts() -> impl Iterator<Item = (usize, &'static thefts::Theft)> {
    let all = thefts::ALL
        .iter()
        .chain(crimes::ALL)
        .chain(outside::THEFTS)
        .chain(further::THEFTS)
        .chain(further::THEFTS_ALONE);
    let numbered = all.enumerate();
    numbered.filter(|(_, theft)| is_asked_for(theft.name))
}

/// Everything that is no theft, with its number.
fn all_lives() -> impl Iterator<Item = (usize, &'static benign::Benign)> {
    let all = benign::ALL
        .iter()
        .chain(oddities::ALL)
        .chain(outside::QUIET)
        .chain(further::QUIET);
    let numbered = all.enumerate();
    numbered.filter(|(_, life)| is_asked_for(life.name))
}

#[test]
fn thefts_are_found_and_everyday_life_is_left_alone() {
    install_crypto();
    let mut table = String::new();
    let mut wrong = Vec::new();
    let _ = writeln!(
        table,
        "{:<42}{:>7}{:>7}{:>9}{:>9}{:>7}",
        "theft", "scenes", "found", "subject", "suspect", "false"
    );
    let mut notes = String::new();
    for (index, theft) in all_thefts() {
        let score = story(theft.tell, theft.shown, index as u64 + 1);
        let _ = writeln!(
            table,
            "{:<42}{:>7}{:>7}{:>9}{:>9}{:>7}",
            theft.name,
            score.scenes,
            score.found,
            score.subject,
            score.suspect,
            score.false_alarms.len()
        );
        let full = score.subject.min(score.suspect);
        if full * 100 < theft.found_percent_min * score.scenes {
            wrong.push(theft.name);
        }
        for note in score.missed.iter().take(3) {
            let _ = writeln!(notes, "missed  {}: {note}", theft.name);
        }
        for note in score.false_alarms.iter().take(3) {
            let _ = writeln!(notes, "blamed  {}: {note}", theft.name);
        }
    }
    let _ = writeln!(
        table,
        "\n{:<42}{:>7}{:>7}",
        "everyday life", "scenes", "raised"
    );
    for (index, life) in all_lives() {
        let score = story(life.tell, Shown::Header, index as u64 + 501);
        let raised = score.false_alarms.len();
        let _ = writeln!(table, "{:<42}{:>7}{:>7}", life.name, score.scenes, raised);
        if raised * 100 > life.raised_percent_max * score.scenes {
            wrong.push(life.name);
        }
        for note in score.false_alarms.iter().take(3) {
            let _ = writeln!(notes, "raised  {}: {note}", life.name);
        }
    }
    #[allow(clippy::print_stdout, reason = "the table is what one runs this for")]
    {
        println!("{table}\n{notes}");
    }
    assert!(
        wrong.is_empty(),
        "below its floor: {wrong:?}\n{table}\n{notes}"
    );
}
