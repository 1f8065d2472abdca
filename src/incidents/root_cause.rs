//! Step 4: why it could happen, likeliest first.
//!
//! In: the suspect's uses, the facts of findings, rules' hints. Out: [`RootCauseStep`].
//! Does not know: what happened outside the log; every hypothesis says what speaks for it.
//! Source: RFC 6750 (bearer tokens in URLs), RFC 8725 (JWT best practice), RFC 9700 (OAuth 2.0
//! security), RFC 9449 (DPoP), RFC 8705 (mutual TLS); the three kinds of cause are those of a token
//! theft guide by LoginRadius.

use super::sides::{client_words, place_words};
use super::text::{counted, duration, shown, shown_arc};
use super::{CauseHint, RuleHints};
use crate::domain::context::{ClientKind, Context, NetworkKind};
use crate::domain::facts::{Fact, FactSet};
use crate::domain::finding::Finding;
use crate::domain::incident::{Cause, Hypothesis, RootCauseStep};
use crate::domain::token::{CredentialPlace, Form, Verdict};
use crate::domain::usage::TokenUse;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// More causes than this are no ranking.
const SHOWN_MAX: usize = 5;
/// Rules whose hints are kept.
const HINTS_MAX: usize = 8;
/// Bearer tokens should live one hour or less: RFC 6750, section 5.3.
const LIFETIME_S_MAX: i64 = 3600;
/// A thief who uses a token this soon after it was issued was there when it was: a phishing proxy
/// or malware.
const FRESH_S_MAX: f64 = 600.0;

/// What was seen that speaks for one cause or another.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Causes {
    facts: FactSet,
    hints: BTreeMap<Arc<str>, Hint>,
    verdict: Option<Verdict>,
    alg_none: bool,
    in_url: bool,
    raw_in_log: bool,
    never_expires: bool,
    lifetime_s: Option<i64>,
    fresh_s: Option<f64>,
}

/// A rule's hint, kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Hint {
    cause: Cause,
    hint: String,
    evidence: String,
    fix: String,
}

/// What the case is about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scene<'a> {
    /// The rightful holder's context, when it is known.
    pub(super) victim: Option<&'a Context>,
    /// The suspect's.
    pub(super) suspect: Option<&'a Context>,
    /// A forged token was let in.
    pub(super) accepted_forgery: bool,
    /// Nobody's account: refused tokens, or a gateway's fault.
    pub(super) without_subject: bool,
    /// Accounts that share the suspect.
    pub(super) accounts: u64,
}

/// What was measured: rules say why it matters behind a colon, and here stands what to do about it.
fn measured(says: &str) -> &str {
    says.split_once(": ").map_or(says, |(measured, _)| measured)
}

impl Causes {
    /// Looks at a use by the suspect.
    pub(super) fn look(&mut self, usage: &TokenUse<'_>) {
        let token = usage.token;
        self.in_url |= matches!(usage.place, CredentialPlace::Query | CredentialPlace::Path);
        self.raw_in_log |= token.form == Form::Raw && !token.header.alg_none;
        self.never_expires |= token.expires_s.is_none() && token.issued_s.is_some();
        self.alg_none |= token.header.alg_none;
        if usage.verdict.forged() {
            self.verdict = Some(usage.verdict);
        }
        let Some(issued_s) = token.issued_s else {
            return;
        };
        let lifetime_s = token
            .expires_s
            .map(|expires_s| expires_s.saturating_sub(issued_s));
        self.lifetime_s = self.lifetime_s.max(lifetime_s);
        let age_s = (usage.event.time.as_s() as f64) - issued_s as f64;
        if age_s >= 0.0 {
            self.fresh_s = Some(self.fresh_s.map_or(age_s, |known| known.min(age_s)));
        }
    }

    /// True when a token's header alone gave it away.
    pub(super) fn is_made_up(&self) -> bool {
        self.alg_none || self.facts.contains(Fact::ProofHeaderInjection)
    }

    /// True when the token was planted for thieves.
    pub(super) fn is_planted(&self) -> bool {
        self.facts.contains(Fact::ProofHoneytoken)
    }

