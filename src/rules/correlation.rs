//! Correlations: what several hits of other rules mean together.
//!
//! In: the `correlation:` map of a document; hits in the order of their times. Out: [`Correlation`], which says of hits
//! that lie within its time span whether it holds.
//! Does not know: where hits are kept, or whose they are.
//! Source: Sigma correlation rules specification v2.1,
//! <https://sigmahq.io/sigma-specification/specification/sigma-correlation-rules-specification.html>.

use super::matcher::Compare;
use crate::domain::usage::{Field, Value, View};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Hits of one group that are remembered at most: no threshold can be higher.
pub(super) const HITS_MAX: usize = 1000;

/// The longest time span: what is older is in no baseline of ours either.
pub(super) const TIMESPAN_MS_MAX: i64 = 31 * 86_400_000;

/// What several hits mean together.
#[derive(Clone, Debug)]
pub struct Correlation {
    pub(super) kind: Kind,
    /// The rules whose hits count, in the order of the document.
    pub(super) parts: Vec<Part>,
    pub(super) timespan_ms: i64,
    pub(super) conditions: Vec<(Compare, f64)>,
    /// True when the rules that it refers to raise findings of their own as well.
    pub(super) generate: bool,
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Events.
    EventCount,
    /// Distinct values of a field.
    ValueCount,
    /// Which of the rules spoke.
    Temporal,
    /// Whether they spoke in the order of the document.
    TemporalOrdered,
}

/// One rule that a correlation refers to.
#[derive(Clone, Debug)]
pub(super) struct Part {
    /// As the document names it.
    pub(super) named: Arc<str>,
    /// The fields that hits of one group have in common; `None` for one that no access log has.
    pub(super) group_by: Vec<Option<Field>>,
    /// The field whose values are counted.
    pub(super) counted: Option<Field>,
}

/// A hit of one of the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Hit {
    /// Event time, in milliseconds.
    pub at_ms: i64,
    /// Which of the correlation's rules it was.
    pub part: u16,
    /// What makes it another hit than one before: keyed hash of the counted value, or of the line.
    pub distinct: u64,
}

/// What a hit shows of itself to a correlation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The values that its group has in common.
    pub group: Vec<String>,
    /// The value that is counted; `None` where events are.
    pub value: Option<String>,
}

impl Correlation {
    /// How far apart hits may lie, in milliseconds.
    pub fn timespan_ms(&self) -> i64 {
        self.timespan_ms
    }

    /// What a hit of the rule at `part` shows; `None` when a field by which it is grouped or counted is not there.
    pub fn seen(&self, part: usize, view: &View<'_>) -> Option<Seen> {
        let part = self.parts.get(part)?;
        let group = part.group_by.iter().map(|field| text((*field)?, view));
        let value = match (self.kind, part.counted) {
            (Kind::ValueCount, field) => Some(text(field?, view)?),
            _ => None,
        };
        Some(Seen {
            group: group.collect::<Option<_>>()?,
            value,
        })
    }

    /// True when hits of a group, ordered by time, hold together in a time span that ends at `at_ms`, or at the newest
    /// where that is near: a line that comes late still completes what came before and after it.
    pub fn holds(&self, hits: &[Hit], at_ms: i64) -> bool {
        let newest_ms = hits.last().map_or(at_ms, |hit| hit.at_ms);
        let ends = [at_ms, newest_ms.min(at_ms + self.timespan_ms)];
        ends.into_iter().any(|end_ms| {
            let from = hits.partition_point(|hit| hit.at_ms < end_ms - self.timespan_ms);
            let to = hits.partition_point(|hit| hit.at_ms <= end_ms);
            self.holds_in(hits.get(from..to).unwrap_or_default())
        })
    }

    fn holds_in(&self, hits: &[Hit]) -> bool {
        let count = match self.kind {
            Kind::EventCount | Kind::ValueCount => {
                let distinct: BTreeSet<u64> = hits.iter().map(|hit| hit.distinct).collect();
                distinct.len()
            }
            Kind::Temporal => {
                let parts: BTreeSet<u16> = hits.iter().map(|hit| hit.part).collect();
                parts.len()
            }
            Kind::TemporalOrdered => hits.iter().fold(0, |next, hit| {
                next + usize::from(usize::from(hit.part) == next)
            }),
        };
        match self.conditions.as_slice() {
            [] => count >= self.parts.len(),
            conditions => conditions
                .iter()
                .all(|(compare, limit)| compare.holds(count as f64, *limit)),
        }
    }
}

