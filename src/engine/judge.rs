//! From facts to findings: the gate, the rules, the edges, the incidents.
//!
//! In: a use with its facts and its two sides. Out: new findings; cases in the incidents.
//! Does not know: what any rule asks for. One finding stands for a rule, a session and a suspect; later lines raise its
//! count in the incident.

use super::blame::Blame;
use super::prepare::Prepared;
use super::{Engine, Excepted, Observation};
use crate::domain::facts::{Fact, FactKind, Facts};
use crate::domain::finding::{ClientShown, Dimension, Evidence, FactValue, Finding, SourceShown};
use crate::domain::ids::{Digest, FindingId};
use crate::domain::mask::mask;
use crate::domain::token::{Provenance, Verdict};
use crate::domain::usage::{TokenUse, View};
use crate::incidents::{CauseHint, Report, RuleHints};
use crate::rules::{Exception, Parties, Rule};
use crate::sessions::bounded::Bounded;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Edges remembered: a finding whose edge was forgotten would be raised again, under another id.
const EDGES_MAX: usize = 500_000;

/// Whoever knows what a server is looks into a week's findings within that week.
const WEEK_S: i64 = 7 * 86_400;

/// The edges from a rule and a session to a suspect that have a finding.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Edges(Bounded<Digest, u64>);

impl Default for Edges {
    fn default() -> Self {
        Self(Bounded::new(EDGES_MAX))
    }
}

impl Edges {
    /// True the first time an edge is seen; later times are counted.
    fn opens(&mut self, edge: Digest) -> bool {
        let count = self.0.get_or_insert_with(edge, || 0);
        *count += 1;
        *count == 1
    }
}

impl Engine {
    /// Judges one use. True when the suspect belongs to an incident now.
    pub(super) fn judge(
        &mut self,
        prepared: &Prepared<'_>,
        usage: &TokenUse<'_>,
        facts: &Facts,
        blame: &Blame,
        out: &mut Observation,
    ) -> bool {
        let rules = Arc::clone(&self.rules);
        let text_hit = rules.gate().text_hit(&prepared.event);
        if !rules.gate().wakes(facts, text_hit) {
            return false;
        }
        let view = View {
            other: blame.other.as_deref(),
            ..view(prepared, Some(usage), facts)
        };
        let mut hits = Vec::new();
        rules.judge(&view, &mut hits);
        let mut shown = false;
        let parties = Parties {
            subject: usage.token.sub.as_deref().filter(|_| blame.names_subject),
            suspect: Some(&blame.suspect),
        };
        for rule in self.correlated(&rules, hits, prepared, &view) {
            // A second hit on the same edge tells the incident nothing that its own counts do not. A correlation speaks
            // once in its time span.
            let edge = self.edge(rule, prepared, usage, facts, blame);
            if let Some(exception) = rules.explained(rule, &view, parties) {
                self.except(rule, exception, edge, out);
                continue;
            }
            if rule.correlation.is_none() && !self.state.edges.opens(edge) {
                continue;
            }
            let finding = self.finding(rule, prepared, usage, &view, blame);
            if finding.shadow {
                out.findings.push(finding);
                continue;
            }
            let told = self.told(usage.token).to_vec();
            let report = Report {
                finding: &finding,
                usage,
                suspect: &blame.suspect,
                victim: blame.victim.as_deref(),
                suspect_since: blame.suspect_since,
                accepted_forgery: blame.accepted_forgery,
                doubtful: blame.doubtful && rests_on_context(rule),
                stats: blame.stats,
                last_legitimate_use: blame.last_legitimate_use,
                sessions_of_subject: blame.sessions_of_subject,
                hints: hints(rule),
                told: &told,
            };
            shown |= self.state.incidents.record(&report).is_some();
            out.findings.push(finding);
        }
        shown
    }

