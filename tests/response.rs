//! Actions and alerts, from the outbox to the peers and back.
//!
//! In: rows recorded in a real store. Out: the calls that a strict Keycloak saw, the messages a webhook got, what the
//! store says came of them.

use crate::support::keycloak::{Answer, CLIENT, Keycloak as Fake, REALM, SESSIONS, USER};
use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use tokentrip::domain::action::{Action, Delivery, GATEWAY, Outcome, Standing, Step};
use tokentrip::domain::finding::Level;
use tokentrip::domain::incident::{Incident, Target};
use tokentrip::outbound::options::{Options, Value};
use tokentrip::outbound::{Caller, Secret, now};
use tokentrip::response::case::{CaseFile, NoCase};
use tokentrip::response::denylist::Denylist;
use tokentrip::response::dispatch::{Backoff, Dispatcher};
use tokentrip::response::providers::keycloak::Keycloak;
use tokentrip::response::providers::{Provider, Setting};
use tokentrip::sinks::webhook::{self, sign};
use tokentrip::sinks::{self, Event, Receiver as Told, ndjson};
use tokentrip::store::{Batch, Store};
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc, oneshot};

fn incident() -> Incident {
    serde_json::from_str(include_str!("fixtures/sinks/webhook/incident.json")).unwrap()
}

/// A file with this text.
fn secret(text: &str) -> Secret {
    let file = tempfile::NamedTempFile::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    std::fs::write(&file, text).unwrap();
    Secret::File(file.into_temp_path().keep().unwrap())
}