/// Puts a hit among those of its group, which stay ordered by time: what is the same but older gives way, and so does
/// what no time span can reach any more.
pub fn add(hits: &mut Vec<Hit>, hit: Hit, timespan_ms: i64) {
    hits.retain(|other| (other.part, other.distinct) != (hit.part, hit.distinct));
    let at = hits.partition_point(|other| other.at_ms <= hit.at_ms);
    hits.insert(at, hit);
    let newest_ms = hits.last().map_or(hit.at_ms, |hit| hit.at_ms);
    // A late line may still come, so as much again is kept.
    let old = hits.partition_point(|other| other.at_ms < newest_ms - 2 * timespan_ms);
    let too_many = hits.len().saturating_sub(HITS_MAX);
    hits.drain(..old.max(too_many));
}

fn text(field: Field, view: &View<'_>) -> Option<String> {
    match view.value(field) {
        Value::Absent => None,
        Value::Text(text) => Some(text.into_owned()),
        Value::Number(number) => Some(number.to_string()),
        Value::Flag => Some("true".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn correlation(kind: Kind, parts: usize, conditions: &[(Compare, f64)]) -> Correlation {
        let part = Part {
            named: "rule".into(),
            group_by: Vec::new(),
            counted: None,
        };
        Correlation {
            kind,
            parts: vec![part; parts],
            timespan_ms: 100,
            conditions: conditions.to_vec(),
            generate: false,
        }
    }

    /// Whether it holds after each of these hits: time, rule, what makes it distinct.
    fn after_each(correlation: &Correlation, hits: &[(i64, u16, u64)]) -> Vec<bool> {
        let mut kept = Vec::new();
        let each = hits.iter().map(|(at_ms, part, distinct)| {
            let hit = Hit {
                at_ms: *at_ms,
                part: *part,
                distinct: *distinct,
            };
            add(&mut kept, hit, correlation.timespan_ms);
            correlation.holds(&kept, *at_ms)
        });
        each.collect()
    }

    #[test]
    fn events_are_counted_in_a_span_and_a_late_line_completes_it() {
        let three = correlation(Kind::EventCount, 1, &[(Compare::GreaterOrEqual, 3.0)]);
        let hits = [(0, 0, 1), (60, 0, 2), (120, 0, 3), (155, 0, 4)];
        assert_eq!(after_each(&three, &hits), [false, false, false, true]);
        let late = [(0, 0, 1), (90, 0, 2), (40, 0, 3)];
        assert_eq!(after_each(&three, &late), [false, false, true]);
        let same_line_twice = [(0, 0, 1), (0, 0, 1), (1, 0, 2)];
        assert_eq!(after_each(&three, &same_line_twice), [false; 3]);
    }

    #[test]
    fn values_are_counted_once_and_a_range_has_two_ends() {
        let range = [(Compare::Greater, 1.0), (Compare::Less, 3.0)];
        let two = correlation(Kind::ValueCount, 1, &range);
        let hits = [(0, 0, 7), (1, 0, 7), (2, 0, 8), (3, 0, 9)];
        assert_eq!(after_each(&two, &hits), [false, false, true, false]);
    }

    #[test]
    fn all_rules_speak_in_any_order_or_in_theirs() {
        let hits = [(0, 1, 1), (1, 0, 2), (2, 1, 3)];
        let any = correlation(Kind::Temporal, 2, &[]);
        assert_eq!(after_each(&any, &hits), [false, true, true]);
        let ordered = correlation(Kind::TemporalOrdered, 2, &[]);
        assert_eq!(after_each(&ordered, &hits), [false, false, true]);
    }

    proptest! {
        #[test]
        fn what_is_kept_is_bounded_and_in_order(
            hits in prop::collection::vec((-500i64..500, 0u16..3, 0u64..2000), 0..1500)
        ) {
            let any = correlation(Kind::Temporal, 3, &[]);
            let mut kept = Vec::new();
            for (at_ms, part, distinct) in hits {
                add(&mut kept, Hit { at_ms, part, distinct }, any.timespan_ms);
                prop_assert!(kept.len() <= HITS_MAX);
                prop_assert!(kept.is_sorted_by_key(|hit| hit.at_ms));
            }
        }
    }
}
