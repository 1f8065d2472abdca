//! What a sink says and a provider would do, word for word, without a peer.
//!
//! In: `fixtures/sinks/<kind>/sink.toml` and `fixtures/providers/<kind>/provider.toml`, the incident of the fixtures, and
//! one whose every text is hostile. Out: the expected texts beside them.

use crate::support::expect;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokentrip::config::Config;
use tokentrip::domain::action::Step;
use tokentrip::domain::ids::TokenId;
use tokentrip::domain::incident::{Incident, Target};
use tokentrip::outbound::Caller;
use tokentrip::response::case::{CaseFile, NoCase};
use tokentrip::response::providers::{self, Provider, Setting};
use tokentrip::sinks::{self, Event, Receiver};

/// Ends a field, a line, a quote, a tag and a mail header, names a token, and turns the text round.
const HOSTILE: &str = "a|b=c\\d\"e'f<script>alert(1)</script>&<!channel>[x](http://x)\r\nBcc: x@example.com\u{202e}\
                       ${jndi:ldap://x} eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGljZSJ9.c2ln";

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn incident() -> Incident {
    serde_json::from_str(include_str!("fixtures/sinks/webhook/incident.json")).unwrap()
}

/// The incident, everything in it that comes from a log or a token replaced.
fn hostile() -> Incident {
    let mut incident = incident();
    incident.title = HOSTILE.to_owned();
    incident.subject = Some(HOSTILE.into());
    incident.issuer = Some(HOSTILE.into());
    incident.suspect.clients = vec![HOSTILE.to_owned()];
    incident.suspect.networks = vec![HOSTILE.to_owned()];
    incident.steps.breach.paths = vec![(HOSTILE.to_owned(), 1)];
    incident.next = HOSTILE.to_owned();
    incident
}

fn config(file: &str) -> Config {
    let file = fixtures().join(file);
    let text = fs::read_to_string(&file).unwrap();
    let config = Config::of_text(&text, Some(&file), &Default::default());
    config.unwrap_or_else(|error| panic!("{error}"))
}

fn sink(kind: &str) -> Receiver {
    let config = config(&format!("sinks/{kind}/sink.toml"));
    let [sink] = &config.sinks[..] else {
        panic!("{kind}: one sink");
    };
    assert_eq!(sink.kind, kind);
    let caller = Caller::new().unwrap();
    Receiver::new(&sink.name, sink.level_min, kind, &sink.options, &caller).unwrap()
}

fn provider(kind: &str) -> Arc<dyn Provider> {
    let config = config(&format!("providers/{kind}/provider.toml"));
    let [provider] = &config.providers[..] else {
        panic!("{kind}: one provider");
    };
    let setting = Setting {
        name: provider.name.as_str().into(),
        issuer: provider.issuer.as_deref().map(Into::into),
        options: &provider.options,
        vendor: provider.vendor.clone(),
        caller: &Caller::new().unwrap(),
        case: &(Arc::new(NoCase) as Arc<dyn CaseFile>),
    };
    providers::new(provider.kind, setting).unwrap()
}

#[test]
fn every_sink_says_an_incident_in_its_own_words() {
    for kind in sinks::ALL {
        let sink = sink(kind.name).sink;
        for (event, incident, file) in [
            (Event::Opened, incident(), "opened"),
            (Event::Resolved, incident(), "resolved"),
            (Event::Opened, hostile(), "hostile"),
        ] {
            let body = sink.body(event, &incident);
            assert!(!body.contains('\n') && !body.contains("eyJ"), "{body}");
            assert_eq!(body, sink.body(event, &incident));
            // The program's version is no part of what is expected.
            let body = body.replace(env!("CARGO_PKG_VERSION"), "VERSION");
            expect(&format!("sinks/{}/{file}.txt", kind.name), &body);
        }
    }
}

#[test]
fn every_dialect_is_one_line_in_which_a_log_can_end_nothing() {
    let caller = Caller::new().unwrap();
    for dialect in ["cef", "ecs", "ocsf", "text"] {
        let text = format!("[[sink]]\nkind = \"file\"\npath = \"x\"\nmessage = \"{dialect}\"");
        let config = Config::of_text(&text, None, &Default::default()).unwrap();
        let made = &config.sinks[0];
        let sink = Receiver::new("x", made.level_min, "file", &made.options, &caller).unwrap();
        for (incident, file) in [(incident(), "opened"), (hostile(), "hostile")] {
            let body = sink.sink.body(Event::Opened, &incident);
            assert!(
                !body.contains(char::is_control) && !body.contains("eyJ"),
                "{body}"
            );
            let body = body.replace(env!("CARGO_PKG_VERSION"), "VERSION");
            expect(&format!("sinks/file/{dialect}-{file}.txt"), &body);
        }
    }
}

#[test]
fn every_provider_says_the_calls_it_would_make() {
    for kind in providers::ALL {
        let provider = provider(kind.name);
        let mut text = String::new();
        let mut targets = incident().steps.revoke.targets;
        targets.push(Target::Token {
            iss: incident().issuer,
            token: TokenId::new(7),
            expires_s: None,
        });
        targets.extend(
            incident()
                .suspect
                .ips
                .into_iter()
                .map(|ip| Target::Address { ip }),
        );
        let steps = [
            Step::Revoke,
            Step::Password,
            Step::Ask,
            Step::Block,
            Step::Risk,
            Step::Mfa,
            Step::Undo,
        ];
        for (target, step) in targets
            .iter()
            .flat_map(|target| steps.map(|step| (target, step)))
        {
            let Some(calls) = provider.calls(step, target) else {
                continue;
            };
            writeln!(text, "{} {target}", step.name()).unwrap();
            calls
                .iter()
                .for_each(|call| writeln!(text, "    {call}").unwrap());
        }
        expect(&format!("providers/{}/calls.txt", kind.name), &text);
    }
}
