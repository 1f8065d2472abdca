//! Findings about one subject and one suspect, with the four steps.
//!
//! In: what `incidents` gathered. Out: [`Incident`] and its parts, exactly as the NDJSON contract shows them.
//! Does not know: how findings are correlated, who carries the steps out.

use super::breach::BreachStep;
use super::event::EventKind;
use super::finding::{Level, rfc3339};
use super::ids::{FindingId, IncidentId, SessionId};
use super::journey::Stop;
use super::time::Time;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

/// Findings about one subject and one suspect while they go on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Incident {
    /// Stable under replay.
    pub id: IncidentId,
    /// How bad, after the score.
    pub level: Level,
    /// Sum over dimensions of the highest score in each.
    pub score: u32,
    /// One sentence: what happened.
    pub title: String,
    /// Whose account; null when a forgery was refused, for then nobody's was entered.
    pub subject: Option<Arc<str>>,
    /// Who issued the tokens.
    pub issuer: Option<Arc<str>>,
    /// The sessions at stake.
    pub sessions: Vec<SessionId>,
    /// Event time of the first finding.
    #[serde(with = "rfc3339")]
    pub opened: Time,
    /// Event time of the newest use that belongs to it.
    #[serde(with = "rfc3339")]
    pub updated: Time,
    /// The findings, oldest first.
    pub findings: Vec<FindingId>,
    /// The rules that spoke, with how often.
    pub rules: BTreeMap<Arc<str>, u64>,
    /// The highest score of each dimension.
    pub dimensions: BTreeMap<Arc<str>, u32>,
    /// The rightful holder's side; null when it is uncertain who held the token first.
    pub victim: Option<Side>,
    /// The other side.
    pub suspect: Suspect,
    /// The four steps.
    pub steps: Steps,
    /// Where it stands.
    pub state: State,
    /// What to do now, with the exact command.
    pub next: String,
    /// The last `exp` at stake; null when a token never expires or none is known.
    pub live_until: Option<String>,
    /// True when the suspect was seen in the last ten minutes of event time.
    pub suspect_active: bool,
    /// The strongest provenance of the suspect's uses.
    pub provenance: super::token::Provenance,
    /// True when acting is justified: two independent dimensions or a theft proof, in one believable use.
    pub actionable: bool,
    /// What was done.
    pub actions: Vec<ActionShown>,
    /// What was not done, and why.
    pub refused: Vec<Refusal>,
    /// What a revocation would cost.
    pub impact: Impact,
    /// Benign explanations and how to check each.
    pub alternatives: Vec<Alternative>,
    /// Earlier incidents of the subject or the suspect.
    pub prior: Vec<IncidentId>,
    /// The incident of the source that several subjects share.
    pub parent: Option<IncidentId>,
    /// On a shared-source incident: those of the subjects.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<IncidentId>,
    /// The gateway's ids of some of the requests, at most 20.
    pub request_ids: Vec<String>,
    /// What the identity provider told of its tokens and sessions, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub identity: Vec<IdentityEvent>,
    /// Where its sessions were used, oldest first: for the map and the timeline of the console and the report. NDJSON
    /// of a scan goes without.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub journey: Vec<Stop>,
}

/// A login, an issuance, a refresh or a logout, as the identity provider told it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IdentityEvent {
    /// Event time.
    #[serde(with = "rfc3339")]
    pub time: Time,
    /// What happened.
    pub action: EventKind,
    /// The address it came from, as the provider saw it.
    pub ip: Option<IpAddr>,
    /// Its network and place.
    pub network: Option<String>,
    /// The program.
    pub client: Option<String>,
}

/// Networks and clients of one side.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Side {
    /// Networks, as `AS2860 NOS COMUNICACOES (Lisbon, PT)`.
    pub networks: Vec<String>,
    /// Clients, as `Chrome 126 on Windows`.
    pub clients: Vec<String>,
}

/// The side that does not belong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Suspect {
    /// Addresses, at most 20.
    pub ips: Vec<IpAddr>,
    /// Networks, as in [`Side`].
    pub networks: Vec<String>,
    /// Clients, as in [`Side`].
    pub clients: Vec<String>,
    /// Event time of its first use.
    #[serde(with = "rfc3339")]
    pub first_seen: Time,
    /// Event time of its last.
    #[serde(with = "rfc3339")]
    pub last_seen: Time,
    /// How many uses.
    pub requests: u64,
}

/// Where an incident stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// New.
    #[default]
    Open,
    /// Somebody looks at it.
    Acknowledged,
    /// The token is denied.
    Contained,
    /// Done.
    Resolved,
    /// It was none.
    FalsePositive,
}

impl State {
    /// The state's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Acknowledged => "acknowledged",
            Self::Contained => "contained",
            Self::Resolved => "resolved",
            Self::FalsePositive => "false_positive",
        }
    }

    /// The state of that name.
    pub fn of_name(name: &str) -> Option<Self> {
        serde_json::from_value(name.into()).ok()
    }
}

