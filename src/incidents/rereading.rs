//! Step 3 in full: what the suspect touched, found when the logs are read again.
//!
//! In: a [`BreachQuery`], the uses from the networks that it asks for, what could not be read. Out: [`BreachStep`].
//! Does not know: where the lines are, nor how they are read.

use super::blast_radius::{Breach, TEMPLATES_APART_MAX, may_be_secret, templated};
use super::query::BreachQuery;
use super::text::{counted, shown};
use crate::domain::breach::{BreachStep, Coverage, Objects};
use crate::domain::context::Context;
use crate::domain::event::AccessEvent;
use crate::domain::ids::TokenId;
use crate::domain::line::Source;
use crate::domain::usage::TokenUse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Distinct templates, objects and tokens told apart for all incidents together, and at most for one: the fifty most
/// frequent templates are shown, and are right as long as all are held; who read more objects has everything.
const TEMPLATES_MAX: Share = Share(100_000, TEMPLATES_APART_MAX);
const OBJECTS_MAX: Share = Share(200_000, 10_000);
const TOKENS_MAX: Share = Share(200_000, 10_000);
/// What each of very many incidents is given.
const SHARE_MIN: usize = 100;
/// Templates whose objects are listed, and objects listed of each.
const LISTS_MAX: usize = 20;
const LISTED_MAX: usize = 100;
/// Tokens listed.
const TOKENS_LISTED_MAX: usize = 50;
/// Request ids listed.
const REQUEST_IDS_MAX: usize = 100;
/// A longer path is taken apart each time: a thousand incidents remember one each.
const LAST_BYTES_MAX: usize = 256;
/// Logs named.
const SOURCES_MAX: usize = 50;

/// How many of something there may be in all, and for one incident.
struct Share(usize, usize);

impl Share {
    fn among(&self, readings: usize) -> usize {
        (self.0 / readings.max(1)).clamp(SHARE_MIN, self.1)
    }
}

/// What was found so far.
#[derive(Clone, Debug)]
pub struct Rereading {
    query: BreachQuery,
    templates_max: usize,
    objects_max: usize,
    tokens_max: usize,
    breach: Breach,
    objects: BTreeMap<String, BTreeSet<String>>,
    objects_count: usize,
    tokens: BTreeSet<TokenId>,
    too_many_tokens: bool,
    request_ids: Vec<String>,
    sources: BTreeMap<Arc<str>, u64>,
    last: Option<Last>,
}

/// The path that was counted last: who asks for something a thousand times asks for it again.
#[derive(Clone, Debug)]
struct Last {
    path: String,
    template: String,
}

impl Rereading {
    /// Nothing was read yet. It is one of so many that are read for together.
    pub fn new(query: BreachQuery, readings: usize) -> Self {
        let mut breach = Breach::default();
        query.cut().into_iter().for_each(|cut| breach.miss(cut));
        Self {
            query,
            templates_max: TEMPLATES_MAX.among(readings),
            objects_max: OBJECTS_MAX.among(readings),
            tokens_max: TOKENS_MAX.among(readings),
            breach,
            objects: BTreeMap::new(),
            objects_count: 0,
            tokens: BTreeSet::new(),
            too_many_tokens: false,
            request_ids: Vec::new(),
            sources: BTreeMap::new(),
            last: None,
        }
    }

    /// What is looked for.
    pub fn query(&self) -> &BreachQuery {
        &self.query
    }

    /// Takes in a use from one of the networks that are asked for. True when it is the suspect's.
    pub(crate) fn note(&mut self, usage: &TokenUse<'_>, source: &Source) -> bool {
        if !self.query.takes(usage) {
            return false;
        }
        self.present(usage.token.id);
        self.count(usage.event, source);
        true
    }

    /// The same for a use that was refused, whatever its token, where [`Self::needs_no_more_tokens`].
    pub(crate) fn note_refused(
        &mut self,
        event: &AccessEvent<'_>,
        context: &Context,
        source: &Source,
    ) {
        if self.query.takes_refused(event, context) {
            self.count(event, source);
        }
    }

    /// True when whatever was refused is the suspect's, and another token would change nothing.
    pub(crate) fn needs_no_more_tokens(&self) -> bool {
        self.too_many_tokens && self.query.is_of_sender()
    }

    fn count(&mut self, event: &AccessEvent<'_>, source: &Source) {
        let path = event.path.as_deref();
        if path.is_some() && path == self.last.as_ref().map(|last| &*last.path) {
            let template = self.last.as_ref().map(|last| &*last.template);
            self.breach.count(event, template, self.templates_max);
        } else {
            self.count_path(event, path);
        }
        if self.request_ids.len() < REQUEST_IDS_MAX
            && let Some(id) = event.request_id.as_deref().map(shown)
            && !self.request_ids.contains(&id)
        {
            self.request_ids.push(id);
        }
        self.read_in(&source.0, 1);
    }

    fn count_path(&mut self, event: &AccessEvent<'_>, path: Option<&str>) {
        let Some(path) = path else {
            return self.breach.count(event, None, self.templates_max);
        };
        let (template, objects) = templated(path);
        self.breach
            .count(event, Some(&template), self.templates_max);
        if !objects.is_empty() {
            self.touch(&template, shown(&objects.join("/")));
        }
        let is_kept = path.len() <= LAST_BYTES_MAX;
        self.last = is_kept.then(|| Last {
            path: path.to_owned(),
            template,
        });
    }

    fn read_in(&mut self, source: &Arc<str>, requests: u64) {
        if self.sources.len() < SOURCES_MAX || self.sources.contains_key(source) {
            *self.sources.entry(Arc::clone(source)).or_default() += requests;
        }
    }

