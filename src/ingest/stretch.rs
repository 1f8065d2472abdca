//! What stands in a stretch of a log, in a few bytes: from when to when, and from about which networks.
//!
//! In: lines as they are fed, a chunk at a time. Out: [`Stretch`]es of up to a megabyte, and whether one may hold what
//! somebody looks for.
//! Does not know: files, tokens, incidents. It can say that it may hold something that it does not, and is then read
//! for nothing; never the other way round.
//!
//! A stretch is many lines and not one, for a suspect's uses stand together, and a position for each line would cost
//! more than the lines that it saves from being read.

use crate::domain::context::Prefix;
use crate::domain::time::Time;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// Networks told apart in one stretch: beyond, the list costs more than the reading that it saves.
const NETWORKS_MAX: usize = 8192;

/// Some whole lines that follow each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stretch {
    /// Where the first begins.
    pub start_bytes: u64,
    /// Where the last ends.
    pub end_bytes: u64,
    /// Number of the first; 0 when lines are not counted.
    pub number: u64,
    /// The time that the log had come to before them.
    pub before: Time,
    times: Option<(Time, Time)>,
    networks: Networks,
}

/// Fingerprints of networks, sorted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Networks {
    Some(Vec<u16>),
    Any,
}

/// Gathers what stands in one chunk. It is used for one after the other, so that nothing is made anew.
#[derive(Debug)]
pub struct Sketcher {
    /// One bit for each fingerprint.
    seen: Box<[u64; 1024]>,
    found: Vec<u16>,
    last: Option<Prefix>,
    times: Option<(Time, Time)>,
}

impl Default for Sketcher {
    fn default() -> Self {
        Self {
            seen: Box::new([0; 1024]),
            found: Vec::new(),
            last: None,
            times: None,
        }
    }
}

impl Sketcher {
    /// Takes in one event.
    pub fn see(&mut self, time: Time, client: Option<IpAddr>) {
        let (first, last) = self.times.unwrap_or((time, time));
        self.times = Some((first.min(time), last.max(time)));
        let Some(prefix) = client.map(Prefix::of) else {
            return;
        };
        if self.last == Some(prefix) {
            return;
        }
        self.last = Some(prefix);
        let print = fingerprint(prefix);
        let (word, bit) = (usize::from(print >> 6), 1 << (print & 63));
        if self.seen[word] & bit == 0 {
            self.seen[word] |= bit;
            self.found.push(print);
        }
    }

    /// The stretch that was seen since the last call.
    pub fn stretch(
        &mut self,
        start_bytes: u64,
        end_bytes: u64,
        number: u64,
        before: Time,
    ) -> Stretch {
        for print in &self.found {
            self.seen[usize::from(print >> 6)] = 0;
        }
        let mut networks = self.found.clone(); // as long as it is: some are kept for long
        self.found.clear();
        networks.sort_unstable();
        self.last = None;
        Stretch {
            start_bytes,
            end_bytes,
            number,
            before,
            times: self.times.take(),
            networks: Networks::of(networks),
        }
    }
}

impl Networks {
    fn of(sorted: Vec<u16>) -> Self {
        match sorted.len() > NETWORKS_MAX {
            true => Self::Any,
            false => Self::Some(sorted),
        }
    }

    fn join(&mut self, next: Self) {
        let (Self::Some(own), Self::Some(more)) = (&mut *self, next) else {
            *self = Self::Any;
            return;
        };
        if more.iter().all(|print| own.binary_search(print).is_ok()) {
            return;
        }
        own.extend(more);
        own.sort_unstable();
        own.dedup();
        own.shrink_to_fit();
        *self = Self::of(std::mem::take(own));
    }
}

impl Stretch {
    /// How long it is.
    pub fn bytes(&self) -> u64 {
        self.end_bytes.saturating_sub(self.start_bytes)
    }

    /// Takes in the lines that follow. Those of a wrapped log may begin before the end of this.
    pub fn join(&mut self, next: Self) {
        self.end_bytes = self.end_bytes.max(next.end_bytes);
        if next.start_bytes < self.start_bytes {
            (self.start_bytes, self.number) = (next.start_bytes, next.number);
        }
        self.times = match (self.times, next.times) {
            (Some((a, b)), Some((c, d))) => Some((a.min(c), b.max(d))),
            (one, other) => one.or(other),
        };
        self.networks.join(next.networks);
    }

    /// Forgets which networks there are: it is as long a list as may be kept.
    pub fn forget_networks(&mut self) {
        self.networks = Networks::Any;
    }

    /// True when lines of this time from one of these networks may stand in it.
    pub fn may_hold(&self, prefixes: &[Prefix], from: Time, until: Time) -> bool {
        let in_time = self
            .times
            .is_some_and(|(first, last)| first <= until && last >= from);
        in_time
            && match &self.networks {
                Networks::Any => true,
                Networks::Some(prints) => prefixes
                    .iter()
                    .any(|prefix| prints.binary_search(&fingerprint(*prefix)).is_ok()),
            }
    }

