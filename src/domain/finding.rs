//! What a rule said about a use, with the evidence.
//!
//! In: a rule's verdict over a view. Out: [`Finding`], [`Level`], [`Confidence`], [`Dimension`], [`Evidence`].
//! Does not know: incidents, sinks.
//! Source: the NDJSON contract; levels as in the Sigma specification v2, <https://sigmahq.io/sigma-specification/>.

use super::context::{Client, Context};
use super::ids::{FindingId, SessionId, TokenId};
use super::time::Time;
use super::token::{Provenance, Verdict};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

/// How bad it is, as Sigma ranks it.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "Sigma's own words")]
pub enum Level {
    #[default]
    Informational,
    Low,
    Medium,
    High,
    Critical,
}

impl Level {
    /// Every level, lowest first.
    pub const ALL: [Self; 5] = [
        Self::Informational,
        Self::Low,
        Self::Medium,
        Self::High,
        Self::Critical,
    ];

    /// The level's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Informational => "informational",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }

    /// The level of that name.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.name() == name)
    }
}

/// How sure the rule is when it speaks.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "plain words")]
pub enum Confidence {
    Low,
    #[default]
    Medium,
    High,
}

/// Which independent thing differs; an incident takes the highest score of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dimension {
    /// Where on the map.
    Place,
    /// Whose network. Network and place are one dimension when it is asked whether two differ.
    Network,
    /// What program.
    Client,
    /// The TLS fingerprint.
    Tls,
    /// The language.
    Language,
    /// When: overlap, switches, at once.
    Time,
    /// How much.
    Volume,
    /// What was asked for.
    Path,
    /// How unusual for the subject. It looks at network and client again, so it does not count beside them.
    Habit,
    /// A proof of theft: enough by itself.
    Theft,
    /// A fault of a gateway or an issuer, which is nobody's theft.
    Fault,
}

impl Dimension {
    /// Every dimension.
    pub const ALL: [Self; 11] = [
        Self::Place,
        Self::Network,
        Self::Client,
        Self::Tls,
        Self::Language,
        Self::Time,
        Self::Volume,
        Self::Path,
        Self::Habit,
        Self::Theft,
        Self::Fault,
    ];

    /// The dimension's name in rules.
    pub fn name(self) -> &'static str {
        match self {
            Self::Place => "place",
            Self::Network => "network",
            Self::Client => "client",
            Self::Tls => "tls",
            Self::Language => "language",
            Self::Time => "time",
            Self::Volume => "volume",
            Self::Path => "path",
            Self::Habit => "habit",
            Self::Theft => "theft",
            Self::Fault => "fault",
        }
    }
}

/// One line that shows what a finding says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// Name of the source.
    pub file: Arc<str>,
    /// Number of the line, from 1; 0 where counting started in the middle.
    pub line: u64,
    /// Position of the line in the uncompressed source, in bytes.
    #[serde(rename = "offset")]
    pub offset_bytes: u64,
    /// Event time of the line.
    #[serde(with = "rfc3339")]
    pub time: Time,
}

/// Where the use of a finding came from, as output shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SourceShown {
    /// The client's address.
    pub ip: Option<IpAddr>,
    /// ISO 3166-1 alpha-2.
    pub country: Option<Arc<str>>,
    /// The place in words.
    pub place: Option<Arc<str>>,
    /// Autonomous system number; 0 where unknown.
    pub asn: u32,
    /// Organisation of the network.
    pub org: Option<Arc<str>>,
    /// Kind of network.
    pub kind: Arc<str>,
}

/// The client of a finding, as output shows it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ClientShown {
    /// Family.
    pub name: Arc<str>,
    /// Version.
    pub version: Arc<str>,
    /// Operating system.
    pub os: Arc<str>,
    /// Kind of program.
    pub kind: Arc<str>,
}

impl SourceShown {
    /// An address about which nothing was looked up.
    pub fn of_address(ip: Option<IpAddr>) -> Self {
        let kind = super::context::NetworkKind::Unknown.name().into();
        Self {
            ip,
            country: None,
            place: None,
            asn: 0,
            org: None,
            kind,
        }
    }
}

impl From<&Context> for SourceShown {
    fn from(context: &Context) -> Self {
        let place = context.place.as_ref();
        let network = context.network.as_ref();
        Self {
            ip: Some(context.address.ip()),
            country: place.map(|place| place.country.as_str().into()),
            place: place.and_then(|place| place.name.clone()),
            asn: network.map_or(0, |network| network.asn),
            org: network.map(|network| network.organisation.clone()),
            kind: context.network_kind().name().into(),
        }
    }
}

impl From<&Client> for ClientShown {
    fn from(client: &Client) -> Self {
        Self {
            name: client.name.clone(),
            version: client.version.clone(),
            os: client.os.clone(),
            kind: client.kind.name().into(),
        }
    }
}

/// A fact's value as output shows it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum FactValue {
    /// A flag.
    Flag(bool),
    /// A number.
    Number(f64),
}

/// What a rule said about a use: one edge from a rule and a session to a suspect context.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// The same before and after compression, renaming or replay.
    pub id: FindingId,
    /// The rule's name: its file's stem.
    pub rule: Arc<str>,
    /// The rule's title.
    pub title: Arc<str>,
    /// What was measured, in one sentence.
    pub says: String,
    /// How bad.
    pub level: Level,
    /// How sure.
    pub confidence: Confidence,
    /// Points for the incident.
    pub score: u32,
    /// In which dimension they count.
    pub dimension: Dimension,
    /// Event time of the use.
    #[serde(with = "rfc3339")]
    pub time: Time,
    /// The session.
    pub session: Option<SessionId>,
    /// The `sub` claim; absent where it names only a victim of a refused forgery.
    pub subject: Option<Arc<str>>,
    /// The `iss` claim.
    pub issuer: Option<Arc<str>>,
    /// The token.
    pub token: Option<TokenId>,
    /// Why the use may be believed.
    pub provenance: Provenance,
    /// What checking the signature said.
    pub verdict: Verdict,
    /// Where it came from.
    pub source: SourceShown,
    /// What program.
    pub client: Option<ClientShown>,
    /// The measurements the rule looked at.
    pub facts: BTreeMap<String, FactValue>,
    /// ATT&CK techniques.
    pub attack: Vec<Arc<str>>,
    /// The lines.
    pub evidence: Vec<Evidence>,
    /// The gateway's id of the request.
    pub request_id: Option<String>,
    /// True when the rule only runs on trial: nothing follows from the finding.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shadow: bool,
}

/// Times as RFC 3339 in UTC with milliseconds.
pub mod rfc3339 {
    use super::Time;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    /// Writes the time.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(time: &Time, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(time)
        } else {
            serializer.serialize_i64(time.as_ms())
        }
    }

    /// Reads a time that [`serialize`] wrote.
    ///
    /// # Errors
    /// When the text is no RFC 3339 time, or the number is out of range.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Time, D::Error> {
        let ms = if deserializer.is_human_readable() {
            let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
            text.parse::<jiff::Timestamp>()
                .map_err(D::Error::custom)?
                .as_millisecond()
        } else {
            i64::deserialize(deserializer)?
        };
        Time::from_ms(ms).ok_or_else(|| D::Error::custom("a time outside the years 0 to 9999"))
    }
}
