//! The real thing: a token is stolen behind a real nginx, and the daemon answers.
//!
//! In: requests of a victim and a thief through nginx, `auth_request` and an upstream; tokens that a published key set
//! verifies. Out: what nginx refuses, what the incident list, the webhook, the metrics and Keycloak saw, and how soon.

use crate::support::daemon::{Daemon, PATIENCE, until};
use crate::support::keycloak::{CLIENT, Keycloak, SESSIONS, USER};
use crate::support::logs::{BROWSER, LISBON, OTHER_BROWSER, TOKYO};
use crate::support::mint::{mint, mint_with, unsigned};
use crate::support::nginx::Nginx;
use crate::support::shipped;
use aws_lc_rs::hmac;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::routing::{get, post};
use data_encoding::BASE64;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};
use tempfile::TempDir;
use tokio::net::TcpListener;

/// From the thief's first line in the log to everything that follows from it, with a core for whoever wants one.
/// `tests/all` runs the test that says so alone.
const ANSWER_MAX: Duration = Duration::from_secs(1);

const HOOK_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

type Messages = Arc<Mutex<Vec<(Instant, Value)>>>;

/// Everything around the daemon, and the daemon.
struct House {
    folder: TempDir,
    keycloak: Keycloak,
    messages: Messages,
    /// The tokens that the API behind the gateway lets in.
    good: Arc<Mutex<HashSet<String>>>,
    daemon: Daemon,
    nginx: Nginx,
}

impl House {
    async fn start(mode: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let keycloak = Keycloak::start().await;
        let (messages, hook) = receiver().await;
        let keys = include_str!("fixtures/keys/public.jwks.json");
        let keys = serve(Router::new().route("/jwks.json", get(move || async move { keys }))).await;
        let good: Arc<Mutex<HashSet<String>>> = Arc::default();
        let upstream = serve(Router::new().fallback(api).with_state(good.clone())).await;
        fs::write(folder.path().join("keycloak.secret"), CLIENT.1).unwrap();
        fs::write(folder.path().join("hook.secret"), HOOK_SECRET).unwrap();
        let config = format!(
            r#"
            [[source]]
            path = "access.log"
            trusted_proxies = ["127.0.0.1"]
            [[issuer]]
            issuer = "{}"
            jwks = "http://127.0.0.1:{keys}/jwks.json"
            algorithms = ["RS256"]
            protected_paths = ["/api/"]
            [response]
            mode = "{mode}"
            [[provider]]
            kind = "keycloak"
            base_url = "{}"
            realm = "shop"
            client_id = "tokentrip"
            client_secret_file = "keycloak.secret"
            [[sink]]
            kind = "webhook"
            url = "http://127.0.0.1:{hook}/"
            secret_file = "hook.secret"
            [state]
            folder = "state"
            "#,
            keycloak.issuer(),
            keycloak.base,
        );
        let daemon = Daemon::start(folder.path(), &config);
        let nginx = Nginx::start(folder.path(), daemon.port, upstream);
        Self {
            folder,
            keycloak,
            messages,
            good,
            daemon,
            nginx,
        }
    }

    /// A real token of the victim, which the API lets in.
    fn token(&self, jti: &str) -> String {
        let token = mint(&self.claims(jti), "rsa-2048");
        self.good.lock().unwrap().insert(token.clone());
        token
    }

    fn claims(&self, jti: &str) -> Value {
        let now_s = now_s();
        json!({
            "iss": self.keycloak.issuer(), "sub": USER, "sid": SESSIONS[0], "jti": jti,
            "iat": now_s - 60, "exp": now_s + 3600, "azp": "shop",
        })
    }

    /// The victim at home.
    fn victim(&self, token: &str) -> u16 {
        self.nginx.ask("/api/orders", LISBON, BROWSER, token)
    }

    /// The thief far away, behind another browser: a tool so soon after the login could be a server of the page's.
    fn thief(&self, path: &str, token: &str) -> u16 {
        self.nginx.ask(path, TOKYO, OTHER_BROWSER, token)
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("access.log")
    }

    /// How many requests nginx has logged.
    fn logged(&self) -> usize {
        fs::read_to_string(self.log()).unwrap().lines().count()
    }

    /// Waits until the daemon has read all that nginx logged.
    fn all_read(&self) {
        until("every line read", || {
            let read = self.daemon.metric("tokentrip_lines_read_total", &[]);
            (read as usize == self.logged()).then_some(())
        });
    }

    /// The victim works; then the thief comes. When his request stood in the log.
    fn theft(&self, token: &str) -> Instant {
        for _ in 0..5 {
            assert_eq!(self.victim(token), 200);
        }
        self.all_read();
        assert_eq!(self.thief("/api/export", token), 200);
        until_quick("the thief's line", || {
            fs::read_to_string(self.log()).unwrap().contains(TOKYO)
        })
    }

