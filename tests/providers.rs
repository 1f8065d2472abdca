//! Every vendor's file against what the vendor documents: each call letter by letter, and each answer to it.
//!
//! In: `fixtures/providers/<kind>/provider.toml` and `cases.toml`. Out: what was called, what came of it.
//! Source: the page that each vendor's file names; none of these vendors can be had here but those of `peers.rs`.

use crate::support::vendor::{Exchange, Reply, Vendor};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokentrip::config::Config;
use tokentrip::domain::action::{Action, Outcome, Standing, Step};
use tokentrip::domain::ids::{IncidentId, TokenId};
use tokentrip::domain::incident::{Incident, Target};
use tokentrip::domain::token::RawToken;
use tokentrip::outbound::Caller;
use tokentrip::response::case::{CaseFile, Gone, Looked};
use tokentrip::response::providers::{self, Make, Provider, Setting};

const ISSUER: &str = "https://idp.example.com/";

/// Longer than a loopback answer takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(10);

/// The same where no answer comes, and that is waited for.
const IMPATIENCE: Duration = Duration::from_secs(3);

/// What the log gives: names that would leave their place if they were not encoded.
const SUB: &str = "auth0|a/../b?c=d&e#f";

/// A case's evidence: the token that stands in the log, or none.
#[derive(Debug)]
pub(crate) struct Evidence(pub(crate) Option<String>);

impl CaseFile for Evidence {
    fn incident(&self, _: IncidentId) -> Looked<'_, Incident> {
        let incident = include_str!("fixtures/sinks/webhook/incident.json");
        Box::pin(async move { Ok(serde_json::from_str(incident).unwrap()) })
    }

    fn token<'a>(&'a self, _: IncidentId, _: &'a Target) -> Looked<'a, RawToken<'static>> {
        let token = self.0.clone().map(|text| RawToken::new(text.into()));
        Box::pin(async move { token.ok_or_else(|| Gone("rotated away".to_owned())) })
    }

    fn offer<'a>(&'a self, _: &'a str, _: String, _: String) -> Looked<'a, ()> {
        Box::pin(async { Err(Gone("nothing is kept here".to_owned())) })
    }
}

/// A vendor's fixture.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fixture {
    /// Which keys are addresses that the stand-in has: name and path.
    #[serde(default)]
    addresses: BTreeMap<String, String>,
    /// What gives a token first, once for all calls.
    login: Option<Exchange>,
    /// Headers of every call that shows a credential.
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// What comes of each answer to the last call of a case.
    answers: BTreeMap<String, String>,
    #[serde(rename = "case")]
    cases: Vec<Case>,
}

/// One step on one kind of target.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    step: String,
    on: String,
    /// What comes of it when all goes well; `done` unless it says so.
    #[serde(default)]
    outcome: Option<String>,
    /// The sessions that a list finds.
    #[serde(default)]
    sessions: Vec<String>,
    /// What comes of answers where that differs from the others of the vendor.
    #[serde(default)]
    answers: BTreeMap<String, String>,
    #[serde(default)]
    call: Vec<Exchange>,
}

fn folder(kind: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/providers")
        .join(kind)
}

pub(crate) fn target(kind: &str) -> Target {
    let iss = || ISSUER.into();
    match kind {
        "jti" => Target::Jti {
            iss: iss(),
            jti: "j-1".into(),
            expires_s: None,
        },
        "sid" => Target::Sid {
            iss: iss(),
            sid: "s/1".into(),
        },
        "token" => Target::Token {
            iss: Some(iss()),
            token: TokenId::new(7),
            expires_s: None,
        },
        "subject" => Target::Subject {
            iss: iss(),
            sub: SUB.into(),
            not_before_s: 1_777_889_520,
        },
        _ => Target::Address {
            ip: "203.0.113.9".parse().unwrap(),
        },
    }
}

fn step(name: &str) -> Step {
    let steps = [
        Step::Revoke,
        Step::Password,
        Step::Ask,
        Step::Block,
        Step::Risk,
        Step::Mfa,
        Step::Undo,
    ];
    steps
        .into_iter()
        .find(|step| step.name() == name)
        .unwrap_or(Step::Verify)
}

pub(crate) fn action(provider: &dyn Provider, step: Step, target: Target) -> Action {
    let incident = IncidentId::new(7);
    Action {
        id: Action::id_of(incident, step, &target, provider.name()),
        incident,
        step,
        idempotent: provider.idempotent(step, &target),
        target,
        provider: provider.name().clone(),
        calls: Vec::new(),
        standing: Standing::Go,
        denied_until: None,
        undoable: false,
        before: Vec::new(),
    }
}