    /// Listens to a finding and its rule's author.
    pub(super) fn hear(&mut self, finding: &Finding, hints: &RuleHints<'_>) {
        let named = |fact: &&Fact| finding.facts.contains_key(fact.name());
        Fact::ALL
            .iter()
            .filter(named)
            .for_each(|fact| self.facts.insert(*fact));
        let Some(CauseHint { cause, hint, fix }) = hints.cause else {
            return;
        };
        if self.hints.len() < HINTS_MAX && !self.hints.contains_key(&finding.rule) {
            let hint = Hint {
                cause,
                hint: shown(hint),
                evidence: shown(measured(&finding.says)),
                fix: shown(fix),
            };
            self.hints.insert(shown_arc(&finding.rule), hint);
        }
    }

    /// Takes in another case's.
    pub(super) fn merge(&mut self, other: &Self) {
        self.facts = self.facts.union(other.facts);
        self.in_url |= other.in_url;
        self.raw_in_log |= other.raw_in_log;
        self.never_expires |= other.never_expires;
        self.lifetime_s = self.lifetime_s.max(other.lifetime_s);
    }

    /// The step.
    pub(super) fn step(&self, scene: &Scene<'_>) -> RootCauseStep {
        let mut ranked = if scene.accepted_forgery {
            vec![self.broken_verification()]
        } else {
            self.faults().into_iter().chain(self.leaks()).collect()
        };
        ranked.extend(self.hinted());
        if !scene.accepted_forgery && !scene.without_subject {
            ranked.extend(shared(scene));
            ranked.extend(self.on_the_way(scene));
            ranked.extend(self.lifetime());
            ranked.push(bearer());
        }
        ranked.sort_by_key(|(weight, _)| std::cmp::Reverse(*weight));
        let mut hypotheses: Vec<Hypothesis> = Vec::new();
        for (_, hypothesis) in ranked {
            if hypotheses.iter().all(|known| known.hint != hypothesis.hint) {
                hypotheses.push(hypothesis);
            }
        }
        hypotheses.truncate(SHOWN_MAX);
        RootCauseStep { hypotheses }
    }

    fn broken_verification(&self) -> Ranked {
        let (evidence, fix) = if self.alg_none {
            (
                "a token with alg none was answered as a valid one",
                "allow only the issuer's algorithms at the gateway and in every service (RFC \
                 8725, section 3.1)",
            )
        } else if self.verdict == Some(Verdict::KeyConfusion) {
            (
                "a token signed with HS* was accepted though the issuer signs with a key pair",
                "fix the algorithm to each key: a public key must never serve as an HMAC secret \
                 (RFC 8725, section 3.1)",
            )
        } else if self.facts.contains(Fact::ProofHeaderInjection) {
            (
                "the token's header names a key of its own making and was accepted",
                "take keys only from the issuer's key set; check kid against it, ignore jwk, jku \
                 and x5u (RFC 8725, section 3.10)",
            )
        } else {
            (
                "a token whose signature is not the issuer's was answered as a valid one",
                "verify signature, issuer and audience on every path behind the gateway; if the \
                 key leaked, rotate it",
            )
        };
        inadequate(
            100,
            "the gateway or a service behind it does not verify tokens, or a signing key leaked",
            evidence,
            fix,
        )
    }

    fn faults(&self) -> Vec<Ranked> {
        let mut found = Vec::new();
        if self.facts.contains(Fact::FaultExpiredAccepted) {
            found.push(inadequate(
                85,
                "the gateway accepts expired tokens",
                "an expired token was answered as a valid one",
                "check exp at the gateway with at most 60 s of leeway, \
                 and the clocks of gateway and issuer",
            ));
        }
        let after_logout = self.facts.contains(Fact::ProofAfterLogout)
            || self.facts.contains(Fact::FaultAfterLogout)
            || self.facts.contains(Fact::FaultAfterRevocation);
        if after_logout {
            found.push(inadequate(
                85,
                "logout and revocation do not reach the gateway",
                "the token was accepted after its session had ended",
                "ask a denylist at the gateway for each request, and keep access tokens to 5 to \
                 15 minutes",
            ));
        }
        found
    }