fn options(texts: &[(&'static str, &str)], secret: (&'static str, Secret)) -> Options {
    let texts = texts
        .iter()
        .map(|(key, text)| (*key, Value::Text((*text).to_owned())));
    let secret = std::iter::once((secret.0, Value::Secret(secret.1)));
    Options(texts.chain(secret).collect())
}

fn keycloak_at(base: &str, secret: Secret) -> Keycloak {
    let texts = [
        ("base_url", base),
        ("realm", REALM),
        ("client_id", CLIENT.0),
    ];
    let setting = Setting {
        name: "idp".into(),
        issuer: None,
        options: &options(&texts, ("client_secret", secret)),
        vendor: None,
        caller: &Caller::new().unwrap(),
        case: &(Arc::new(NoCase) as Arc<dyn CaseFile>),
    };
    Keycloak::new(&setting).unwrap()
}

async fn pair() -> (Fake, Keycloak) {
    let fake = Fake::start().await;
    let keycloak = keycloak_at(&fake.base, secret(CLIENT.1));
    (fake, keycloak)
}

fn sid(sid: &str) -> (Step, Target) {
    let (iss, sid) = ("".into(), sid.into());
    (Step::Revoke, Target::Sid { iss, sid })
}

fn subject(step: Step, sub: &str) -> (Step, Target) {
    let target = Target::Subject {
        iss: "".into(),
        sub: sub.into(),
        not_before_s: 0,
    };
    (step, target)
}

fn action((step, target): (Step, Target), provider: &str) -> Action {
    let incident = incident().id;
    Action {
        id: Action::id_of(incident, step, &target, provider),
        incident,
        step,
        denied_until: (provider == GATEWAY).then(|| now().plus_ms(60_000)),
        target,
        provider: provider.into(),
        calls: Vec::new(),
        idempotent: true,
        standing: Standing::Go,
        undoable: false,
        before: Vec::new(),
    }
}

async fn act(keycloak: &Keycloak, what: (Step, Target)) -> Outcome {
    keycloak.carry_out(&action(what, "idp")).await
}

#[tokio::test]
async fn keycloak_ends_a_session_logs_out_and_requires_a_password_and_a_second_time_is_as_good() {
    let (fake, keycloak) = pair().await;
    let session = || sid(SESSIONS[0]);
    assert_eq!(act(&keycloak, session()).await, Outcome::Done);
    assert_eq!(act(&keycloak, session()).await, Outcome::AlreadyDone);
    assert_eq!(keycloak.sessions_of(USER).await.unwrap(), [SESSIONS[1]]);
    assert_eq!(
        act(&keycloak, subject(Step::Revoke, USER)).await,
        Outcome::Done
    );
    assert_eq!(keycloak.sessions_of(USER).await.unwrap(), [""; 0]);
    let password = || subject(Step::Password, USER);
    assert_eq!(act(&keycloak, password()).await, Outcome::Done);
    assert_eq!(act(&keycloak, password()).await, Outcome::AlreadyDone);
    fake.world(|world| {
        let actions = &world.users[USER]["requiredActions"];
        assert_eq!(
            *actions,
            serde_json::json!(["CONFIGURE_TOTP", "UPDATE_PASSWORD"])
        );
        assert_eq!(world.violations, [""; 0]);
        let tokens = world
            .calls
            .iter()
            .filter(|call| call.contains("openid-connect/token"));
        assert_eq!(tokens.count(), 1, "the admin token is kept");
    });
}

#[tokio::test]
async fn keycloak_has_a_second_factor_set_up_at_the_next_login() {
    let (fake, keycloak) = pair().await;
    let mfa = || subject(Step::Mfa, USER);
    assert_eq!(act(&keycloak, mfa()).await, Outcome::AlreadyDone);
    fake.world(|world| {
        world.users.get_mut(USER).unwrap()["requiredActions"] = serde_json::json!([]);
    });
    assert_eq!(act(&keycloak, mfa()).await, Outcome::Done);
    fake.world(|world| {
        let actions = &world.users[USER]["requiredActions"];
        assert_eq!(*actions, serde_json::json!(["CONFIGURE_TOTP"]));
        assert_eq!(world.violations, [""; 0]);
    });
}

#[tokio::test]
async fn the_calls_that_are_shown_are_the_calls_that_are_made() {
    let (fake, keycloak) = pair().await;
    for what in [
        sid(SESSIONS[0]),
        subject(Step::Revoke, USER),
        subject(Step::Password, USER),
    ] {
        let shown = keycloak.calls(what.0, &what.1).unwrap();
        let shown = shown
            .iter()
            .map(|call| call.replace("/admin/realms/shop/", ""));
        let shown: Vec<_> = shown
            .map(|call| call.replace(" with requiredActions UPDATE_PASSWORD", ""))
            .collect();
        assert_eq!(act(&keycloak, what).await, Outcome::Done);
        assert_eq!(fake.calls(), shown);
    }
    assert!(keycloak.answers_for(&fake.issuer()));
    assert!(!keycloak.answers_for(&format!("{}/", fake.issuer())));
}

#[tokio::test]
async fn each_answer_of_keycloak_is_understood() {
    let failed = |why: &str| Outcome::Failed {
        why: why.to_owned(),
    };
    let retry = |after_s, why: &str| Outcome::Retry {
        after_s,
        why: why.to_owned(),
    };
    for (answer, expected) in [
        (Answer::Expire, Outcome::Done),
        (Answer::Status(403), failed("answered 403")),
        (Answer::Status(409), failed("answered 409")),
        (Answer::Redirect, failed("answered 307")),
        (Answer::TooMany(7), retry(Some(7), "answered 429")),
        (Answer::Status(503), retry(None, "answered 503")),
    ] {
        for what in [
            sid(SESSIONS[0]),
            subject(Step::Revoke, USER),
            subject(Step::Password, USER),
        ] {
            let (fake, keycloak) = pair().await;
            fake.world(|world| world.script.push_back(answer));
            assert_eq!(
                act(&keycloak, what.clone()).await,
                expected,
                "{answer:?} {what:?}"
            );
            assert_eq!(fake.world(|world| world.violations.clone()), [""; 0]);
        }
    }
    let (fake, keycloak) = pair().await;
    fake.world(|world| world.script.extend([Answer::Expire, Answer::Status(401)]));
    assert_eq!(
        act(&keycloak, sid("a")).await,
        failed("answered 401"),
        "refreshed once"
    );
    let nobody = failed("no such user in this realm");
    assert_eq!(
        act(&keycloak, subject(Step::Revoke, "nobody")).await,
        nobody
    );
    assert_eq!(
        act(&keycloak, subject(Step::Password, "nobody")).await,
        nobody
    );
}

#[tokio::test]
async fn names_from_a_token_reach_no_other_call() {
    let (fake, keycloak) = pair().await;
    for name in ["..", "", "a\r\nb", "../../x"] {
        let outcome = act(&keycloak, subject(Step::Revoke, name)).await;
        assert!(
            matches!(outcome, Outcome::Impossible { .. } | Outcome::Failed { .. }),
            "{name:?}"
        );
    }
    assert_eq!(fake.calls(), ["POST users/..%2F..%2Fx/logout"]);
    fake.world(|world| world.users.get_mut(USER).unwrap()["federationLink"] = "ldap".into());
    let outcome = act(&keycloak, subject(Step::Password, USER)).await;
    assert!(matches!(outcome, Outcome::Impossible { .. }), "{outcome:?}");
}

#[tokio::test]
async fn wrong_credentials_and_a_broken_connection_are_told_without_secret_and_address() {
    let fake = Fake::start().await;
    let wrong = keycloak_at(&fake.base, secret("hunter2"));
    let outcome = act(&wrong, sid("a")).await;
    assert!(
        outcome.why().unwrap().contains("check client_id"),
        "{outcome:?}"
    );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { while listener.accept().await.is_ok() {} });
    let broken = keycloak_at(&base, secret("hunter2"));
    let outcome = act(&broken, sid("a")).await;
    assert!(matches!(outcome, Outcome::Retry { .. }), "{outcome:?}");
    assert!(!format!("{outcome:?}").contains(&base), "{outcome:?}");
    let shown = format!("{outcome:?} {wrong:?} {broken:?}");
    assert!(!shown.contains("hunter2"), "{shown}");
}