/// The first provider of a configuration.
pub(crate) fn configured(text: &str, file: &Path, case: Evidence) -> Arc<dyn Provider> {
    configured_for(text, file, &(Arc::new(case) as Arc<dyn CaseFile>))
}

/// The same, with another case file.
pub(crate) fn configured_for(
    text: &str,
    file: &Path,
    case: &Arc<dyn CaseFile>,
) -> Arc<dyn Provider> {
    waiting(text, file, case, PATIENCE)
}

fn waiting(
    text: &str,
    file: &Path,
    case: &Arc<dyn CaseFile>,
    patience: Duration,
) -> Arc<dyn Provider> {
    let config = Config::of_text(text, Some(file), &Default::default());
    let config = config.unwrap_or_else(|error| panic!("{error}"));
    let provider = &config.providers[0];
    let setting = Setting {
        name: provider.name.as_str().into(),
        issuer: provider.issuer.as_deref().map(Into::into),
        options: &provider.options,
        vendor: provider.vendor.clone(),
        caller: &Caller::patient_for(patience).unwrap(),
        case,
    };
    providers::new(provider.kind, setting).unwrap()
}

/// The vendor of a fixture before a stand-in.
struct Pair {
    vendor: Vendor,
    provider: Arc<dyn Provider>,
    fixture: Arc<Fixture>,
}

impl Pair {
    fn start(kind: &str, fixture: &Arc<Fixture>, patience: Duration) -> Self {
        let vendor = Vendor::start();
        let file = folder(kind).join("provider.toml");
        let text = fs::read_to_string(&file).unwrap();
        let kept = text.lines().filter(|line| {
            let key = line.split(' ').next().unwrap_or_default();
            !fixture.addresses.contains_key(key)
        });
        let mut text = kept.collect::<Vec<_>>().join("\n");
        for (key, path) in &fixture.addresses {
            text += &format!("\n{key} = \"{}{path}\"", vendor.base);
        }
        let case: Arc<dyn CaseFile> = Arc::new(Evidence(Some("h.p.s".to_owned())));
        let provider = waiting(&text, &file, &case, patience);
        Self {
            vendor,
            provider,
            fixture: fixture.clone(),
        }
    }

    /// The exchange as this stand-in expects and answers it.
    fn here(&self, exchange: &Exchange) -> Box<Exchange> {
        let mut exchange = exchange.clone();
        let (name, encoded) = (
            &self.vendor.base,
            self.vendor.base.replace(':', "%3A").replace('/', "%2F"),
        );
        exchange.body = exchange
            .body
            .replace("{server}", name)
            .replace("{server%}", &encoded);
        Box::new(exchange)
    }

    fn login(&self) -> Option<Reply> {
        let login = self.fixture.login.as_ref();
        login.map(|login| Reply::Answer(self.here(login)))
    }

    #[allow(clippy::vec_box, reason = "exchanges are lent out one by one")]
    fn calls(&self, case: &Case) -> Vec<Box<Exchange>> {
        let calls = case.call.iter().map(|call| {
            let mut call = self.here(call);
            for (name, value) in &self.fixture.headers {
                call.headers
                    .entry(name.clone())
                    .or_insert_with(|| value.clone());
            }
            call
        });
        calls.collect()
    }

    async fn act(&self, case: &Case) -> Outcome {
        let (step, target) = (step(&case.step), target(&case.on));
        let action = action(&*self.provider, step, target);
        self.provider.carry_out(&action).await
    }
}

/// The outcome as a fixture writes it.
fn shown(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Retry {
            after_s: Some(s), ..
        } => format!("retry after {s}"),
        Outcome::Retry { .. } => "retry".to_owned(),
        Outcome::Unsent {
            after_s: Some(s), ..
        } => format!("unsent after {s}"),
        Outcome::Unsent { .. } => "unsent".to_owned(),
        other => other.name().to_owned(),
    }
}

/// Everything that can come instead of the last answer; or nothing comes.
const ANSWERS: [&str; 9] = [
    "401",
    "403",
    "404",
    "409",
    "429",
    "500",
    "503",
    "reset",
    "refreshed",
];