    fn leaks(&self) -> Vec<Ranked> {
        let mut found = Vec::new();
        let facts = [Fact::LeakUrl, Fact::LeakReferer, Fact::LeakUsedAfter];
        if self.in_url || facts.iter().any(|fact| self.facts.contains(*fact)) {
            found.push(inadequate(
                100,
                "the token travelled in a URL",
                "it stood in a path, query or Referer, which browsers, proxies and logs keep",
                "send tokens only in the Authorization header or a __Host- cookie \
                 (RFC 6750, section 5.3); set Referrer-Policy: no-referrer",
            ));
        }
        if self.raw_in_log || self.facts.contains(Fact::LeakRawInLog) {
            found.push(inadequate(
                40,
                "whoever reads the access log can use the tokens in it",
                "the log holds whole tokens",
                "log claims or a hash of the token, or cut its signature; restrict who reads logs \
                 and their backups",
            ));
        }
        found
    }

    fn hinted(&self) -> impl Iterator<Item = Ranked> + '_ {
        self.hints.values().map(
            |Hint {
                 cause,
                 hint,
                 evidence,
                 fix,
             }| { (75, hypothesis(*cause, hint, evidence, fix)) },
        )
    }

    /// How the token may have been taken on its way or from its device, told from the two sides.
    fn on_the_way(&self, scene: &Scene<'_>) -> Vec<Ranked> {
        let Some(suspect) = scene.suspect else {
            return Vec::new();
        };
        let hosting = matches!(
            suspect.network_kind(),
            NetworkKind::Hosting | NetworkKind::Vpn
        );
        let fresh_s = self.fresh_s.filter(|age_s| *age_s <= FRESH_S_MAX);
        let mut found = Vec::new();
        if hosting && (scene.victim.is_none() || fresh_s.is_some()) {
            let evidence = match fresh_s {
                Some(age_s) => format!(
                    "it was used from {} {} after it was issued",
                    place_words(suspect),
                    duration(age_s)
                ),
                None => format!("the session is used from {}", place_words(suspect)),
            };
            let hint = "the sign-in went through a phishing proxy";
            let fix = "require phishing-resistant sign-in (passkeys, WebAuthn); ask what link was \
                       opened before";
            found.push((80, hypothesis(Cause::HumanError, hint, &evidence, fix)));
        }
        let programs = scene
            .victim
            .and_then(|victim| victim.client.as_ref())
            .zip(suspect.client.as_ref());
        match programs {
            Some((here, there)) if here.same_program(there) => found.push((
                70,
                hypothesis(
                    Cause::PoorDeviceSecurity,
                    "the token was copied from the device together with its browser string",
                    &format!("another network, but the same {}", client_words(there)),
                    "check the device for malware and browser extensions; bind sessions to the \
                     device (DPoP, RFC 9449)",
                ),
            )),
            Some((_, there)) if there.kind == ClientKind::Tool => found.push((
                60,
                hypothesis(
                    Cause::HumanError,
                    "the token was pasted into a tool, a ticket or a chat",
                    &format!(
                        "it was issued to a browser or an app and came from {}",
                        client_words(there)
                    ),
                    "give people API keys of their own for scripts; teach that a token is a \
                     password",
                ),
            )),
            _ => {}
        }
        found
    }

    fn lifetime(&self) -> Option<Ranked> {
        let hint = "the token lives too long";
        let fix = "issue access tokens for 5 to 15 minutes and rotate refresh tokens (RFC 9700, \
                   section 4.14)";
        if self.never_expires {
            return Some(inadequate(
                65,
                hint,
                "it has no exp: it is valid until the key changes",
                fix,
            ));
        }
        let lifetime_s = self
            .lifetime_s
            .filter(|lifetime_s| *lifetime_s > LIFETIME_S_MAX)?;
        let evidence = format!("it is valid for {}", duration(lifetime_s as f64));
        Some(inadequate(50, hint, &evidence, fix))
    }
}

/// A hypothesis with its weight: how often the evidence, when it is there, names the cause.
/// Judgement.
type Ranked = (u32, Hypothesis);

