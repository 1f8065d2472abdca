//! A real server on a free loopback port, asked by a real client.

use super::*;
use crate::domain::ids::IdKey;
use crate::domain::incident::{Incident, Target};
use crate::domain::time::Time;
use crate::response::denylist::Denylist;
use crate::store::Batch;
use crate::tokens::mint::mint;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

mod checks;
mod console;
mod decisions;

const ISSUER: &str = "https://idp.example.com/";

fn token(jti: &str) -> String {
    mint(
        &json!({"iss": ISSUER, "sub": "alice", "jti": jti, "exp": 4_102_444_800_i64}),
        "p-256",
    )
}

/// A server that denies the token `stolen` and holds two incidents.
struct Daemon {
    base: String,
    client: reqwest::Client,
    parts: Parts,
    stop: watch::Sender<bool>,
    running: tokio::task::JoinHandle<()>,
    _folder: TempDir,
}

fn incident(id: &str, level: &str, opened: &str) -> Incident {
    let text = include_str!("../../tests/fixtures/sinks/webhook/incident.json");
    let mut incident: Value = serde_json::from_str(text).unwrap();
    for (name, value) in [
        ("id", id),
        ("level", level),
        ("opened", opened),
        ("updated", opened),
    ] {
        incident[name] = json!(value);
    }
    serde_json::from_value(incident).unwrap()
}

fn parts(folder: &TempDir) -> Parts {
    let store = Store::open(&folder.path().join("state.db")).unwrap();
    let incidents = [
        incident(
            "i-00000000000000000001",
            "medium",
            "2026-05-04T10:00:00.000Z",
        ),
        incident(
            "i-00000000000000000002",
            "critical",
            "2026-05-04T11:00:00.000Z",
        ),
    ];
    let batch = Batch {
        findings: &[],
        incidents: &incidents,
        deliveries: &[],
    };
    store.record(batch, Time::default()).unwrap();
    let denylist = Denylist::default();
    let until = Time::from_ms(4_102_444_800_000).unwrap();
    let stolen = Target::Jti {
        iss: ISSUER.into(),
        jti: "stolen".into(),
        expires_s: None,
    };
    denylist.deny(&stolen, until).unwrap();
    let check = Check::new(IdKey::public([7; 32]), Arc::new(denylist));
    Parts {
        metrics: Arc::new(Metrics::new().unwrap()),
        readiness: Arc::new(Readiness::waiting_for(&["sources", "keys"])),
        check: Arc::new(check),
        store: Arc::new(store),
        streams: Vec::new(),
        in_force: Arc::default(),
        samples: Arc::default(),
    }
}

fn anywhere() -> Options {
    Options {
        listen: Some(([127, 0, 0, 1], 0).into()),
        ..Options::default()
    }
}

async fn start(options: Options) -> Daemon {
    let folder = TempDir::new().unwrap();
    let parts = parts(&folder);
    let server = Server::bind(options, parts.clone()).await.unwrap();
    let base = format!("http://{}", server.addresses()[0]);
    let (stop, stopped) = watch::channel(false);
    let running = tokio::spawn(server.run(stopped));
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    Daemon {
        base,
        client,
        parts,
        stop,
        running,
        _folder: folder,
    }
}