async fn check(kind: &str, fixture: Arc<Fixture>, case: Case, answer: &str) -> Vec<String> {
    let patience = if answer == "timeout" {
        IMPATIENCE
    } else {
        PATIENCE
    };
    let pair = Pair::start(kind, &fixture, patience);
    let mut calls = pair.calls(&case);
    let mut expected = case.outcome.clone().unwrap_or_else(|| "done".to_owned());
    let mut script: Vec<Reply> = pair.login().into_iter().collect();
    let last = calls.pop().expect("a call");
    let shows_token =
        pair.login().is_some() && last.headers.get("authorization").is_none_or(|a| a != "-");
    script.extend(calls.into_iter().map(Reply::Answer));
    let with = |status: u16| {
        let mut call = last.clone();
        (call.answer, call.with) = (status, String::new());
        if status == 429 {
            call.and.insert("retry-after".to_owned(), "7".to_owned());
        }
        Reply::Answer(call)
    };
    match answer {
        "" => script.push(Reply::Answer(last)),
        "refreshed" if !shows_token => return Vec::new(),
        // A token that was refused once is fetched anew.
        "refreshed" => script.extend([with(401), pair.login().unwrap(), Reply::Answer(last)]),
        "401" if shows_token => script.extend([with(401), pair.login().unwrap(), with(401)]),
        "timeout" => script.push(Reply::Silence(last)),
        "reset" => script.push(Reply::Reset(last)),
        status => script.push(with(status.parse().unwrap())),
    }
    if !matches!(answer, "" | "refreshed") {
        let told = case.answers.get(answer).or(fixture.answers.get(answer));
        told.unwrap_or_else(|| panic!("{kind}: no outcome of {answer}"))
            .clone_into(&mut expected);
    }
    pair.vendor.expect(script);
    let outcome = pair.act(&case).await;
    let mut wrong = pair.vendor.wrong();
    if shown(&outcome) != expected {
        wrong.push(format!("{outcome:?} and not {expected}"));
    }
    let text = format!("{outcome:?} {:?}", pair.provider);
    if text.contains("http") || text.contains("s3cret") {
        wrong.push(format!("shows an address or a secret: {text}"));
    }
    wrong
        .iter()
        .map(|wrong| format!("{kind} {} {} {answer}: {wrong}", case.step, case.on))
        .collect()
}

async fn check_list(kind: &str, fixture: Arc<Fixture>, case: Case) -> Vec<String> {
    let pair = Pair::start(kind, &fixture, PATIENCE);
    let script = pair
        .login()
        .into_iter()
        .chain(pair.calls(&case).into_iter().map(Reply::Answer));
    pair.vendor.expect(script.collect::<Vec<_>>());
    let target = target(&case.on);
    let found = pair.provider.sessions(&target).expect("a list").await;
    let mut wrong = pair.vendor.wrong();
    if found.as_ref() != Ok(&case.sessions) {
        wrong.push(format!("{found:?} and not {:?}", case.sessions));
    }
    wrong
        .iter()
        .map(|wrong| format!("{kind} list {}: {wrong}", case.on))
        .collect()
}

fn described() -> impl Iterator<Item = &'static str> {
    let described = providers::ALL
        .iter()
        .filter(|kind| matches!(kind.make, Make::File(_)));
    described.map(|kind| kind.name)
}