fn shared(scene: &Scene<'_>) -> Option<Ranked> {
    (scene.accounts >= 3).then(|| {
        inadequate(
            95,
            "tokens of many accounts lay in one place: a log, a cache, a proxy, an application's \
             store",
            &format!("{} share one suspect", counted(scene.accounts, "account")),
            "find what all of them passed through; rotate the signing key if tokens may have been \
             made there",
        )
    })
}

fn bearer() -> Ranked {
    inadequate(
        10,
        "a bearer token works for whoever holds it",
        "it was accepted from the suspect without proof of possession",
        "bind tokens to a key of the client: DPoP (RFC 9449) or mutual TLS (RFC 8705)",
    )
}

fn inadequate(weight: u32, hint: &str, evidence: &str, fix: &str) -> Ranked {
    (
        weight,
        hypothesis(Cause::InadequateMeasures, hint, evidence, fix),
    )
}

fn hypothesis(cause: Cause, hint: &str, evidence: &str, fix: &str) -> Hypothesis {
    Hypothesis {
        cause,
        hint: hint.to_owned(),
        evidence: evidence.to_owned(),
        fix: fix.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{LISBON, TOKYO, Use, context, token};
    use super::*;
    use crate::domain::token::Token;

    const THEFT: Scene<'_> = Scene {
        victim: None,
        suspect: None,
        accepted_forgery: false,
        without_subject: false,
        accounts: 1,
    };

    fn causes(token: &Token, place: CredentialPlace) -> Causes {
        let (made, context) = (Use::at(5000, "/api", 200), Arc::new(context(TOKYO)));
        let mut causes = Causes::default();
        causes.look(&TokenUse {
            place,
            ..made.of(token, &context)
        });
        causes
    }

    fn first(causes: &Causes, scene: &Scene<'_>) -> Hypothesis {
        causes.step(scene).hypotheses.remove(0)
    }

    #[test]
    fn a_token_in_a_url_is_the_likeliest_cause() {
        let causes = causes(&token("alice", 1), CredentialPlace::Query);
        assert_eq!(first(&causes, &THEFT).hint, "the token travelled in a URL");
    }

    #[test]
    fn the_same_browser_elsewhere_points_to_the_device() {
        let (home, mut away) = (context(LISBON), context(TOKYO));
        away.agent.clone_from(&home.agent);
        let scene = Scene {
            victim: Some(&home),
            suspect: Some(&away),
            ..THEFT
        };
        let found = first(&causes(&token("alice", 1), CredentialPlace::Header), &scene);
        assert_eq!(found.cause, Cause::PoorDeviceSecurity);
        assert_eq!(
            found.evidence,
            "another network, but the same Safari 17 on Mac OS X"
        );
    }

    #[test]
    fn a_fresh_token_at_a_server_points_to_a_phishing_proxy() {
        let (home, away) = (context(LISBON), context(TOKYO));
        let fresh = Token {
            issued_s: Some(4700),
            ..token("alice", 1)
        };
        let scene = Scene {
            victim: Some(&home),
            suspect: Some(&away),
            ..THEFT
        };
        let found = first(&causes(&fresh, CredentialPlace::Header), &scene);
        assert_eq!(found.cause, Cause::HumanError);
        assert_eq!(
            found.evidence,
            "it was used from Tokyo, JP (hosting) 5 minutes after it was issued"
        );
    }

    #[test]
    fn an_accepted_forgery_speaks_of_the_gateway_and_not_of_the_person() {
        let mut forged = token("alice", 1);
        forged.header.alg_none = true;
        let scene = Scene {
            accepted_forgery: true,
            ..THEFT
        };
        let step = causes(&forged, CredentialPlace::Header).step(&scene);
        assert_eq!(step.hypotheses.len(), 1);
        assert!(step.hypotheses[0].fix.contains("RFC 8725"));
    }

    #[test]
    fn the_last_word_is_always_to_bind_the_token() {
        let eternal = Token {
            expires_s: None,
            ..token("alice", 1)
        };
        let step = causes(&eternal, CredentialPlace::Header).step(&THEFT);
        let hints: Vec<_> = step.hypotheses.iter().map(|h| h.hint.as_str()).collect();
        assert_eq!(hints.first(), Some(&"the token lives too long"));
        assert_eq!(
            hints.last(),
            Some(&"a bearer token works for whoever holds it")
        );
    }
}
