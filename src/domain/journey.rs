//! Where the sessions of an incident were used: what its map and its timeline show.
//!
//! In: what the session store remembers of each context. Out: [`Stop`]s, as the console and the report show them.
//! Does not know: findings, how anything is drawn.

use super::context::{Context, NetworkKind};
use super::finding::rfc3339;
use super::ids::SessionId;
use super::time::Time;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::sync::Arc;

/// One context in which a session was used, and what was done from it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stop {
    /// Whose side it is on.
    pub side: StopSide,
    /// The session; absent where a sender's tokens were refused.
    pub session: Option<SessionId>,
    /// Event time of the first use.
    #[serde(with = "rfc3339")]
    pub first: Time,
    /// Event time of the last.
    #[serde(with = "rfc3339")]
    pub last: Time,
    /// The client's address.
    pub ip: IpAddr,
    /// Network and place, as both sides of the incident show them.
    pub network: String,
    /// Kind of network.
    pub kind: NetworkKind,
    /// The program, as `Chrome 126 on Windows`.
    pub client: Option<String>,
    /// Where that is on the map.
    pub place: Option<Point>,
    /// Accepted uses.
    pub uses: u64,
    /// Refused uses.
    pub refused: u64,
    /// Uses that wrote.
    pub writes: u64,
    /// Response bytes.
    pub bytes: u64,
}

/// Whose side a stop is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopSide {
    /// The rightful holder's.
    Holder,
    /// The suspect's of this incident.
    Suspect,
    /// Somebody whom another incident of the session is about.
    Other,
}

/// A place on the map, and how far it may be off.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
    /// The true place is within this distance 95 times in 100.
    pub radius_km: f64,
    /// The nearest town the table names.
    pub name: Option<Arc<str>>,
    /// False behind a VPN, a relay, a satellite or a corporate proxy: nobody travels from or to there.
    pub reference: bool,
}

impl Point {
    /// The place of a context.
    pub fn of(context: &Context) -> Option<Self> {
        let place = context.place.as_ref()?;
        Some(Self {
            latitude: rounded(place.latitude),
            longitude: rounded(place.longitude),
            radius_km: rounded(place.radius_km),
            name: place.name.clone(),
            reference: context.reference_place().is_some(),
        })
    }
}

/// To some ten metres of a degree: no table knows more, and 38.72 is not shown as 38.720001220703125.
fn rounded(number: f32) -> f64 {
    const PER_ONE: f64 = 10_000.0;
    (f64::from(number) * PER_ONE).round() / PER_ONE
}
