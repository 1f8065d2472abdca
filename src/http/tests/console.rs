//! The console's page, what it asks, and what comes to it by itself.

use super::*;
use crate::domain::incident::State as Where;
use std::collections::HashMap;

#[tokio::test]
async fn the_console_is_a_page_without_data_that_runs_its_own_script_alone() {
    let daemon = start(anywhere()).await;
    let response = daemon.client.get(format!("{}/", daemon.base)).send();
    let response = response.await.unwrap();
    let policy = response.headers()["content-security-policy"].to_str();
    let policy = policy.unwrap().to_owned();
    assert!(policy.starts_with("default-src 'none'; script-src 'self'"));
    assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"));
    let page = response.text().await.unwrap();
    assert!(page.contains("/console.js") && !page.contains("i-0000"));
    for (path, kind) in [
        ("/console.js", "text/javascript"),
        ("/console.css", "text/css"),
        ("/console.svg", "image/svg+xml"),
    ] {
        let response = daemon.client.get(format!("{}{path}", daemon.base)).send();
        let response = response.await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        let shown = response.headers()["content-type"].to_str().unwrap();
        assert!(shown.starts_with(kind), "{shown}");
        let policy = &response.headers()["content-security-policy"];
        assert_eq!(policy, "default-src 'none'; frame-ancestors 'none'");
    }
}

#[tokio::test]
async fn what_the_console_asks_is_for_viewers_alone() {
    let daemon = start(Options {
        viewer_secret: Some("vs".to_owned()),
        ..anywhere()
    })
    .await;
    for path in [
        "/v1/status",
        "/v1/rules",
        "/v1/denylist",
        "/v1/outbox",
        "/v1/events",
        "/v1/incidents/i-00000000000000000001/findings",
    ] {
        assert_eq!(daemon.get(path, &[]).await.0, 401, "{path}");
        let foreign = [
            ("sec-fetch-site", "cross-site"),
            ("authorization", "Bearer vs"),
        ];
        assert_eq!(daemon.get(path, &foreign).await.0, 403, "{path}");
    }
    let (status, _) = daemon
        .get("/v1/status", &[("authorization", "Bearer vs")])
        .await;
    assert_eq!(status, 200);
    assert_eq!(daemon.get("/", &[]).await.0, 200, "the page holds nothing");
}

#[tokio::test]
async fn the_status_says_what_metrics_and_parts_say() {
    let daemon = start(anywhere()).await;
    let metrics = &daemon.parts.metrics;
    metrics.lines_read("access.log", 12);
    metrics.lines_skipped("empty", 2);
    for lag_s in [0.2; 99] {
        metrics.event_lag("access.log", lag_s);
    }
    metrics.event_lag("access.log", 50.0);
    daemon
        .parts
        .readiness
        .impaired("sources", "b.log cannot be read");
    let (status, body) = daemon.get("/v1/status", &[]).await;
    assert_eq!(status, 200, "{body}");
    let said: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(said["sources"][0]["source"], "access.log");
    assert_eq!(said["sources"][0]["numbers"]["lines"], 12.0);
    assert_eq!(said["sources"][0]["numbers"]["lag_s_p95"], 0.25);
    assert_eq!(said["skipped"], json!({"empty": 2.0}));
    assert_eq!(said["parts"]["sources"], "impaired: b.log cannot be read");
    assert_eq!(said["outbox"], json!({"open": 0, "waiting": 0, "dead": 0}));
    assert_eq!(said["paused"], false);
}

#[tokio::test]
async fn rules_are_those_in_force_with_how_often_they_spoke() {
    let daemon = start(anywhere()).await;
    let rule = RuleShown {
        name: "overlap".to_owned(),
        title: "Two holders at once".to_owned(),
        level: "high",
        score: 60,
        dimension: "client",
        description: String::new(),
        runbook: String::new(),
    };
    daemon.parts.in_force.set(Settled {
        rules: vec![rule],
        mode: "approve",
        ..Settled::default()
    });
    daemon.parts.metrics.findings("overlap", "high", 3);
    let (_, body) = daemon.get("/v1/rules", &[]).await;
    let said: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(said["mode"], "approve");
    assert_eq!(said["rules"][0]["findings"], 3.0);
}

/// The next event of a stream and its data.
async fn next(stream: &mut reqwest::Response, rest: &mut String) -> (String, Value) {
    loop {
        if let Some((message, after)) = rest.split_once("\n\n") {
            let fields: HashMap<_, _> = message
                .lines()
                .filter_map(|line| line.split_once(": "))
                .collect();
            let (event, data) = (fields.get("event").copied(), fields.get("data").copied());
            let event = event.unwrap_or_default().to_owned();
            let data = data.map(|data| serde_json::from_str(data).unwrap());
            *rest = after.to_owned();
            if !event.is_empty() {
                return (event, data.unwrap_or_default());
            }
            continue;
        }
        let waited = tokio::time::timeout(Duration::from_secs(20), stream.chunk()).await;
        let chunk = waited.expect("no event came").unwrap();
        rest.push_str(std::str::from_utf8(&chunk.expect("the stream ended")).unwrap());
    }
}

#[tokio::test]
async fn a_new_incident_and_a_decision_come_by_themselves_and_the_stream_ends_with_the_server() {
    let daemon = start(anywhere()).await;
    let stream = daemon
        .client
        .get(format!("{}/v1/events", daemon.base))
        .send();
    let mut stream = stream.await.unwrap();
    let kind = stream.headers()["content-type"].to_str().unwrap();
    assert_eq!(kind, "text/event-stream");
    let mut rest = String::new();
    assert_eq!(next(&mut stream, &mut rest).await.0, "ready");

    let third = incident("i-00000000000000000003", "high", "2026-05-04T12:00:00.000Z");
    let batch = Batch {
        findings: &[],
        incidents: std::slice::from_ref(&third),
        deliveries: &[],
    };
    daemon.parts.store.record(batch, Time::default()).unwrap();
    let (event, shown) = next(&mut stream, &mut rest).await;
    assert_eq!(event, "incident");
    assert_eq!(shown["id"], "i-00000000000000000003");
    assert_eq!(next(&mut stream, &mut rest).await.0, "changed");

    let store = &daemon.parts.store;
    store
        .set_state(
            third.id,
            Where::Resolved,
            Vec::new(),
            "ann",
            Time::default(),
        )
        .unwrap();
    let (event, shown) = next(&mut stream, &mut rest).await;
    assert_eq!(
        (event.as_str(), &shown["state"]),
        ("incident", &json!("resolved"))
    );
    assert_eq!(next(&mut stream, &mut rest).await.0, "changed");

    let begun = Instant::now();
    daemon.stop.send(true).unwrap();
    while let Some(chunk) = stream.chunk().await.unwrap() {
        assert!(!chunk.is_empty());
    }
    assert!(
        begun.elapsed() < Duration::from_secs(4),
        "it is not cut off"
    );
}

#[tokio::test]
async fn the_denylist_and_the_outbox_are_shown() {
    let daemon = start(anywhere()).await;
    let (_, body) = daemon.get("/v1/denylist", &[]).await;
    let said: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(said, json!({"denied": [], "count": 0}));
    let (_, body) = daemon.get("/v1/outbox", &[]).await;
    assert_eq!(
        serde_json::from_str::<Value>(&body).unwrap(),
        json!({"rows": []})
    );
}
