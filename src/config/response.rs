//! `[rules]` and `[response]`: what is judged, and what may be done about it.
//!
//! In: the sections. Out: [`Rules`], [`Response`]. Does not know: which rules there are, or how an
//! action is made.

use super::reader::Section;
use crate::domain::action::Mode;
use crate::domain::finding::Level;
use crate::domain::mistake::Mistake;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Which rules judge.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rules {
    /// A folder of rules; without one the built-in rules judge.
    pub folder: Option<PathBuf>,
    /// What is different for one rule, by its id (the stem of its file).
    pub overrides: BTreeMap<String, Override>,
}

/// What is different for one rule.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Override {
    /// True when it does not judge at all.
    pub disable: bool,
    /// True when its findings are shown and counted, and nothing follows from them.
    pub shadow: bool,
    /// Another level.
    pub level: Option<Level>,
    /// Other points.
    pub score: Option<u32>,
    /// Other numbers to compare fields with, by the field's name.
    pub thresholds: BTreeMap<String, f64>,
    /// What may be done for its findings, where that is less than for others.
    pub mode: Option<Mode>,
}

/// What may be done.
#[derive(Clone, Debug, PartialEq)]
pub struct Response {
    /// For every step that has no mode of its own.
    pub mode: Mode,
    /// Putting tokens on the gateway's denylist, which can be taken back.
    pub deny: Mode,
    /// Step 2 at the identity provider.
    pub revoke: Mode,
    /// Step 1 at the identity provider.
    pub password: Mode,
    /// Step 1 by mail to the user.
    pub ask: Mode,
    /// Blocking the suspect's address at the edge.
    pub block: Mode,
    /// That of step 4, for telling the provider of the risk: `approve` at most unless configured.
    pub risk: Mode,
    /// That of step 4, for a second factor: `approve` at most unless configured.
    pub mfa: Mode,
    /// Subjects that may be logged out in a minute.
    pub subjects_per_minute_max: u32,
    /// Subjects that may be logged out in a day.
    pub subjects_per_day_max: u32,
    /// Share of the subjects active in an hour that may be logged out in it, from 0 to 1.
    pub active_subjects_share_per_hour_max: f64,
    /// Subjects that are never logged out or forced, with `*` and `?`: their tokens are denied and
    /// a person is called.
    pub protected_subjects: Vec<glob::Pattern>,
    /// True when an accepted token is proof enough to act, without a verified signature.
    pub act_on_accepted: bool,
}

pub(super) fn read_rules(root: &Section<'_>) -> Rules {
    let section = root.section("rules");
    let folder = section.folder("folder");
    let overrides = section.section("override");
    let named = overrides.named(&["disable", "shadow", "level", "score", "mode"]);
    let overrides = named
        .into_iter()
        .map(|(rule, section)| (rule, read_override(&section)));
    let overrides = overrides.collect();
    section.end();
    Rules { folder, overrides }
}

fn read_override(section: &Section<'_>) -> Override {
    let level = Level::ALL.map(|level| (level.name(), level));
    let changed = Override {
        disable: section.flag("disable").unwrap_or(false),
        shadow: section.flag("shadow").unwrap_or(false),
        level: section.word("level", &level),
        // No rule scores more than a theft that is proven.
        score: section.number("score", 0..=1000),
        mode: section.word("mode", &Mode::ALL),
        thresholds: section.section("thresholds").numbers(),
    };
    section.end();
    changed
}

pub(super) fn read(root: &Section<'_>) -> Response {
    let section = root.section("response");
    let mode = section.word("mode", &Mode::ALL).unwrap_or_default();
    let steps = section.section("steps");
    let step = |key| steps.word(key, &Mode::ALL).unwrap_or(mode);
    // What outlives the incident is a person's to decide, unless somebody says otherwise.
    let proposal = |key| {
        steps
            .word(key, &Mode::ALL)
            .unwrap_or(mode.min(Mode::Approve))
    };
    let response = Response {
        mode,
        deny: step("deny"),
        revoke: step("revoke"),
        password: step("password"),
        ask: step("ask"),
        block: step("block"),
        risk: proposal("risk"),
        mfa: proposal("mfa"),
        // Budgets: a theft concerns a few subjects. More at once is an attack on the responder, or
        // a broken rule.
        subjects_per_minute_max: section
            .number("subjects_per_minute_max", 0..=100_000)
            .unwrap_or(5),
        subjects_per_day_max: section
            .number("subjects_per_day_max", 0..=1_000_000)
            .unwrap_or(100),
        active_subjects_share_per_hour_max: section
            .number("active_subjects_share_per_hour_max", 0.0..=1.0)
            .unwrap_or(0.01),
        protected_subjects: section.parsed_list("protected_subjects", subject_pattern),
        act_on_accepted: section.flag("act_on_accepted").unwrap_or(false),
    };
    steps.end();
    section.end();
    response
}

fn subject_pattern(text: &str) -> Result<glob::Pattern, Mistake> {
    glob::Pattern::new(text).map_err(|error| {
        Mistake::outside(format!("`{text}` is no pattern: {}", error.msg))
            .help("`*` stands for any letters, as in `svc-*`")
    })
}