    /// Judges an event that shows no token, by rules that ask for none.
    pub(super) fn judge_bare_event(&mut self, prepared: &Prepared<'_>, out: &mut Observation) {
        let rules = Arc::clone(&self.rules);
        let facts = Facts::default();
        let text_hit = rules.gate().text_hit(&prepared.event);
        if !rules.gate().wakes(&facts, text_hit) {
            return;
        }
        let view = view(prepared, None, &facts);
        let mut hits = Vec::new();
        rules.judge(&view, &mut hits);
        for rule in self.correlated(&rules, hits, prepared, &view) {
            let client = prepared
                .event
                .client
                .map(|client| client.to_string())
                .unwrap_or_default();
            let parts = [rule.name.as_bytes(), b"event", client.as_bytes()];
            let edge = self.settings.key.digest("edge", &parts);
            if let Some(exception) = rules.explained(rule, &view, Parties::default()) {
                self.except(rule, exception, edge, out);
                continue;
            }
            if rule.correlation.is_some() || self.state.edges.opens(edge) {
                out.findings.push(self.bare_finding(rule, prepared, &view));
            }
        }
    }

    /// Counts a finding that an exception explains, once as the finding would be told once.
    fn except(&mut self, rule: &Rule, exception: &Exception, edge: Digest, out: &mut Observation) {
        let parts = [&edge.0.to_le_bytes()[..], exception.name.as_bytes()];
        let key = self.settings.key.digest("excepted", &parts);
        if rule.correlation.is_some() || self.state.edges.opens(key) {
            out.excepted.push(Excepted {
                rule: Arc::clone(&rule.name),
                exception: Arc::clone(&exception.name),
            });
        }
    }

    /// The edge of a rule's hit: whose session and which suspect; for faults, which issuer and host on which day. A
    /// token that stands in a log is the log's fault, whoever issued it: which place in it, on which day. A server that
    /// answers people is one question to whoever runs it, whomever it answers: in which week.
    fn edge(
        &self,
        rule: &Rule,
        prepared: &Prepared<'_>,
        usage: &TokenUse<'_>,
        facts: &Facts,
        blame: &Blame,
    ) -> Digest {
        let key = &self.settings.key;
        let day = usage.event.time.as_s().div_euclid(86_400).to_le_bytes();
        let source = &prepared.line.source.0;
        if rule.dimension == Dimension::Fault && rule.facts().contains(Fact::LeakRawInLog) {
            let (name, place) = (rule.name.as_bytes(), usage.place.name().as_bytes());
            return key.digest("edge", &[name, b"log", source.as_bytes(), place, &day]);
        }
        if rule.dimension == Dimension::Fault {
            let issuer = usage.token.issuer.as_deref().unwrap_or_default();
            let host = usage.event.host.as_deref().unwrap_or_default();
            let parts = [
                rule.name.as_bytes(),
                b"fault",
                issuer.as_bytes(),
                host.as_bytes(),
                source.as_bytes(),
                &day,
            ];
            return key.digest("edge", &parts);
        }
        let suspect = &blame.suspect;
        let network = match &suspect.network {
            Some(network) => network.asn.to_string(),
            None => suspect.prefix().to_string(),
        };
        let client = suspect.client.as_ref();
        let (name, os) = client.map_or(("", ""), |client| (&*client.name, &*client.os));
        let answers = facts.is(Fact::SessionAnswers) && rule.facts().contains(Fact::SessionAnswers);
        // A token that cannot be believed belongs to no session: its edge is its sender's.
        let scope = if answers {
            let week = usage.event.time.as_s().div_euclid(WEEK_S);
            format!("{} in week {week}", suspect.prefix())
        } else if blame.names_subject && !blame.accepted_forgery {
            usage.token.session.to_string()
        } else {
            suspect.prefix().to_string()
        };
        let subject = usage
            .token
            .sub
            .as_deref()
            .filter(|_| blame.accepted_forgery)
            .unwrap_or_default();
        let parts = [
            rule.name.as_bytes(),
            scope.as_bytes(),
            subject.as_bytes(),
            network.as_bytes(),
            name.as_bytes(),
            os.as_bytes(),
        ];
        key.digest("edge", &parts)
    }