impl Daemon {
    async fn get(&self, path: &str, headers: &[(&str, &str)]) -> (u16, String) {
        let mut request = self.client.get(format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    async fn get_json(&self, path: &str) -> (u16, Value) {
        let (status, text) = self.get(path, &[]).await;
        (status, serde_json::from_str(&text).unwrap())
    }
}

#[tokio::test]
async fn readiness_says_what_is_missing_until_nothing_is() {
    let daemon = start(anywhere()).await;
    assert_eq!(daemon.get("/healthz", &[]).await, (200, "ok\n".to_owned()));
    daemon.parts.readiness.ready("sources");
    daemon
        .parts
        .readiness
        .not_ready("keys", "https://idp.example.com/jwks.json answers 503");
    let (status, body) = daemon.get_json("/readyz").await;
    assert_eq!(
        (status, &body["ready"], &body["parts"]["sources"]),
        (503, &json!(false), &json!("ready"))
    );
    assert_eq!(
        body["parts"]["keys"],
        "https://idp.example.com/jwks.json answers 503"
    );
    daemon.parts.readiness.ready("keys");
    assert_eq!(daemon.get_json("/readyz").await.0, 200);
}

#[tokio::test]
async fn incidents_come_newest_first_and_filtered() {
    let daemon = start(anywhere()).await;
    let (status, body) = daemon.get_json("/v1/incidents").await;
    assert_eq!((status, &body["next"]), (200, &Value::Null));
    let ids: Vec<_> = body["incidents"]
        .as_array()
        .unwrap()
        .iter()
        .map(|i| &i["id"])
        .collect();
    assert_eq!(ids, ["i-00000000000000000002", "i-00000000000000000001"]);
    for (query, found) in [
        ("level=high", 1),
        ("state=open", 2),
        ("state=resolved", 0),
        ("subject=alice", 2),
        ("subject=bob", 0),
        ("since=2026-05-04T10:30:00Z", 1),
    ] {
        let (_, body) = daemon.get_json(&format!("/v1/incidents?{query}")).await;
        assert_eq!(
            body["incidents"].as_array().map(Vec::len),
            Some(found),
            "{query}"
        );
    }
    let (_, one) = daemon
        .get_json("/v1/incidents/i-00000000000000000001")
        .await;
    assert_eq!(one["level"], "medium");
    for (path, wanted) in [
        ("/v1/incidents/i-00000000000000000009", 404),
        ("/v1/incidents/nonsense", 404),
        ("/v1/incidents?level=bad", 400),
        ("/v1/incidents?since=yesterday", 400),
        ("/v1/incidents?cursor=forged", 400),
        ("/v1/incidents?sort=asc", 400),
        ("/nowhere", 404),
    ] {
        let (status, body) = daemon.get_json(path).await;
        assert_eq!(status, wanted, "{path}");
        assert!(
            body["error"].is_string() && body["hint"].is_string(),
            "{path}"
        );
    }
}

#[tokio::test]
async fn pages_of_other_sites_and_names_that_are_not_ours_read_no_incident() {
    let daemon = start(anywhere()).await;
    for header in [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("origin", "https://evil.example.net"),
        ("origin", "null"),
        ("host", "rebound.example.net:9797"),
    ] {
        assert_eq!(
            daemon.get("/v1/incidents", &[header]).await.0,
            403,
            "{header:?}"
        );
    }
    let own = daemon.base.clone();
    assert_eq!(
        daemon.get("/v1/incidents", &[("origin", &own)]).await.0,
        200
    );
    let response = daemon
        .client
        .get(format!("{own}/v1/incidents"))
        .send()
        .await
        .unwrap();
    assert_eq!(response.headers()["x-content-type-options"], "nosniff");
    assert_eq!(response.headers()["cache-control"], "no-store");
    assert!(
        response
            .headers()
            .get("access-control-allow-origin")
            .is_none()
    );
}

#[tokio::test]
async fn a_viewer_secret_is_asked_for_where_there_is_one_and_needed_off_loopback() {
    let options = Options {
        viewer_secret: Some("open sesame".to_owned()),
        ..anywhere()
    };
    let daemon = start(options).await;
    let bearer = |secret| format!("Bearer {secret}");
    assert_eq!(daemon.get("/v1/incidents", &[]).await.0, 401);
    let wrong = bearer("open sesam");
    assert_eq!(
        daemon
            .get("/v1/incidents", &[("authorization", &wrong)])
            .await
            .0,
        401
    );
    let right = bearer("open sesame");
    assert_eq!(
        daemon
            .get("/v1/incidents", &[("authorization", &right)])
            .await
            .0,
        200
    );
    assert_eq!(daemon.get("/healthz", &[]).await.0, 200);

    let folder = TempDir::new().unwrap();
    let open = Options {
        listen: Some(([0, 0, 0, 0], 0).into()),
        ..Options::default()
    };
    let refused = Server::bind(open, parts(&folder)).await.err().unwrap();
    assert!(
        refused.to_string().contains("viewer_secret_file"),
        "{refused}"
    );
}

#[tokio::test]
async fn a_port_in_use_is_an_error_that_says_what_to_do() {
    let daemon = start(anywhere()).await;
    let address = daemon.base.trim_start_matches("http://").parse().unwrap();
    let options = Options {
        listen: Some(address),
        ..Options::default()
    };
    let error = Server::bind(options, daemon.parts.clone())
        .await
        .err()
        .unwrap()
        .to_string();
    assert!(error.contains(&address.to_string()), "{error}");
    assert!(error.contains("TOKENTRIP_SERVER_LISTEN"), "{error}");
}

#[tokio::test]
async fn what_listens_apart_answers_there_alone() {
    let folder = TempDir::new().unwrap();
    let somewhere = Some(([127, 0, 0, 1], 0).into());
    let options = Options {
        check_listen: somewhere,
        metrics_listen: somewhere,
        ..anywhere()
    };
    let server = Server::bind(options, parts(&folder)).await.unwrap();
    let bases: Vec<_> = server
        .addresses()
        .iter()
        .map(|at| format!("http://{at}"))
        .collect();
    let (_stop, stopped) = watch::channel(false);
    tokio::spawn(server.run(stopped));
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    for (path, home) in [
        ("/v1/incidents", 0),
        ("/v1/check", 1),
        ("/metrics", 2),
        ("/readyz", 2),
    ] {
        for (index, base) in bases.iter().enumerate() {
            let status = client
                .get(format!("{base}{path}"))
                .send()
                .await
                .unwrap()
                .status();
            assert_eq!(status != 404, index == home, "{path} at {index}: {status}");
        }
    }
}

#[tokio::test]
async fn an_oversized_head_is_refused_and_a_stop_ends_everything() {
    let daemon = start(anywhere()).await;
    let long = "a".repeat(200 * 1024);
    assert_eq!(daemon.get("/v1/check", &[("x-long", &long)]).await.0, 431);
    assert_eq!(daemon.get("/healthz", &[]).await.0, 200);
    daemon.stop.send(true).unwrap();
    tokio::time::timeout(Duration::from_secs(10), daemon.running)
        .await
        .unwrap()
        .unwrap();
    assert!(
        daemon
            .client
            .get(format!("{}/healthz", daemon.base))
            .send()
            .await
            .is_err()
    );
}