/// A receiver of webhooks that answers from a script and keeps what it got.
struct Receiver {
    url: String,
    got: Arc<Mutex<Vec<(HeaderMap, String)>>>,
}

impl Receiver {
    async fn start(script: &[u16]) -> Self {
        let got: Arc<Mutex<Vec<(HeaderMap, String)>>> = Arc::default();
        let script = Mutex::new(script.to_vec());
        let keep = got.clone();
        let answer = Arc::new(move |headers, body| {
            keep.lock().unwrap().push((headers, body));
            let mut script = script.lock().unwrap();
            let status = if script.is_empty() {
                204
            } else {
                script.remove(0)
            };
            StatusCode::from_u16(status).unwrap()
        });
        let receive = move |headers: HeaderMap, body: String| async move { answer(headers, body) };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let router = Router::new().route("/hook", post(receive));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, got }
    }

    fn sink(&self) -> Told {
        let secret = secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let options = options(&[("url", &self.url)], ("secret", secret));
        Told {
            name: "hook".into(),
            level_min: Level::Medium,
            every_incident: false,
            sink: (webhook::KIND.make)(&options, &Caller::new().unwrap()).unwrap(),
        }
    }
}

/// A dispatcher at work on a store of its own.
struct Desk {
    _folder: TempDir,
    store: Arc<Store>,
    denylist: Arc<Denylist>,
    wake: Arc<Notify>,
    tried: mpsc::UnboundedReceiver<(Delivery, Outcome)>,
    stop: oneshot::Sender<()>,
    ended: tokio::task::JoinHandle<()>,
}

impl Desk {
    fn start(providers: Vec<Arc<dyn Provider>>, sinks: Vec<Told>) -> Self {
        let folder = TempDir::new().unwrap();
        let store = Arc::new(Store::open(&folder.path().join("tokentrip.db")).unwrap());
        let denylist = Arc::new(Denylist::default());
        let (tell, tried) = mpsc::unbounded_channel();
        let dispatcher = Dispatcher {
            store: store.clone(),
            denylist: denylist.clone(),
            providers,
            sinks,
            backoff: Backoff {
                first_ms: 1,
                longest_ms: 5,
                attempts_max: 3,
                seed: 7,
            },
            watcher: Arc::new(move |delivery, outcome| {
                drop(tell.send((delivery.clone(), outcome.clone())));
            }),
        };
        let wake = Arc::new(Notify::new());
        let (stop, stopped) = oneshot::channel();
        let stopped = async move { drop(stopped.await) };
        let ended = tokio::spawn(Arc::new(dispatcher).run(wake.clone(), stopped));
        Self {
            _folder: folder,
            store,
            denylist,
            wake,
            tried,
            stop,
            ended,
        }
    }

    fn record(&self, deliveries: &[Delivery]) {
        let incidents = [incident()];
        let batch = Batch {
            incidents: &incidents,
            deliveries,
            ..Batch::default()
        };
        self.store.record(batch, now()).unwrap();
        self.wake.notify_one();
    }