    fn finding(
        &self,
        rule: &Rule,
        prepared: &Prepared<'_>,
        usage: &TokenUse<'_>,
        view: &View<'_>,
        blame: &Blame,
    ) -> Finding {
        let token = usage.token;
        let text = |text: &Option<Box<str>>| text.as_deref().map(|text| Arc::from(&*mask(text)));
        let believed = blame.names_subject && !blame.accepted_forgery;
        Finding {
            session: believed.then_some(token.session),
            subject: text(&token.sub).filter(|_| blame.names_subject),
            issuer: text(&token.issuer),
            token: Some(token.id),
            provenance: usage.provenance,
            verdict: usage.verdict,
            source: SourceShown::from(&**usage.context),
            client: usage.context.client.as_deref().map(ClientShown::from),
            ..self.bare_finding(rule, prepared, view)
        }
    }

    fn bare_finding(&self, rule: &Rule, prepared: &Prepared<'_>, view: &View<'_>) -> Finding {
        let (line, event) = (&prepared.line, &prepared.event);
        let token = view
            .usage
            .map(|usage| usage.token.id.to_string())
            .unwrap_or_default();
        let parts = [
            rule.name.as_bytes(),
            token.as_bytes(),
            &event.time.as_ms().to_le_bytes(),
            line.text.as_bytes(),
            &line.offset_bytes.to_le_bytes(),
        ];
        let shown = |(fact, value): (Fact, f64)| {
            let value = match fact.kind() {
                FactKind::Flag => FactValue::Flag(true),
                FactKind::Number | FactKind::Counter => FactValue::Number(value),
            };
            (fact.name().to_owned(), value)
        };
        let named = rule.facts();
        Finding {
            id: FindingId::of(&self.settings.key, &parts),
            rule: Arc::clone(&rule.name),
            title: Arc::clone(&rule.title),
            says: rule.says(view),
            level: rule.level,
            confidence: rule.confidence,
            score: rule.score,
            dimension: rule.dimension,
            time: event.time,
            session: None,
            subject: None,
            issuer: None,
            token: None,
            provenance: Provenance::Claimed,
            verdict: Verdict::NotConfigured,
            source: SourceShown::of_address(event.client),
            client: None,
            facts: view
                .facts
                .iter()
                .filter(|(fact, _)| named.contains(*fact))
                .map(shown)
                .collect(),
            attack: rule.attack.clone(),
            evidence: vec![Evidence {
                file: Arc::clone(&line.source.0),
                line: line.number,
                offset_bytes: line.offset_bytes,
                time: event.time,
            }],
            request_id: event.request_id.as_deref().map(|id| mask(id).into_owned()),
            shadow: rule.is_shadow,
        }
    }
}

fn view<'a>(
    prepared: &'a Prepared<'_>,
    usage: Option<&'a TokenUse<'_>>,
    facts: &'a Facts,
) -> View<'a> {
    View {
        event: &prepared.event,
        usage,
        other: None,
        facts,
        source: prepared.line.source,
        offset_bytes: prepared.line.offset_bytes,
    }
}

/// True for a rule that says no more than that two contexts differ: a person may be in both. Proofs say more, but for
/// those which ask where the second use comes from, and nothing else.
fn rests_on_context(rule: &Rule) -> bool {
    let facts = rule.facts();
    let elsewhere = [Fact::ProofFamilyFork, Fact::LeakUsedAfter];
    rule.dimension != Dimension::Theft || elsewhere.iter().any(|&fact| facts.contains(fact))
}

fn hints(rule: &Rule) -> RuleHints<'_> {
    let cause = rule.step4.as_ref().map(|cause| CauseHint {
        cause: cause.cause,
        hint: &cause.hint,
        fix: &cause.fix,
    });
    RuleHints { cause }
}
