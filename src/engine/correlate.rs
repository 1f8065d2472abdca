//! From hits of rules to hits of correlations.
//!
//! In: the rules that hold for a view. Out: the same, with the correlations that hold now, and without those that only
//! count for one.
//! Does not know: what a correlation asks for.

use super::Engine;
use super::prepare::Prepared;
use crate::domain::ids::{Digest, IdKey};
use crate::domain::usage::View;
use crate::rules::{Hit, Rule, RuleSet, add_hit};
use crate::sessions::bounded::Bounded;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Groups remembered for one correlation. With the most hits each may keep, 24 bytes a hit, it is 48 MB.
const GROUPS_MAX: usize = 2000;

/// Hits of each group, by the correlation's name.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Windows(BTreeMap<Arc<str>, Bounded<Digest, Window>>);

/// The hits of one group.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Window {
    hits: Vec<Hit>,
    /// When it held last: it speaks once in a time span.
    held_ms: Option<i64>,
}

impl Windows {
    /// Adds a hit and says whether the correlation holds now, for the first time in its time span.
    fn completes(&mut self, rule: &Rule, group: Digest, hit: Hit) -> bool {
        let Some(correlation) = &rule.correlation else {
            return false;
        };
        let groups = self.0.entry(Arc::clone(&rule.name));
        let groups = groups.or_insert_with(|| Bounded::new(GROUPS_MAX));
        let window = groups.get_or_insert_with(group, Window::default);
        let span_ms = correlation.timespan_ms();
        add_hit(&mut window.hits, hit, span_ms);
        let said = window
            .held_ms
            .is_some_and(|held_ms| (hit.at_ms - held_ms).abs() <= span_ms);
        let holds = !said && correlation.holds(&window.hits, hit.at_ms);
        if holds {
            window.held_ms = Some(hit.at_ms);
        }
        holds
    }
}

impl Engine {
    /// Feeds hits to the correlations that count them, and those to others, until nothing new holds.
    pub(super) fn correlated<'r>(
        &mut self,
        rules: &'r RuleSet,
        hits: Vec<&'r Rule>,
        prepared: &Prepared<'_>,
        view: &View<'_>,
    ) -> Vec<&'r Rule> {
        if hits.iter().all(|rule| rule.feeds().is_empty()) {
            return hits;
        }
        let mut all = hits;
        let mut at = 0;
        // A correlation never feeds itself, so this ends.
        while let Some(rule) = all.get(at).copied() {
            at += 1;
            for (index, part) in rule.feeds() {
                let fed = rules.rules().get(*index).filter(|fed| fed.is_judged());
                if let Some(fed) = fed
                    && self.completes(fed, *part, prepared, view)
                {
                    all.push(fed);
                }
            }
        }
        all.retain(|rule| rule.speaks());
        all
    }

    fn completes(
        &mut self,
        rule: &Rule,
        part: usize,
        prepared: &Prepared<'_>,
        view: &View<'_>,
    ) -> bool {
        let correlation = rule.correlation.as_ref();
        let Some(seen) = correlation.and_then(|correlation| correlation.seen(part, view)) else {
            return false;
        };
        let key = &self.settings.key;
        let group: Vec<&[u8]> = seen.group.iter().map(|value| value.as_bytes()).collect();
        let hit = Hit {
            at_ms: prepared.event.time.as_ms(),
            part: u16::try_from(part).unwrap_or(u16::MAX),
            distinct: match &seen.value {
                Some(value) => short(key, &[b"value", value.as_bytes()]),
                None => {
                    let offset = prepared.line.offset_bytes.to_le_bytes();
                    short(key, &[b"line", prepared.line.source.0.as_bytes(), &offset])
                }
            },
        };
        let group = key.digest("group", &group);
        self.state.windows.completes(rule, group, hit)
    }
}

fn short(key: &IdKey, parts: &[&[u8]]) -> u64 {
    key.digest("hit", parts).0 as u64
}
