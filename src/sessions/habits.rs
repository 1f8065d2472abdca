//! Habits: how often a subject, and everybody, was on a network and with a program; how unlikely a use is by that.
//!
//! In: the contexts of uses that may teach. Out: [`Habits`] of one subject, and [`risk`] beside the [`Population`]: a
//! likelihood ratio over network and client, each smoothed over a hierarchy: address, autonomous system, country; user
//! agent, family and version, system, kind.
//! Does not know: which uses may teach, or what ratio is suspicious.
//! Source: Freeman, Jain, Dürmuth, Biggio and Giacinto, "Who Are You? A Statistical Approach to Measuring User
//! Authenticity", NDSS 2016, equation 7. Weights, smoothing of what was never seen: Wiefling, Jørgensen, Thunem and
//! Lo Iacono, "Pump Up Password Security!", ACM TOPS 26(1), 2022.

use super::population::{Eras, Everybody, Population};
use super::rhythm::Rhythm;
use crate::domain::context::{Context, Prefix};
use crate::domain::time::Time;
use highway::{HighwayHash, HighwayHasher, Key};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use std::fmt::{self, Write as _};

/// Levels of the deeper of the two hierarchies.
pub(super) const LEVELS: usize = 4;

/// The value of a feature on each of its levels, finest first, as short hashes.
pub type Values = [u32; LEVELS];

/// How much each level of the network counts: address, autonomous system, country.
pub(super) const NETWORK_WEIGHTS: [f64; LEVELS] = [0.6, 0.3, 0.1, 0.0];

/// How much each level of the client counts: user agent, family and version, system, kind.
pub(super) const CLIENT_WEIGHTS: [f64; LEVELS] = [
    0.538_665_384_055_135_9,
    0.268_045_149_862_566_6,
    0.188_182_951_001_095_36,
    0.005_106_515_081_202_152_5,
];

/// Stands for finest values that were forgotten for want of room, while their upper levels still count.
const FORGOTTEN: u32 = 0;

/// How habits are kept and compared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Model {
    /// Values kept of one subject and feature.
    kept_max: usize,
    /// From this many observations on, all that was counted is halved: what is long ago counts less.
    halve_at: u32,
    /// How long a value must be known before it counts for its subject.
    familiar_min: u32,
    /// What a value that a subject never had is compared with.
    unseen: Unseen,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unseen {
    /// The reference implementation's: a feature never seen on any level weighs four, whatever is known.
    Four,
    /// A subject's next value is a new one about once in as many as were seen, and then it is anybody's: the more is
    /// known of a subject, the more something new says. What it shares on an upper level counts as far as that is rare.
    Anybodys,
}

impl Model {
    /// What the engine measures with. A person has a handful of networks and of programs; 256 contexts are half a year
    /// of a session at home and one on the way each working day; a thief's own first day must not make him familiar.
    pub const OURS: Self = Self {
        kept_max: 8,
        halve_at: 256,
        familiar_min: 24 * 60,
        unseen: Unseen::Anybodys,
    };

    /// The published implementation, to the last digit: nothing is forgotten, and all counts at once.
    pub const REFERENCE: Self = Self {
        kept_max: usize::MAX,
        halve_at: u32::MAX,
        familiar_min: 0,
        unseen: Unseen::Four,
    };

    /// How much likelier a value is for anybody than for its subject, of whom so many are known.
    fn ratio(&self, own: Shares, everybody: &Everybody, weights: Weights, seen: u32) -> f64 {
        let weighted = |shares: Shares| -> f64 {
            let levels = weights.iter().zip(shares);
            levels.map(|(weight, share)| weight * share).sum()
        };
        match self.unseen {
            Unseen::Four if weighted(own) == 0.0 => 4.0,
            Unseen::Four => {
                let [finest, upper @ ..] = everybody.shares;
                let [a, b, c] = upper;
                weighted([finest * everybody.among_its_own, a, b, c]) / weighted(own)
            }
            Unseen::Anybodys => {
                // A value is as likely as its group is for the subject, times as it is in that group for anybody.
                let lift = |level: usize| own[level] / everybody.shares[level].max(everybody.least);
                let seen = f64::from(seen);
                (seen + 1.0) / (seen * weighted(std::array::from_fn(lift)) + 1.0)
            }
        }
    }
}

pub(super) type Weights = [f64; LEVELS];

/// By level: the share of observations with the same value.
pub(super) type Shares = [f64; LEVELS];

/// One observation: where a subject was and with what, as far as it is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Address, autonomous system, country.
    pub network: Option<Values>,
    /// User agent, family and version, system, kind.
    pub client: Option<Values>,
}

impl Seen {
    /// What a context shows. A network whose addresses move by nature tells nobody's habits.
    pub fn of(context: &Context, user_agent: Option<&str>) -> Self {
        let place = context.place.as_ref();
        let fixed = context
            .network
            .as_ref()
            .filter(|n| !n.kind.moves_by_nature());
        let mut text = String::with_capacity(TEXT_BYTES_USUAL);
        let network = fixed.zip(place).map(|(network, place)| {
            let address = match context.address.ip() {
                v4 if v4.is_ipv4() => value(&mut text, format_args!("{v4}")),
                v6 => value(&mut text, format_args!("{}", Prefix::of(v6))),
            };
            let asn = value(&mut text, format_args!("{}", network.asn));
            [address, asn, value_of(place.country.as_str()), FORGOTTEN]
        });
        let client = context.client.as_ref().zip(user_agent);
        let client = client.map(|(client, agent)| {
            let version = format_args!("{} {}", client.name, client.version);
            let version = value(&mut text, version);
            let (os, kind) = (value_of(&client.os), value_of(client.kind.name()));
            [value_of(agent), version, os, kind]
        });
        Self { network, client }
    }
}