/// The four steps, under their numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Steps {
    /// 1: have the password changed.
    pub password: PasswordStep,
    /// 2: revoke.
    pub revoke: RevokeStep,
    /// 3: look for the breach.
    pub breach: BreachStep,
    /// 4: name the root cause.
    pub root_cause: RootCauseStep,
}

/// Step 1: whom to ask and what to force.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PasswordStep {
    /// True when a password change helps.
    pub needed: bool,
    /// Whom to ask.
    pub subject: Option<Arc<str>>,
    /// What to force or ask, or why not.
    pub advice: String,
    /// The calls that would do it, as the providers make them.
    pub calls: Vec<String>,
}

/// Step 2: exactly what to revoke.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RevokeStep {
    /// What to revoke, narrowest first.
    pub targets: Vec<Target>,
    /// The calls that would do it.
    pub calls: Vec<String>,
    /// What to know before.
    pub advice: String,
}

/// One thing that can be revoked.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Target {
    /// One token, by its `jti`.
    Jti {
        /// Issuer.
        iss: Arc<str>,
        /// Token id claim.
        jti: Arc<str>,
        /// NumericDate after which it is dead anyway.
        expires_s: Option<i64>,
    },
    /// One session at the identity provider, by its `sid`.
    Sid {
        /// Issuer.
        iss: Arc<str>,
        /// Session id claim.
        sid: Arc<str>,
    },
    /// One token without `jti` and `sid`, by the keyed hash of its decoded header and payload.
    Token {
        /// Issuer.
        iss: Option<Arc<str>>,
        /// The shown id.
        token: super::ids::TokenId,
        /// NumericDate after which it is dead anyway.
        expires_s: Option<i64>,
    },
    /// Everything issued to a subject before a moment.
    Subject {
        /// Issuer.
        iss: Arc<str>,
        /// Subject.
        sub: Arc<str>,
        /// NumericDate: tokens issued before it are refused.
        not_before_s: i64,
    },
    /// An address of the suspect, which is no token: it is blocked at the edge.
    Address {
        /// The address.
        ip: IpAddr,
    },
}

impl Target {
    /// What kind of thing it is, in one word.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Jti { .. } => "jti",
            Self::Sid { .. } => "sid",
            Self::Token { .. } => "token",
            Self::Subject { .. } => "subject",
            Self::Address { .. } => "address",
        }
    }

    /// The issuer; empty where the token names none.
    pub fn issuer(&self) -> &str {
        match self {
            Self::Address { .. } => "",
            Self::Jti { iss, .. } | Self::Sid { iss, .. } | Self::Subject { iss, .. } => iss,
            Self::Token { iss, .. } => iss.as_deref().unwrap_or_default(),
        }
    }

    /// The name it has with its issuer, without the times, which may change while the thing stays the same.
    pub fn name(&self) -> Cow<'_, str> {
        match self {
            Self::Jti { jti: name, .. }
            | Self::Sid { sid: name, .. }
            | Self::Subject { sub: name, .. } => Cow::Borrowed(name),
            Self::Token { token, .. } => Cow::Owned(token.to_string()),
            Self::Address { ip } => Cow::Owned(ip.to_string()),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind(), self.name())
    }
}

/// Step 4: ranked causes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RootCauseStep {
    /// Hypotheses, likeliest first.
    pub hypotheses: Vec<Hypothesis>,
}

/// One possible cause.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hypothesis {
    /// Which of the three kinds.
    pub cause: Cause,
    /// What exactly.
    pub hint: String,
    /// What speaks for it.
    pub evidence: String,
    /// What to do about it.
    pub fix: String,
}

/// The three kinds of root cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The system let it happen.
    InadequateMeasures,
    /// The user's device did.
    PoorDeviceSecurity,
    /// A person did.
    HumanError,
}

/// What was done, for an incident.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ActionShown {
    /// Which step: `password`, `revoke`.
    pub step: String,
    /// On what.
    pub target: String,
    /// By which provider.
    pub provider: String,
    /// `done`, `already_done`, `dry_run`, `failed`, `pending`, `dead`.
    pub outcome: String,
    /// When, by the wall clock, RFC 3339.
    pub at: String,
    /// On whose word: `policy` or a named approver.
    pub by: String,
}

/// What was not done, for an incident.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Refusal {
    /// The gate.
    pub gate: String,
    /// Its reason.
    pub reason: String,
}

/// What a revocation would cost.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Impact {
    /// Sessions that would end.
    pub sessions: u64,
    /// The rightful holder's last use, RFC 3339.
    pub last_legitimate_use: Option<String>,
}

/// One benign explanation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alternative {
    /// What it could be.
    pub explanation: String,
    /// How to find out.
    pub check: String,
}