    /// The outcomes of the next attempts, as `receiver outcome`.
    async fn outcomes(&mut self, count: usize) -> Vec<String> {
        let mut outcomes = Vec::new();
        for _ in 0..count {
            let next = tokio::time::timeout(Duration::from_secs(20), self.tried.recv()).await;
            let (delivery, outcome) = next.unwrap().unwrap();
            outcomes.push(format!("{} {}", delivery.receiver(), outcome.name()));
        }
        outcomes
    }

    /// Stops, and gives the store with everything written down.
    async fn end(self) -> (Arc<Store>, TempDir) {
        self.stop.send(()).unwrap();
        self.ended.await.unwrap();
        (self.store, self._folder)
    }
}

#[tokio::test]
async fn a_theft_is_denied_revoked_and_told_once_and_written_down() {
    let (fake, keycloak) = pair().await;
    let receiver = Receiver::start(&[]).await;
    let sinks = vec![receiver.sink()];
    let mut desk = Desk::start(vec![Arc::new(keycloak)], sinks.clone());
    let actions = [
        action(sid(SESSIONS[0]), GATEWAY),
        action(sid(SESSIONS[0]), "idp"),
        action(subject(Step::Password, USER), "idp"),
    ];
    let mut deliveries = actions.clone().map(Delivery::Action).to_vec();
    let alerts = sinks::alerts(&sinks, Event::Opened, &incident());
    deliveries.extend(alerts.into_iter().map(Delivery::Alert));
    desk.record(&deliveries);
    desk.record(&deliveries);
    let mut outcomes = desk.outcomes(4).await;
    outcomes.sort_unstable();
    assert_eq!(
        outcomes,
        ["gateway done", "hook done", "idp done", "idp done"]
    );
    assert_eq!(desk.denylist.len(), 1);
    let (store, _folder) = desk.end().await;
    let shown = store.incident(incident().id).unwrap().unwrap();
    assert!(
        shown.actions.iter().all(|action| action.outcome == "done"),
        "{:?}",
        shown.actions
    );
    let audit = store.audit_verify().unwrap();
    assert_eq!((audit.rows, audit.broken_at), (3 + 4 + 4, None));
    assert_eq!(fake.world(|world| world.violations.clone()), [""; 0]);
    let got = receiver.got.lock().unwrap();
    assert_eq!(got.len(), 1);
    let (headers, body) = &got[0];
    let header = |name: &str| headers[name].to_str().unwrap().to_owned();
    let timestamp = header("webhook-timestamp").parse().unwrap();
    let signature = sign(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        &header("webhook-id"),
        timestamp,
        body,
    );
    assert_eq!(header("webhook-signature"), signature);
    let message: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(message["type"], "incident.opened");
    assert_eq!(message["data"]["id"], "i-0123456789abcdef0123");
}

#[tokio::test]
async fn after_a_revocation_the_sessions_of_before_are_looked_for_until_they_are_gone() {
    let (fake, keycloak) = pair().await;
    // A server that answers 204 and ends nothing: somebody looks again, and says so at last.
    fake.world(|world| world.script.extend([Answer::Pass, Answer::Status(204)]));
    let mut desk = Desk::start(vec![Arc::new(keycloak)], Vec::new());
    desk.record(&[Delivery::Action(action(subject(Step::Revoke, USER), "idp"))]);
    let outcomes = desk.outcomes(4).await;
    assert_eq!(
        outcomes,
        ["idp done", "idp pending", "idp pending", "idp pending"]
    );
    let (store, _folder) = desk.end().await;
    let shown = store.incident(incident().id).unwrap().unwrap().actions;
    let mut shown: Vec<_> = shown
        .iter()
        .map(|action| format!("{} {}", action.step, action.outcome))
        .collect();
    shown.sort();
    assert_eq!(shown, ["revoke done", "verify dead"]);
    let (audit, lists) = (store.audit_tail(99).unwrap(), fake.calls());
    assert!(
        audit
            .iter()
            .any(|(_, text)| text.contains("2 of 2 sessions are still there"))
    );
    assert_eq!(
        lists
            .iter()
            .filter(|call| call.contains("/sessions"))
            .count(),
        4
    );
    assert_eq!(
        lists.iter().filter(|call| call.contains("/logout")).count(),
        1,
        "never again"
    );
}