/// Longest text but the user agent's own, for most: a version in words, an address.
const TEXT_BYTES_USUAL: usize = 64;

/// The value of a text that is written into `room` first.
fn value(room: &mut String, text: fmt::Arguments<'_>) -> u32 {
    room.clear();
    // Writing to a String cannot fail.
    let _ = room.write_fmt(text);
    value_of(room)
}

/// The value of a text.
fn value_of(text: &str) -> u32 {
    // The same in every process, since snapshots hold them; 32 bits are no secret under any key.
    let hash = HighwayHasher::new(Key::default()).hash64(text.as_bytes());
    (hash as u32).max(1)
}

/// How often a subject was seen where and with what.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Habits {
    /// Observations ever.
    pub(super) seen: u32,
    network: Feature,
    client: Feature,
    /// How the subject's sessions begin.
    pub rhythm: Rhythm,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Feature {
    total: u32,
    kept: SmallVec<[Kept; 0]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    values: Values,
    count: u32,
    first_min: u32,
    last_min: u32,
}

impl Habits {
    /// Learns an observation.
    pub fn learn(&mut self, seen: Seen, time: Time, model: &Model) {
        self.seen = self.seen.saturating_add(1);
        let features = [
            (&mut self.network, seen.network),
            (&mut self.client, seen.client),
        ];
        for (feature, values) in features {
            if let Some(values) = values {
                feature.learn(values, minute(time), model);
            }
        }
    }
}

impl Habits {
    /// Whether the subject is known at the address for a day or longer; `None` where it is known at none, or the
    /// address is one that moves by nature.
    pub fn knows_address(&self, seen: Seen, time: Time) -> Option<bool> {
        let [address, ..] = seen.network?;
        let familiar = |kept: &&Kept| {
            let since_min = kept.first_min.saturating_add(Model::OURS.familiar_min);
            since_min <= minute(time)
        };
        let mut known = self.network.kept.iter().filter(familiar).peekable();
        known.peek()?;
        Some(known.any(|kept| kept.values[0] == address))
    }
}

impl Feature {
    fn learn(&mut self, values: Values, at: u32, model: &Model) {
        self.total += 1;
        if self.total >= model.halve_at {
            self.halve();
        }
        let known = self.kept.iter_mut().find(|kept| kept.values == values);
        if let Some(known) = known {
            known.count += 1;
            known.first_min = known.first_min.min(at);
            known.last_min = known.last_min.max(at);
            return;
        }
        while self.kept.len() >= model.kept_max {
            self.forget_one();
        }
        self.kept.push(Kept {
            values,
            count: 1,
            first_min: at,
            last_min: at,
        });
    }

    fn halve(&mut self) {
        self.total /= 2;
        self.kept.retain(|kept| {
            kept.count /= 2;
            kept.count > 0
        });
    }

    /// Forgets the finest value of what was seen longest ago, and of what has none left, the rest.
    fn forget_one(&mut self) {
        let oldest = |kept: &Kept| (kept.values[0] == FORGOTTEN, kept.last_min);
        let Some(at) = (0..self.kept.len()).min_by_key(|&at| oldest(&self.kept[at])) else {
            return;
        };
        let mut old = self.kept.remove(at);
        if old.values[0] == FORGOTTEN {
            return;
        }
        old.values[0] = FORGOTTEN;
        match self.kept.iter_mut().find(|kept| kept.values == old.values) {
            Some(same) => {
                same.count += old.count;
                same.first_min = same.first_min.min(old.first_min);
                same.last_min = same.last_min.max(old.last_min);
            }
            None => self.kept.push(old),
        }
    }

    /// The share of the observations that had these values.
    fn shares(&self, values: Values, at: u32, model: &Model) -> Shares {
        let familiar = |kept: &&Kept| kept.first_min.saturating_add(model.familiar_min) <= at;
        std::array::from_fn(|level| {
            let same = self.kept.iter().filter(familiar);
            let same = same.filter(|kept| kept.values[level] == values[level]);
            same.map(|kept| f64::from(kept.count)).sum::<f64>() / f64::from(self.total)
        })
    }
}

/// How much likelier it is that somebody else is seen so than this subject; `None` when nothing can be compared.
pub fn risk(
    habits: &Habits,
    population: &Population,
    seen: Seen,
    time: Time,
    model: &Model,
) -> Option<f64> {
    let features = [
        (
            &habits.network,
            &population.network,
            seen.network,
            NETWORK_WEIGHTS,
        ),
        (
            &habits.client,
            &population.client,
            seen.client,
            CLIENT_WEIGHTS,
        ),
    ];
    let ratio = |(own, everybody, values, weights): (&Feature, &Eras, Option<Values>, Weights)| {
        let values = values.filter(|_| own.total > 0)?;
        let everybody = everybody.shares(values)?;
        let shares = own.shares(values, minute(time), model);
        Some(model.ratio(shares, &everybody, weights, own.total))
    };
    let ratios = features.into_iter().filter_map(ratio);
    let product = ratios.reduce(|product, ratio| product * ratio)?;
    // A thief picks any subject, and each comes by itself as often as it did.
    let attacked = 1.0 / population.subjects as f64;
    let comes = f64::from(habits.seen) / population.seen as f64;
    Some(product * attacked / comes)
}

/// Minutes since 1970; habits are older than that by none.
fn minute(time: Time) -> u32 {
    u32::try_from(time.as_s().div_euclid(60)).unwrap_or_default()
}

#[cfg(test)]
mod tests;