fn fixture(kind: &str) -> Fixture {
    let text = fs::read_to_string(folder(kind).join("cases.toml")).unwrap();
    toml::from_str(&text).unwrap_or_else(|error| panic!("{kind}: {error}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_of_every_vendor_is_made_as_documented_and_every_answer_understood() {
    let mut running = tokio::task::JoinSet::new();
    let mut wrong = Vec::new();
    for kind in described() {
        let fixture = Arc::new(fixture(kind));
        for case in fixture.cases.clone() {
            if case.step == "list" {
                running.spawn(check_list(kind, fixture.clone(), case));
                continue;
            }
            running.spawn(check(kind, fixture.clone(), case.clone(), ""));
            for answer in ANSWERS {
                running.spawn(check(kind, fixture.clone(), case.clone(), answer));
            }
        }
        // Few at once: a stand-in that has to wait for a core looks silent.
        while let Some(found) = running.join_next().await {
            wrong.extend(found.unwrap());
        }
    }
    for kind in described() {
        let fixture = Arc::new(fixture(kind));
        let cases = fixture.cases.iter().filter(|case| case.step != "list");
        for case in cases.cloned() {
            running.spawn(check(kind, fixture.clone(), case, "timeout"));
        }
    }
    while let Some(found) = running.join_next().await {
        wrong.extend(found.unwrap());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_call_of_every_file_has_a_case() {
    for kind in described() {
        let vendor = providers::Kind::of_name(kind)
            .unwrap()
            .vendor()
            .unwrap()
            .unwrap();
        let mut able = vendor.abilities();
        let cases = fixture(kind).cases;
        let mut told: Vec<_> = cases
            .iter()
            .map(|case| format!("{} {}", case.step, case.on))
            .collect();
        able.sort();
        told.sort();
        told.dedup();
        assert_eq!(able, told, "{kind}");
        assert!(vendor.page.starts_with("https://"), "{kind}");
    }
}

#[tokio::test]
async fn a_token_that_is_no_longer_in_the_log_cannot_be_revoked() {
    for kind in ["rfc7009", "loginradius"] {
        let file = folder(kind).join("provider.toml");
        let text = fs::read_to_string(&file).unwrap();
        let provider = configured(&text, &file, Evidence(None));
        let action = action(&*provider, Step::Revoke, target("jti"));
        let outcome = provider.carry_out(&action).await;
        let why = "rotated away".to_owned();
        assert_eq!(outcome, Outcome::Impossible { why }, "{kind}");
    }
}

#[test]
fn no_call_of_fusionauth_names_an_application() {
    let text = include_str!("../src/response/providers/fusionauth.toml");
    let calls = text.lines().filter(|line| !line.starts_with('#'));
    assert!(!calls.collect::<String>().contains("applicationId"));
}

/// A file of one's own, with everything in it that a user gets wrong.
#[test]
fn the_mistakes_of_a_file_of_ones_own_are_shown_where_they_are() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("tokentrip.toml");
    fs::write(
        folder.path().join("vendor.toml"),
        r#"title = "Acme"
page = "https://acme.example.com/docs"
[keys]
base_url = { takes = "url", example = "https://acme.example.com" }
api_key = { takes = "secret" }
[credential.key]
kind = "headers"
headers = { X-Key = "{api_kye}" }
[[revoke.subject]]
method = "GRAB"
url = "{base_url}/users/{subject}"
done = [204]
[[revoke.sid]]
method = "POST"
url = "https://{sid}.example.com/"
done = [204]
[[revoke.session]]
method = "POST"
url = "{base_url}/x"
done = [204]
[[revoke.jti]]
method = "POST"
url = "{base_url}/y/{jti}"
headers = { X-Token = "{jti}" }
"#,
    )
    .unwrap();
    let text = "[[provider]]\nkind = \"http\"\nfile = \"vendor.toml\"\nissuer = \"https://idp.example.com/\"\n";
    let error = Config::of_text(text, Some(&file), &Default::default())
        .unwrap_err()
        .to_string();
    for said in [
        "vendor.toml:8",
        "did you mean `{api_key}`?",
        "a method is GET, POST, PUT, PATCH or DELETE",
        "nothing fills `{subject}` here",
        "an address begins with a key that takes one",
        "`session` is none of jti, sid, token, subject, address",
        "nothing fills `{jti}` here",
        "`done` is missing",
    ] {
        assert!(error.contains(said), "{said}: {error}");
    }
}

#[tokio::test]
async fn a_file_of_ones_own_acts() {
    let vendor = Vendor::start();
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("tokentrip.toml");
    fs::write(folder.path().join("key"), "s3cret").unwrap();
    fs::write(
        folder.path().join("vendor.toml"),
        r#"title = "Acme"
page = "https://acme.example.com/docs"
[keys]
base_url = { takes = "url", example = "https://acme.example.com" }
api_key = { takes = "secret" }
[credential.key]
kind = "headers"
headers = { X-Key = "{api_key}" }
[[revoke.subject]]
method = "POST"
url = "{base_url}/users/{sub}/end"
json = { why = "stolen", user = "{sub}" }
done = [204]
"#,
    )
    .unwrap();
    let text = format!(
        "[[provider]]\nkind = \"http\"\nname = \"acme\"\nfile = \"vendor.toml\"\nissuer = \"{ISSUER}\"\n\
         base_url = \"{}\"\napi_key_file = \"key\"\n",
        vendor.base
    );
    let provider = configured(&text, &file, Evidence(None));
    assert!(provider.answers_for(ISSUER) && !provider.answers_for("https://other.example.com/"));
    assert_eq!(provider.look().unwrap(), "Acme: revoke subject");
    vendor.expect([Reply::Answer(Box::new(Exchange {
        request: "POST /users/auth0%7Ca%2F..%2Fb%3Fc%3Dd%26e%23f/end".to_owned(),
        headers: BTreeMap::from([("x-key".to_owned(), "s3cret".to_owned())]),
        body: r#"{"why": "stolen", "user": "auth0|a/../b?c=d&e#f"}"#.to_owned(),
        answer: 204,
        with: String::new(),
        and: BTreeMap::new(),
    }))]);
    let action = action(&*provider, Step::Revoke, target("subject"));
    assert_eq!(provider.carry_out(&action).await, Outcome::Done);
    assert_eq!(vendor.wrong(), [""; 0]);
    fs::remove_file(folder.path().join("key")).unwrap();
    assert!(provider.look().is_err());
}