    fn keycloak_calls(&self) -> Vec<String> {
        let calls = self.keycloak.world(|world| world.calls.clone());
        let admin = calls.iter().filter_map(|call| {
            let (method, path) = call.split_once(' ').unwrap();
            Some(format!(
                "{method} {}",
                path.strip_prefix("/admin/realms/shop/")?
            ))
        });
        admin.collect()
    }
}

/// Looks every few milliseconds, to measure; when it came.
fn until_quick(what: &str, mut is_there: impl FnMut() -> bool) -> Instant {
    let deadline = Instant::now() + PATIENCE;
    while !is_there() {
        assert!(Instant::now() < deadline, "never came: {what}");
        std::thread::sleep(Duration::from_millis(3));
    }
    Instant::now()
}

/// How many programs want each core, one at least, while this is looked at.
pub(crate) struct Crowd {
    is_over: Arc<AtomicBool>,
    watcher: JoinHandle<f64>,
}

impl Crowd {
    pub(crate) fn watch() -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let told = is_over.clone();
        let cores = std::thread::available_parallelism().unwrap().get() as f64;
        let watcher = std::thread::spawn(move || {
            let (mut sum, mut count) = (0.0, 0.0);
            while !told.load(Ordering::Relaxed) || count == 0.0 {
                // proc(5): the fourth field is how many want to run, of how many there are.
                let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
                let running = load.split([' ', '/']).nth(3);
                let running: f64 = running.and_then(|text| text.parse().ok()).unwrap_or(1.0);
                sum += (running / cores).max(1.0);
                count += 1.0;
                std::thread::sleep(Duration::from_millis(10));
            }
            sum / count
        });
        Self { is_over, watcher }
    }

    pub(crate) fn mean(self) -> f64 {
        self.is_over.store(true, Ordering::Relaxed);
        self.watcher.join().unwrap()
    }
}

fn now_s() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap().as_secs().try_into().unwrap()
}

async fn serve(router: Router) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { axum::serve(listener, router).await });
    port
}

/// The API: lets good tokens into `/api/`, and anybody onto public pages.
async fn api(
    State(good): State<Arc<Mutex<HashSet<String>>>>,
    uri: Uri,
    headers: HeaderMap,
) -> StatusCode {
    let bearer = headers
        .get("authorization")
        .and_then(|field| field.to_str().ok());
    let token = bearer.and_then(|field| field.strip_prefix("Bearer "));
    match uri.path() {
        "/redirect" => StatusCode::FOUND,
        path if !path.starts_with("/api/") => StatusCode::OK,
        _ if token.is_some_and(|token| good.lock().unwrap().contains(token)) => StatusCode::OK,
        _ => StatusCode::UNAUTHORIZED,
    }
}

