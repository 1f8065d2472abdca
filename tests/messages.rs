//! What a sink says and a provider would do, word for word, without a peer.
//!
//! In: the incident and the targets of the fixtures. Out: the expected texts beside them.

use crate::support::expect;
use std::fmt::Write as _;
use tokentrip::domain::action::Step;
use tokentrip::domain::finding::Level;
use tokentrip::domain::incident::Incident;
use tokentrip::outbound::{Caller, Endpoint, Secret};
use tokentrip::response::providers::keycloak::{Keycloak, Setup};
use tokentrip::response::providers::{Provider, webhook::Webhook};
use tokentrip::sinks::webhook::{self, Hook};
use tokentrip::sinks::{Event, Sink, file::File};

fn incident() -> Incident {
    serde_json::from_str(include_str!("fixtures/sinks/webhook/incident.json")).unwrap()
}

fn hook() -> Hook {
    let secret = Secret::new(|| Ok("whsec_c2VjcmV0".to_owned()));
    let endpoint = Endpoint::new("https://hooks.example.com/tokentrip").unwrap();
    Hook::new(endpoint, secret, Caller::new().unwrap())
}

/// The calls of every step on every target of the incident.
fn calls(provider: &dyn Provider) -> String {
    let mut text = String::new();
    for target in &incident().steps.revoke.targets {
        for step in [Step::Revoke, Step::Password] {
            let calls = provider.calls(step, target);
            writeln!(text, "{} {target}", step.name()).unwrap();
            for call in calls.unwrap_or_else(|| vec!["nothing".to_owned()]) {
                writeln!(text, "    {call}").unwrap();
            }
        }
    }
    text
}

#[test]
fn a_file_gets_the_incident_as_one_line() {
    let sink = File::new("file".into(), Level::Low, "incidents.ndjson".into());
    let body = sink.body(Event::Opened, &incident());
    expect("sinks/file/opened.ndjson", &body);
    assert!(!body.contains('\n'));
}

#[test]
fn a_webhook_gets_the_incident_as_the_data_of_an_event() {
    let sink = webhook::Webhook::new("webhook".into(), Level::Low, hook());
    let body: serde_json::Value =
        serde_json::from_str(&sink.body(Event::Opened, &incident())).unwrap();
    assert_eq!(body["type"], "incident.opened");
    assert_eq!(body["data"]["id"], "i-0123456789abcdef0123");
}

#[test]
fn a_provider_says_the_calls_it_would_make() {
    expect(
        "providers/webhook/calls.txt",
        &calls(&Webhook::new("webhook".into(), None, hook())),
    );
    let setup = Setup {
        name: "idp".into(),
        base: Endpoint::new("https://idp.example.com").unwrap(),
        realm: "shop".to_owned(),
        issuer: None,
        client_id: "tokentrip".to_owned(),
        client_secret: Secret::new(|| Ok("secret".to_owned())),
    };
    let keycloak = Keycloak::new(setup, Caller::new().unwrap());
    expect("providers/keycloak/calls.txt", &calls(&keycloak));
}
