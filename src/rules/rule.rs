//! One rule.
//!
//! In: what `document` read. Out: [`Rule`], which judges a view and says what it saw.
//! Does not know: other rules, sessions, incidents.

use super::correlation::Correlation;
use super::detection::{Expr, Subject};
use super::gate::Need;
use super::matcher::Matcher;
use super::says::Template;
use crate::domain::facts::{Fact, FactSet};
use crate::domain::finding::{Confidence, Dimension, Level};
use crate::domain::incident::Cause;
use crate::domain::usage::{Field, View};
use std::sync::Arc;

/// A Sigma document, compiled.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The stem of its file; from the second document of a file on, with `-2`, `-3`, … behind it.
    pub name: Arc<str>,
    /// The name it gives itself, by which other documents may refer to it.
    pub alias: Option<Arc<str>>,
    /// UUID.
    pub id: Arc<str>,
    /// What is found, in a few words.
    pub title: Arc<str>,
    /// The attack.
    pub description: String,
    /// How mature the rule is.
    pub status: Status,
    /// What it looks at.
    pub service: Service,
    /// How bad it is.
    pub level: Level,
    /// How sure it is.
    pub confidence: Confidence,
    /// Points for the incident.
    pub score: u32,
    /// In which dimension they count.
    pub dimension: Dimension,
    /// The most that may be done on its word.
    pub response: Response,
    /// What it says about the root cause.
    pub step4: Option<Step4>,
    /// What to do at three in the morning.
    pub runbook: String,
    /// What else it could be.
    pub falsepositives: Vec<String>,
    /// Reading on the attack.
    pub references: Vec<String>,
    /// ATT&CK techniques: `T1550.001`.
    pub attack: Vec<Arc<str>>,
    /// Its own tests.
    pub tests: Vec<RuleTest>,
    /// What it counts, when it is about hits of other rules.
    pub correlation: Option<Correlation>,
    /// The correlations that count its hits: index of each, and which of its rules this one is there.
    pub(super) feeds: Vec<(usize, usize)>,
    /// True when its findings are shown and counted, and nothing follows from them.
    pub is_shadow: bool,
    /// True when a correlation counts it.
    pub(super) is_part: bool,
    /// True when it raises findings although a correlation counts it.
    pub(super) speaks: bool,
    pub(super) says: Template,
    pub(super) detection: Expr,
    pub(super) need: Need,
}

/// How mature a rule is, as Sigma ranks it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "Sigma's own words")]
pub enum Status {
    Stable,
    #[default]
    Test,
    Experimental,
    /// Loaded, and not judged.
    Deprecated,
    /// Loaded, and not judged.
    Unsupported,
}

/// What a rule looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// Uses of tokens: `product: tokentrip, service: token_use`.
    TokenUse,
    /// Any request: `category: webserver` or `proxy`.
    Webserver,
}

/// The most that may be done on a rule's word; the mode of the installation may allow less.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Response {
    /// Tell people.
    #[default]
    Alert,
    /// And refuse the token at the gateway.
    Deny,
    /// And end the session at the identity provider.
    Revoke,
    /// And have the password changed.
    Reset,
}

impl Response {
    /// Every response, mildest first.
    pub const ALL: [Self; 4] = [Self::Alert, Self::Deny, Self::Revoke, Self::Reset];

    /// The response's name in rules.
    pub fn name(self) -> &'static str {
        match self {
            Self::Alert => "alert",
            Self::Deny => "deny",
            Self::Revoke => "revoke",
            Self::Reset => "reset",
        }
    }
}

/// A rule's word on the root cause, step 4 of an incident.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step4 {
    /// Which of the three kinds.
    pub cause: Cause,
    /// What exactly.
    pub hint: String,
    /// What to do about it.
    pub fix: String,
}

/// A log and what a rule must make of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleTest {
    /// What happens, in a few words.
    pub name: String,
    /// True when the rule must speak, false when it must be quiet.
    pub expects_finding: bool,
    /// Which key set is configured for the test issuer.
    pub keys: TestKeys,
    /// What was revoked before the log began: the test issuer's `sid`s.
    pub revoked: Vec<String>,
    /// Log lines, with tokens to mint: see [`super::test_log`].
    pub log: String,
}

/// Which key set is configured for the issuer of a rule's test.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TestKeys {
    /// None: what a newcomer has.
    #[default]
    None,
    /// The symmetric key that signs the test's tokens.
    Symmetric,
    /// An asymmetric public key only.
    Asymmetric,
}

impl Rule {
    /// What the rule says about a view: one sentence, safe to show.
    pub fn says(&self, view: &View<'_>) -> String {
        self.says.fill(view)
    }

    /// The facts the rule looks at or shows.
    pub fn facts(&self) -> FactSet {
        let mut facts = FactSet::default();
        for test in self.detection.tests() {
            if let Subject::Field(Field::Fact(fact)) = test.subject {
                facts.insert(fact);
            }
        }
        self.says.facts().for_each(|fact| facts.insert(fact));
        facts
    }

    /// The correlations that count its hits: index of each, and which of its rules this one is there.
    pub fn feeds(&self) -> &[(usize, usize)] {
        &self.feeds
    }

    /// True when its hits are findings. Those of a rule that a correlation counts are not, unless that says
    /// `generate: true`.
    pub fn speaks(&self) -> bool {
        !self.is_part || self.speaks
    }

    /// True when the rule is judged at all.
    pub fn is_judged(&self) -> bool {
        !matches!(self.status, Status::Deprecated | Status::Unsupported)
    }

    /// True when the view is as the rule says.
    pub(super) fn holds(&self, view: &View<'_>) -> bool {
        let has_subject = self.service == Service::Webserver || view.usage.is_some();
        has_subject && self.detection.holds(view)
    }

    /// The numbers a counter is compared with.
    pub(super) fn thresholds(&self, counter: Fact) -> impl Iterator<Item = f64> + '_ {
        let tests = self.detection.tests().into_iter();
        tests.filter_map(move |test| match test.matcher {
            Matcher::Number(compare, limit)
                if test.subject == Subject::Field(Field::Fact(counter)) =>
            {
                Some(compare.turns_at(limit))
            }
            _ => None,
        })
    }
}