/// A receiver that takes only messages whose signature it computes itself.
/// Source: <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>.
async fn receiver() -> (Messages, u16) {
    let messages = Messages::default();
    let kept = messages.clone();
    let take = move |headers: HeaderMap, body: String| async move {
        let field = |name: &str| headers[name].to_str().unwrap();
        let key = BASE64.decode(HOOK_SECRET.strip_prefix("whsec_").unwrap().as_bytes());
        let key = hmac::Key::new(hmac::HMAC_SHA256, &key.unwrap());
        let (id, timestamp) = (field("webhook-id"), field("webhook-timestamp"));
        let signed = format!("{id}.{timestamp}.{body}");
        let signatures = field("webhook-signature").split(' ');
        let genuine = signatures
            .filter_map(|one| one.strip_prefix("v1,"))
            .any(|one| {
                let signature = BASE64.decode(one.as_bytes()).unwrap();
                hmac::verify(&key, signed.as_bytes(), &signature).is_ok()
            });
        let recent = timestamp.parse::<i64>().unwrap().abs_diff(now_s()) < 300;
        if !genuine || !recent {
            return StatusCode::UNAUTHORIZED;
        }
        let message = serde_json::from_str(&body).unwrap();
        kept.lock().unwrap().push((Instant::now(), message));
        StatusCode::NO_CONTENT
    };
    let port = serve(Router::new().route("/", post(take))).await;
    (messages, port)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[allow(clippy::too_many_lines, reason = "one story, told in one piece")]
async fn a_stolen_token_is_denied_revoked_and_told_within_a_second() {
    if !shipped(&["network_and_client_changed"]) {
        return;
    }
    let house = House::start("enforce").await;
    let token = house.token("at-1");
    let crowd = Crowd::watch();
    let stolen = house.theft(&token);

    let refused = until_quick("401 for the thief", || {
        house.thief("/api/export", &token) == 401
    });
    assert_eq!(
        house.victim(&token),
        401,
        "the same token in the victim's hand"
    );
    let told = until_quick("the webhook", || !house.messages.lock().unwrap().is_empty());
    let revoked = until_quick("Keycloak's calls", || house.keycloak_calls().len() >= 3);
    let shown = until_quick("the incident", || !house.daemon.incidents().is_empty());
    let answer_max = ANSWER_MAX.mul_f64(crowd.mean());
    println!("from the thief's line in the log, in ms, as they were looked for:");
    for (what, at) in [
        ("the token refused by nginx", refused),
        (
            "a verified webhook",
            told.min(house.messages.lock().unwrap()[0].0),
        ),
        ("Keycloak called", revoked),
        ("the incident shown", shown),
    ] {
        let after = at.saturating_duration_since(stolen);
        println!("{:>6}  {what}", after.as_millis());
        assert!(after < answer_max, "{what}: {after:?} of {answer_max:?}");
    }

    let user = format!("users/{USER}");
    let calls = [
        format!("DELETE sessions/{}", SESSIONS[0]),
        format!("GET {user}"),
        format!("PUT {user}"),
    ];
    // The two steps are taken at once, so their calls may interleave.
    let mut made = house.keycloak_calls();
    made.sort_unstable();
    assert_eq!(made, calls);
    house.keycloak.world(|world| {
        assert_eq!(world.violations, [""; 0]);
        let actions = &world.users[USER]["requiredActions"];
        assert_eq!(*actions, json!(["CONFIGURE_TOTP", "UPDATE_PASSWORD"]));
        assert!(!world.sessions.contains_key(SESSIONS[0]));
        assert!(
            world.sessions.contains_key(SESSIONS[1]),
            "only the stolen one ends"
        );
    });

    let incidents = until("every action done", || {
        let incidents = house.daemon.incidents();
        let actions = incidents[0]["actions"].as_array().unwrap();
        let done = actions.iter().filter(|action| action["outcome"] == "done");
        // A second factor is proposed, and waits for a person.
        let proposed = |action: &Value| action["step"] == "mfa";
        let proposed = actions.iter().filter(|action| proposed(action)).count();
        (done.count() == 4 && proposed == 1 && actions.len() == 5).then_some(incidents)
    });
    assert_eq!(incidents.len(), 1);
    let incident = &incidents[0];
    assert_eq!(incident["subject"], USER);
    assert_eq!(incident["provenance"], "verified");
    assert_eq!(incident["suspect"]["ips"], json!([TOKYO]));
    let level = incident["level"].as_str().unwrap();
    assert!(["high", "critical"].contains(&level), "{level}");
    // An incident that rises at once is told twice, and the network may turn the two round.
    let opened = until("the message that it opened", || {
        let messages = house.messages.lock().unwrap();
        let bodies = messages.iter().map(|(_, message)| message.clone());
        bodies
            .into_iter()
            .find(|message| message["type"] == "incident.opened")
    });
    assert_eq!(opened["data"]["id"], incident["id"]);

    let metric = |name: &str, words: &[&str]| house.daemon.metric(name, words);
    assert_eq!(metric("tokentrip_incidents_total", &[]), 1.0);
    let spoke = incident["rules"].as_object().unwrap();
    assert!(spoke.contains_key("impossible_travel") || !shipped(&["impossible_travel"]));
    for (rule, _) in spoke {
        assert!(metric("tokentrip_findings_total", &[rule]) >= 1.0, "{rule}");
    }
    assert!(metric("tokentrip_denylist_size", &[]) >= 1.0);
    assert!(metric("tokentrip_alerts_total", &["done"]) >= 1.0);
    assert_eq!(
        metric("tokentrip_actions_total", &["keycloak", "revoke", "done"]),
        1.0
    );
    assert_eq!(
        metric("tokentrip_actions_total", &["keycloak", "password", "done"]),
        1.0
    );
    // As the daemon measures it: from the line that it read to its findings, and from those to the deny list.
    let sum_s = |what| metric(&format!("tokentrip_{what}_latency_seconds_sum"), &[]);
    assert!(sum_s("detection") + sum_s("containment") < answer_max.as_secs_f64());
    assert_eq!(
        metric("tokentrip_containment_latency_seconds_count", &[]),
        1.0
    );

    // What happened is over, and another session of the same person goes on.
    let mut claims = house.claims("at-2");
    claims["sid"] = SESSIONS[1].into();
    let fresh = mint(&claims, "rsa-2048");
    house.good.lock().unwrap().insert(fresh.clone());
    assert_eq!(house.victim(&fresh), 200);
    assert!(!house.daemon.log().contains("eyJ"));
    assert!(house.daemon.terminate().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_denied_or_called_unless_it_is_enforced() {
    if !shipped(&["network_and_client_changed"]) {
        return;
    }
    for mode in ["observe", "dry-run"] {
        let house = House::start(mode).await;
        let token = house.token("at-1");
        house.theft(&token);
        until_quick("the webhook", || !house.messages.lock().unwrap().is_empty());
        assert_eq!(house.thief("/api/export", &token), 200, "{mode}");
        assert_eq!(house.victim(&token), 200, "{mode}");
        house.all_read();
        let incident = until("the incident", || house.daemon.incidents().pop());
        assert_eq!(incident["subject"], USER);
        let outcomes = || {
            let incident = house.daemon.incidents().pop().unwrap();
            let actions = incident["actions"].as_array().unwrap().clone();
            actions
                .iter()
                .map(|a| a["outcome"].to_string())
                .collect::<Vec<_>>()
        };
        match mode {
            "observe" => {
                assert_eq!(outcomes(), [""; 0]);
                assert_eq!(incident["refused"][0]["gate"], "mode");
            }
            _ => until("what would have been done", || {
                let outcomes = outcomes();
                let dry = outcomes.iter().all(|outcome| outcome == "\"dry_run\"");
                (outcomes.len() >= 3 && dry).then_some(())
            }),
        }
        assert_eq!(house.daemon.metric("tokentrip_denylist_size", &[]), 0.0);
        assert!(house.daemon.terminate().success());
        let calls = house.keycloak.world(|world| world.calls.clone());
        assert_eq!(calls, [""; 0], "{mode}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forged_token_never_harms_the_one_it_names() {
    let house = House::start("enforce").await;
    let token = house.token("at-1");
    for _ in 0..5 {
        assert_eq!(house.victim(&token), 200);
    }
    let claims = house.claims("at-1");
    let signed = mint(&claims, "rsa-2048");
    let forgeries = [
        mint_with(
            &json!({"alg": "RS256", "kid": "rsa-2048"}),
            &claims,
            "shared-secret",
        ),
        format!("{}.", unsigned(&json!({"alg": "none"}), &claims)),
        mint_with(
            &json!({"alg": "HS256", "kid": "rsa-2048"}),
            &claims,
            "shared-secret",
        ),
        // The victim's own header and claims, with another signature.
        signed[..signed.len() - 20].to_owned() + "AAAAAAAAAAAAAAAAAAAA",
    ];
    for (turn, forged) in forgeries.iter().cycle().take(100).enumerate() {
        let (path, answer) = [("/api/orders", 401), ("/news", 200), ("/redirect", 302)][turn % 3];
        assert_eq!(house.thief(path, forged), answer, "{path}");
    }
    assert_eq!(house.victim(&token), 200);
    house.all_read();
    until("a finding about the source", || {
        let forged = house.daemon.metric("tokentrip_findings_total", &["forge"]);
        (forged >= 1.0).then_some(())
    });
    assert_eq!(house.victim(&token), 200);
    for incident in house.daemon.incidents() {
        assert_eq!(incident["subject"], Value::Null, "{incident}");
        assert_eq!(incident["suspect"]["ips"], json!([TOKYO]));
        assert_eq!(incident["actions"], json!([]));
        assert!(
            ["low", "medium"].contains(&incident["level"].as_str().unwrap()),
            "{incident}"
        );
    }
    assert_eq!(house.daemon.metric("tokentrip_denylist_size", &[]), 0.0);
    assert!(house.daemon.terminate().success());
    assert_eq!(house.keycloak.world(|world| world.calls.clone()), [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_token_that_is_expired_or_refused_harms_nobody_when_it_is_replayed() {
    let house = House::start("enforce").await;
    let token = house.token("at-1");
    for _ in 0..5 {
        assert_eq!(house.victim(&token), 200);
    }
    let mut expired = house.claims("at-0");
    expired["iat"] = (now_s() - 7200).into();
    expired["exp"] = (now_s() - 3600).into();
    let expired = mint(&expired, "rsa-2048");
    // Real and in time, but the API does not know it any more.
    let refused = mint(&house.claims("at-9"), "rsa-2048");
    for _ in 0..20 {
        assert_eq!(house.thief("/api/orders", &expired), 401);
        assert_eq!(house.thief("/api/orders", &refused), 401);
        assert_eq!(house.thief("/news", &expired), 200);
    }
    house.all_read();
    assert_eq!(house.victim(&token), 200);
    assert_eq!(house.daemon.metric("tokentrip_denylist_size", &[]), 0.0);
    for incident in house.daemon.incidents() {
        assert_eq!(incident["actions"], json!([]), "{incident}");
    }
    assert!(house.daemon.terminate().success());
    assert_eq!(house.keycloak.world(|world| world.calls.clone()), [""; 0]);
}