    fn touch(&mut self, template: &str, name: String) {
        let known = self.objects.get(template);
        if known.is_some_and(|names| names.contains(&name)) {
            return;
        }
        if self.objects_count >= self.objects_max {
            let most = counted(self.objects_max as u64, "object");
            return self.miss(&format!("more than {most} are not told apart"));
        }
        self.objects_count += 1;
        let names = self.objects.entry(template.to_owned()).or_default();
        names.insert(name);
    }

    fn present(&mut self, token: TokenId) {
        if self.tokens.contains(&token) {
            return;
        }
        if self.tokens.len() >= self.tokens_max {
            if self.too_many_tokens {
                return;
            }
            self.too_many_tokens = true;
            let most = counted(self.tokens_max as u64, "token");
            return self.miss(&format!("more than {most} are not told apart"));
        }
        self.tokens.insert(token);
    }

    /// Says that something could not be read.
    pub fn miss(&mut self, reason: &str) {
        self.breach.miss(reason);
    }

    /// Takes in what was found for an incident below this one.
    pub fn merge(&mut self, child: &Self) {
        self.breach.merge(&child.breach, self.templates_max);
        for (template, names) in &child.objects {
            let names = names.iter().cloned();
            names.for_each(|name| self.touch(template, name));
        }
        child.tokens.iter().for_each(|token| self.present(*token));
        let room = REQUEST_IDS_MAX.saturating_sub(self.request_ids.len());
        let ids = child.request_ids.iter().take(room).cloned();
        self.request_ids.extend(ids);
        for (source, count) in &child.sources {
            self.read_in(source, *count);
        }
    }

    /// The step, beside what was counted while it happened: that is more where lines are gone.
    pub fn step(&self, others: &BTreeSet<Arc<str>>, counted_then: &BreachStep) -> BreachStep {
        let mut names: Vec<Arc<str>> = others.iter().cloned().collect();
        names.extend(counted_then.other_subjects.iter().cloned());
        names.sort();
        names.dedup();
        let count = (names.len() as u64).max(counted_then.other_subjects_count);
        names.truncate(super::correlate::OTHERS_NAMED_MAX);
        let mut step = self.breach.step(names, count);
        step.objects = self.listed();
        step.objects_count = self.objects_count as u64;
        step.tokens = self
            .tokens
            .iter()
            .take(TOKENS_LISTED_MAX)
            .copied()
            .collect();
        step.tokens_count = self.tokens.len() as u64;
        step.request_ids.clone_from(&self.request_ids);
        let sources = self.sources.iter();
        step.sources = sources
            .map(|(name, count)| (name.clone(), *count))
            .collect();
        if step.requests < counted_then.requests {
            let found = counted(step.requests, "request");
            let reason = format!(
                "of {} only {found} could be read again: paths and objects are of these",
                counted(counted_then.requests, "request")
            );
            step.status = also_missing(&step.status, &reason);
            step.requests = counted_then.requests;
            step.writes = step.writes.max(counted_then.writes);
            step.bytes = step.bytes.max(counted_then.bytes);
            step.denied = step.denied.max(counted_then.denied);
        }
        step
    }

    fn listed(&self) -> Vec<Objects> {
        let mut lists: Vec<_> = self.objects.iter().collect();
        lists.sort_by(|(a_path, a), (b_path, b)| {
            b.len().cmp(&a.len()).then_with(|| a_path.cmp(b_path))
        });
        let list = |(path, ids): (&String, &BTreeSet<String>)| Objects {
            path: path.clone(),
            ids: {
                let open = |id: &&String| !id.split('/').any(may_be_secret);
                ids.iter().filter(open).take(LISTED_MAX).cloned().collect()
            },
            count: ids.len() as u64,
        };
        lists.into_iter().take(LISTS_MAX).map(list).collect()
    }
}

fn also_missing(status: &Coverage, reason: &str) -> Coverage {
    let before = match status {
        Coverage::Complete => None,
        Coverage::Partial { reason } => Some(reason.as_str()),
    };
    Coverage::without(before.into_iter().chain([reason]))
}

/// What was found when the logs were read again, and what was counted since.
pub fn brought_up(read: &BreachStep, counted_then: &BreachStep, now: &BreachStep) -> BreachStep {
    let since = |count: fn(&BreachStep) -> u64| count(now).saturating_sub(count(counted_then));
    let mut step = read.clone();
    step.requests += since(|step| step.requests);
    step.writes += since(|step| step.writes);
    step.bytes += since(|step| step.bytes);
    step.denied += since(|step| step.denied);
    let then: BTreeMap<&str, u64> = counted_then
        .paths
        .iter()
        .map(|(path, count)| (path.as_str(), *count))
        .collect();
    for (path, count) in &now.paths {
        let more = count.saturating_sub(then.get(path.as_str()).copied().unwrap_or_default());
        match step.paths.iter_mut().find(|(known, _)| known == path) {
            Some((_, count)) => *count += more,
            None if more > 0 => step.paths.push((path.clone(), more)),
            None => {}
        }
    }
    step.paths
        .sort_by(|(a_path, a), (b_path, b)| b.cmp(a).then_with(|| a_path.cmp(b_path)));
    let others = now.other_subjects.iter();
    let others: BTreeSet<_> = others.chain(&read.other_subjects).cloned().collect();
    step.other_subjects_count = step
        .other_subjects_count
        .max(now.other_subjects_count)
        .max(others.len() as u64);
    step.other_subjects = others
        .into_iter()
        .take(super::correlate::OTHERS_NAMED_MAX)
        .collect();
    step
}
