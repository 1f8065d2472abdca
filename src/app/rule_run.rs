//! Runs the log of a rule's test through the real line.
//!
//! In: a test, its log with tokens minted, the rules. Out: the names of the rules that found something.
//! Does not know: what the test expects.

use crate::context::tables::Tables;
use crate::domain::finding::Finding;
use crate::domain::ids::IdKey;
use crate::domain::incident::Target;
use crate::domain::line::{Chunk, Source};
use crate::domain::time::Time;
use crate::engine::paths::Paths;
use crate::engine::prepare::{Front, Reading};
use crate::engine::{Engine, Input, Observation, Settings};
use crate::formats::client_address::TrustedProxies;
use crate::formats::{self, FieldMap};
use crate::rules::{RuleSet, RuleTest, test_log};
use crate::sessions::Limits;
use crate::tokens::keys::KeySet;
use crate::tokens::verify::Issuers;
use std::sync::Arc;

/// Judges a test's log by `rules`.
///
/// # Errors
/// When the log is in no format that is known, or a line of it gives no event.
pub(super) fn run(test: &RuleTest, log: &str, rules: &RuleSet) -> Result<Vec<String>, String> {
    let findings = findings(test, log, rules)?;
    Ok(findings
        .iter()
        .map(|finding| finding.rule.to_string())
        .collect())
}

fn findings(test: &RuleTest, log: &str, rules: &RuleSet) -> Result<Vec<Finding>, String> {
    let lines: Vec<&str> = log.lines().collect();
    let parser = formats::detect(&lines, &FieldMap::default())
        .map_err(|e| e.to_string())?
        .parser;
    let reading = Reading {
        parser,
        trusted: TrustedProxies::default(),
    };
    let key = IdKey::public([0; 32]);
    let front = Front {
        key: key.clone(),
        paths: Paths::new(Vec::new(), Vec::new()),
    };
    let settings = Settings {
        key,
        limits: Limits {
            tokens: 1000,
            sessions: 1000,
            subjects: 1000,
            sources: 1000,
            claimed: 1000,
        },
        protects: false,
        sightings: false,
        fast_path: true,
    };
    let issuers = Arc::new(issuers(test)?);
    let mut engine = Engine::new(
        settings,
        Arc::new(rules.clone()),
        issuers,
        Tables::embedded(),
    );
    let chunk = Chunk::split(Source("test".into()), log.as_bytes().to_vec(), 0, 1);
    let prepared = front.chunk(&reading, chunk);
    let mut seen = Observation::default();
    for (index, line) in prepared.borrow_dependent().iter().enumerate() {
        let line = line
            .as_ref()
            .map_err(|skip| format!("line {}: {}", index + 1, skip.name()))?;
        if index == 0 {
            revoke(&mut engine, test, line.event.time, &mut seen);
        }
        engine.observe(Input::Line(line), &mut seen);
    }
    Ok(seen.findings)
}

/// What the test says was revoked, was so an hour before its first line.
fn revoke(engine: &mut Engine, test: &RuleTest, first: Time, seen: &mut Observation) {
    for sid in &test.revoked {
        let target = Target::Sid {
            iss: test_log::ISSUER.into(),
            sid: sid.as_str().into(),
        };
        engine.observe(
            Input::Revoked {
                target,
                time: first.plus_ms(-3_600_000),
            },
            seen,
        );
    }
}

fn issuers(test: &RuleTest) -> Result<Issuers, String> {
    let mut issuers = Issuers::default();
    if let Some(keys) = test_log::key_set(test.keys) {
        issuers
            .configure(test_log::ISSUER, &[])
            .map_err(|error| error.to_string())?;
        issuers.expect_audiences(test_log::ISSUER, &["api".to_owned()]);
        issuers.plant_honeytokens(test_log::ISSUER, &["planted-5e8d1f".to_owned()]);
        let set = KeySet::parse(keys.as_bytes()).map_err(|error| error.to_string())?;
        issuers.learn(test_log::ISSUER, set, Time::LATEST);
    }
    Ok(issuers)
}

#[cfg(test)]
mod tests {
    use super::super::rules;
    use super::*;
    use crate::detectors;
    use std::fs;
    use std::path::Path;

    /// The rules all of whose facts some detector measures: who takes a detector away leaves rules that say nothing.
    fn measured(set: &RuleSet) -> Vec<String> {
        let measured = detectors::measured();
        let rules = set.rules().iter();
        let rules = rules.filter(|rule| rule.facts().union(measured) == measured);
        rules.map(|rule| rule.name.to_string()).collect()
    }

    #[test]
    fn every_shipped_rule_speaks_where_its_tests_say_and_is_quiet_beside() {
        let shipped = RuleSet::embedded().unwrap();
        let mut told = Vec::new();
        let passed = rules::test(&shipped, &measured(&shipped), &run, &mut told).unwrap();
        assert!(passed, "{}", String::from_utf8_lossy(&told));
    }

    /// After a rule that is left out, the tests of so many are run: each rule's are run without as many others.
    const TESTED_WITHOUT: usize = 4;

    #[test]
    fn every_rule_can_be_left_out_and_the_rest_stands() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules");
        let mut files: Vec<(String, String)> = fs::read_dir(folder)
            .unwrap()
            .map(|file| file.unwrap().path())
            .filter(|path| path.extension().is_some_and(|ext| ext == "yml"))
            .map(|path| {
                let text = fs::read_to_string(&path).unwrap();
                (path.file_stem().unwrap().to_string_lossy().into(), text)
            })
            .collect();
        files.sort();
        for _ in 0..files.len() {
            let (left_out, text) = files.remove(0);
            let rest = RuleSet::load(&files);
            let rest = rest.unwrap_or_else(|faults| panic!("without {left_out}: {}", faults[0]));
            let measured = measured(&rest);
            let names = files.iter().map(|(name, _)| name.clone());
            let next = names.filter(|name| measured.contains(name));
            let next: Vec<String> = next.take(TESTED_WITHOUT).collect();
            let mut told = Vec::new();
            let passed = rules::test(&rest, &next, &run, &mut told).unwrap();
            let told = String::from_utf8_lossy(&told);
            assert!(passed, "without {left_out}: {told}");
            files.push((left_out, text));
        }
    }

    #[test]
    fn correlations_and_filters_speak_where_their_tests_say_and_are_quiet_beside() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/rules/combined");
        for file in fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            let text = fs::read_to_string(&path).unwrap();
            let set = RuleSet::load(&[(path.display().to_string(), text)]);
            let set = set.unwrap_or_else(|faults| panic!("{}", faults[0]));
            let mut told = Vec::new();
            let passed = rules::test(&set, &[], &run, &mut told).unwrap();
            let told = String::from_utf8_lossy(&told);
            assert!(passed && !told.starts_with("0 tests"), "{told}");
        }
    }
}