    /// The first and the last time in it; `None` when no line has one.
    pub fn times(&self) -> Option<(Time, Time)> {
        self.times
    }

    /// Bytes that it takes in memory, about.
    pub fn weight(&self) -> usize {
        let prints = match &self.networks {
            Networks::Some(prints) => prints.len(),
            Networks::Any => 0,
        };
        size_of::<Self>() + prints * size_of::<u16>()
    }
}

/// Sixteen bits of a network. Not keyed: who picks networks that collide must own them, and costs some reading.
fn fingerprint(prefix: Prefix) -> u16 {
    let bits = match prefix.first() {
        IpAddr::V4(v4) => u64::from(v4.to_bits() >> 8),
        IpAddr::V6(v6) => (v6.to_bits() >> 64) as u64,
    };
    // Fibonacci hashing: Knuth, "The Art of Computer Programming" 3, section 6.4.
    (bits.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48) as u16
}

/// These stretches in order, no place twice.
pub fn in_order(mut stretches: Vec<Stretch>) -> Vec<Stretch> {
    stretches.sort_by_key(|stretch| (stretch.start_bytes, stretch.end_bytes));
    let mut end_bytes = 0;
    stretches.retain_mut(|stretch| {
        if stretch.start_bytes < end_bytes {
            (stretch.start_bytes, stretch.number) = (end_bytes, 0);
        }
        let is_left = stretch.start_bytes < stretch.end_bytes;
        end_bytes = end_bytes.max(stretch.end_bytes);
        is_left
    });
    stretches
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(s: i64) -> Time {
        Time::from_ms(s * 1000).unwrap()
    }

    fn address(bits: u32) -> IpAddr {
        IpAddr::V4(bits.into())
    }

    #[test]
    fn a_stretch_knows_its_times_and_networks_and_nothing_of_the_one_before() {
        let mut sketcher = Sketcher::default();
        let addresses = ["192.0.2.7", "2001:db8::1"].map(|text| text.parse().unwrap());
        sketcher.see(at(10), Some(addresses[0]));
        sketcher.see(at(5), None);
        let first = sketcher.stretch(0, 100, 1, at(0));
        sketcher.see(at(20), Some(addresses[1]));
        let second = sketcher.stretch(100, 200, 4, at(10));
        let [four, six] = addresses.map(|address| [Prefix::of(address)]);
        assert!(first.may_hold(&four, at(0), at(5)) && !first.may_hold(&six, at(0), at(99)));
        assert!(!first.may_hold(&four, at(11), at(99)) && !first.may_hold(&four, at(0), at(4)));
        assert!(second.may_hold(&six, at(20), at(20)) && !second.may_hold(&four, at(0), at(99)));
        let mut both = first;
        both.join(second);
        assert_eq!((both.start_bytes, both.end_bytes, both.number), (0, 200, 1));
        assert!(both.may_hold(&four, at(0), at(99)) && both.may_hold(&six, at(0), at(99)));
        assert_eq!(both.times(), Some((at(5), at(20))));
    }

    #[test]
    fn as_many_networks_as_anybody_sends_from_do_not_fill_the_memory() {
        let mut sketcher = Sketcher::default();
        (0..200_000).for_each(|n| sketcher.see(at(0), Some(address(n << 8))));
        let stretch = sketcher.stretch(0, 1, 1, at(0));
        assert!(stretch.weight() < 200, "{}", stretch.weight());
        assert!(stretch.may_hold(&[Prefix::of(address(7 << 24))], at(0), at(0)));
    }

    #[test]
    fn what_overlaps_is_read_once() {
        let mut sketcher = Sketcher::default();
        let mut of = |start, end| sketcher.stretch(start, end, start, at(0));
        let stretches = vec![of(50, 90), of(1, 10), of(5, 20), of(20, 30), of(60, 70)];
        let found: Vec<_> = in_order(stretches)
            .iter()
            .map(|range| (range.start_bytes, range.end_bytes, range.number))
            .collect();
        assert_eq!(found, [(1, 10, 1), (10, 20, 0), (20, 30, 20), (50, 90, 50)]);
    }

    proptest! {
        #[test]
        fn what_is_in_a_stretch_is_found(
            chunks in prop::collection::vec(prop::collection::vec((0i64..1000, any::<u32>()), 0..40), 1..6),
        ) {
            let mut sketcher = Sketcher::default();
            let mut whole: Option<Stretch> = None;
            for (n, chunk) in chunks.iter().enumerate() {
                chunk.iter().for_each(|(s, bits)| sketcher.see(at(*s), Some(address(*bits))));
                let next = sketcher.stretch(n as u64, n as u64 + 1, 0, at(0));
                match &mut whole {
                    Some(whole) => whole.join(next),
                    None => whole = Some(next),
                }
            }
            for (s, bits) in chunks.iter().flatten() {
                let prefixes = [Prefix::of(address(*bits))];
                prop_assert!(whole.as_ref().unwrap().may_hold(&prefixes, at(*s), at(*s)));
            }
        }
    }
}
