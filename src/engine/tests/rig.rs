//! An engine with what its tests put in and look at.

use super::super::ahead::Ahead;
use super::super::paths::Paths;
use super::super::prepare::{Front, Reading};
use super::*;
use crate::domain::line::{Chunk, Source};
use crate::formats::Parser;
use crate::formats::client_address::TrustedProxies;
use crate::tokens::keys::KeySet;

pub(in crate::engine) const ISSUER: &str = "https://idp.example.com/";
pub(in crate::engine) const BROWSER: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) \
                       Chrome/126.0.0.0 Safari/537.36";
pub(in crate::engine) const TOOL: &str = "python-requests/2.31.0";
pub(in crate::engine) const LISBON: &str = "192.0.2.7";
pub(in crate::engine) const TOKYO: &str = "198.51.100.9";
pub(in crate::engine) const T0: i64 = 1_777_888_800;

/// Ends a test that rests on facts which no detector measures, or on rules that are not shipped: who takes one of them
/// away takes its tests, too.
macro_rules! rests_on {
    (@stands $fact:ident) => {
        $crate::detectors::measured().contains($crate::domain::facts::Fact::$fact)
    };
    (@stands $rule:literal) => {
        $crate::engine::tests::is_shipped($rule)
    };
    ($($what:tt),+) => {
        if !($(rests_on!(@stands $what))&&+) {
            return;
        }
    };
}
pub(in crate::engine) use rests_on;

/// True when this rule is shipped and all that it looks at is measured. A name that the table of rules does not have is
/// a slip.
pub(in crate::engine) fn is_shipped(name: &str) -> bool {
    let table = include_str!("../../../rules/README.md");
    assert!(table.contains(&format!("\n| {name} ")), "no rule `{name}`");
    let measured = detectors::measured();
    let rules = RuleSet::embedded().unwrap();
    let mut named = rules.rules().iter().filter(|rule| &*rule.name == name);
    named.any(|rule| rule.facts().union(measured) == measured)
}

/// A day, in seconds.
pub(in crate::engine) const DAY_S: i64 = 86_400;

pub(in crate::engine) struct Kit {
    pub(in crate::engine) engine: Engine,
    pub(in crate::engine) front: Front,
    pub(in crate::engine) seen: Observation,
    pub(in crate::engine) offset_bytes: u64,
    pub(in crate::engine) ahead: Option<Ahead>,
    /// Lines whose token somebody had looked at ahead.
    pub(in crate::engine) foretold: usize,
}

pub(in crate::engine) fn key() -> IdKey {
    IdKey::public([7; 32])
}

pub(in crate::engine) fn kit_with(issuers: Issuers, sightings: bool) -> Kit {
    let settings = Settings {
        sightings,
        ..settings()
    };
    kit_of(settings, issuers)
}

pub(in crate::engine) fn settings() -> Settings {
    let limits = Limits {
        tokens: 200,
        sessions: 200,
        subjects: 200,
        sources: 200,
        claimed: 50,
    };
    Settings {
        key: key(),
        limits,
        protects: false,
        sightings: false,
        fast_path: true,
    }
}

pub(in crate::engine) fn kit_of(settings: Settings, issuers: Issuers) -> Kit {
    let rules = Arc::new(RuleSet::embedded().unwrap());
    Kit {
        engine: Engine::new(settings, rules, Arc::new(issuers), Tables::embedded()),
        front: Front {
            key: key(),
            paths: Paths::new(Vec::new(), Vec::new()),
        },
        seen: Observation::default(),
        offset_bytes: 0,
        ahead: None,
        foretold: 0,
    }
}

pub(in crate::engine) fn kit() -> Kit {
    kit_with(Issuers::default(), false)
}

/// The published test keys, fetched before anything was signed.
pub(in crate::engine) fn configured() -> Issuers {
    crate::tokens::verify::install_crypto();
    let mut issuers = Issuers::default();
    issuers.configure(ISSUER, &["RS256"]).unwrap();
    issuers
}

pub(in crate::engine) fn public_keys() -> KeySet {
    KeySet::parse(include_bytes!(
        "../../../tests/fixtures/keys/public.jwks.json"
    ))
    .unwrap()
}

pub(in crate::engine) fn claims(sub: &str, sid: &str, jti: &str) -> Value {
    json!({"iss": ISSUER, "sub": sub, "sid": sid, "jti": jti, "iat": T0, "exp": T0 + 3600})
}

/// A token of a session of its own, issued at a time and good for two hours.
pub(in crate::engine) fn token_of(sub: &str, sid: &str, at_s: i64) -> String {
    let mut claims = claims(sub, sid, sid);
    claims["iat"] = (T0 + at_s).into();
    claims["exp"] = (T0 + at_s + 7200).into();
    mint(&claims, "rsa-2048")
}

impl Kit {
    pub(in crate::engine) fn line(
        &mut self,
        at_s: i64,
        from: &str,
        agent: &str,
        token: &str,
        status: u16,
    ) {
        let line = json!({
            "time": (T0 + at_s), "remote_addr": from, "request_method": "GET", "request_uri": "/api/items",
            "status": status, "http_user_agent": agent, "http_authorization": format!("Bearer {token}"),
        });
        self.raw_line("json", &line.to_string());
    }

    /// One line in the format of that name.
    pub(in crate::engine) fn raw_line(&mut self, format: &str, line: &str) {
        self.line_of(Parser::named(format).unwrap(), line);
    }

    pub(in crate::engine) fn line_of(&mut self, parser: Parser, line: &str) {
        let line = line.to_owned();
        let chunk = Chunk::split(
            Source("log".into()),
            line.into_bytes(),
            self.offset_bytes,
            1,
        );
        self.offset_bytes += chunk.byte_len() + 1;
        let reading = Reading {
            parser,
            trusted: TrustedProxies::default(),
        };
        let mut prepared = self.front.chunk(&reading, chunk);
        if let Some(ahead) = &self.ahead {
            ahead.look(&mut prepared);
        }
        let line = prepared.borrow_dependent()[0].as_ref().unwrap();
        self.foretold += usize::from(line.foretold.is_some());
        self.engine.observe(Input::Line(line), &mut self.seen);
    }

    pub(in crate::engine) fn rules(&self) -> Vec<String> {
        self.seen
            .findings
            .iter()
            .map(|finding| finding.rule.to_string())
            .collect()
    }

    pub(in crate::engine) fn found(&self, rule: &str) -> bool {
        self.rules().iter().any(|found| found == rule)
    }

    pub(in crate::engine) fn subjects(&self) -> Vec<String> {
        let incidents = self.engine.incidents();
        incidents
            .iter()
            .filter_map(|incident| Some(incident.subject.as_deref()?.to_owned()))
            .collect()
    }
}