#[tokio::test]
async fn a_session_that_began_after_a_revocation_is_left_alone() {
    let (fake, keycloak) = pair().await;
    let mut desk = Desk::start(vec![Arc::new(keycloak)], Vec::new());
    desk.record(&[Delivery::Action(action(subject(Step::Revoke, USER), "idp"))]);
    assert_eq!(desk.outcomes(1).await, ["idp done"]);
    fake.world(|world| world.sessions.insert("new".to_owned(), USER.to_owned()));
    assert_eq!(
        desk.outcomes(1).await,
        ["idp done"],
        "what was there before is gone"
    );
    desk.end().await;
    assert_eq!(fake.world(|world| world.violations.clone()), [""; 0]);
}

#[tokio::test]
async fn a_sick_receiver_is_tried_again_under_the_same_id_and_a_refusing_one_is_not() {
    let sick = Receiver::start(&[503, 429]).await;
    let mut desk = Desk::start(Vec::new(), vec![sick.sink()]);
    let alert = |desk: &Desk, event| {
        let alerts = sinks::alerts(&[sick.sink()], event, &incident());
        let alerts: Vec<_> = alerts.into_iter().map(Delivery::Alert).collect();
        desk.record(&alerts);
    };
    alert(&desk, Event::Opened);
    assert_eq!(
        desk.outcomes(3).await,
        ["hook pending", "hook pending", "hook done"]
    );
    let mut ids: Vec<_> = {
        let got = sick.got.lock().unwrap();
        got.iter()
            .map(|(headers, _)| headers["webhook-id"].clone())
            .collect()
    };
    ids.dedup();
    assert_eq!(ids.len(), 1);
    let refusing = Receiver::start(&[400]).await;
    let mut desk = Desk::start(Vec::new(), vec![refusing.sink()]);
    alert(&desk, Event::Updated);
    assert_eq!(desk.outcomes(1).await, ["hook failed"]);
    let (store, _folder) = desk.end().await;
    assert_eq!(store.depth().unwrap().dead, 1);
    assert_eq!(store.replay(incident().id, "carol", now()).unwrap(), 1);
}

#[tokio::test]
async fn a_receiver_that_stays_sick_ends_as_a_dead_letter() {
    let (fake, keycloak) = pair().await;
    fake.world(|world| world.script.extend([Answer::Status(503); 3]));
    let mut desk = Desk::start(vec![Arc::new(keycloak)], Vec::new());
    desk.record(&[Delivery::Action(action(sid(SESSIONS[0]), "idp"))]);
    assert_eq!(desk.outcomes(3).await, ["idp pending"; 3]);
    let (store, _folder) = desk.end().await;
    let depth = store.depth().unwrap();
    assert_eq!((depth.open, depth.dead), (0, 1));
    assert!(fake.world(|world| world.sessions.contains_key(SESSIONS[0])));
}

#[test]
fn a_signature_is_the_published_one() {
    // The example of the Standard Webhooks libraries' own tests.
    let signature = sign(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1_614_265_330,
        r#"{"test": 2432232314}"#,
    );
    assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
}

#[test]
fn a_record_begins_as_the_contract_says_and_shows_no_token() {
    let raw = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl";
    let mut incident = incident();
    incident.title = format!("GET /{raw}\n\"x\"");
    let mut out = Vec::new();
    ndjson::write(&mut out, &ndjson::Record::Incident(&incident)).unwrap();
    ndjson::write(
        &mut out,
        &ndjson::Record::Summary(&ndjson::Summary::default()),
    )
    .unwrap();
    let text = String::from_utf8(out).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 2);
    assert!(lines[0].starts_with(
        r#"{"type":"incident","id":"i-0123456789abcdef0123","level":"critical","score":140,"#
    ));
    assert!(!lines[0].contains("eyJ"));
    assert_eq!(
        lines[1],
        r#"{"type":"summary","lines":0,"events":0,"uses":0,"skipped":{},"tokens":0,"sessions":0,"subjects":0,"findings":{},"rules":{},"incidents":0,"seconds":0.0,"gaps_bytes":0,"sources":[]}"#
    );
}
