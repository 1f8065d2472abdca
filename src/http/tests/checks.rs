//! `/v1/check`: who passes, who does not, who hears of it, how fast.

use super::*;

#[tokio::test]
async fn a_denied_token_is_refused_wherever_it_stands() {
    let daemon = start(anywhere()).await;
    let stolen = token("stolen");
    let bearer = format!("Bearer {stolen}");
    let places = [
        ("authorization", bearer.clone()),
        ("authorization", format!("DPoP {stolen}")),
        ("cookie", format!("theme=dark; session={stolen}")),
        ("cookie", format!("session=%65{}", &stolen[1..])),
        ("x-forwarded-access-token", stolen.clone()),
        ("x-amzn-oidc-data", stolen.clone()),
        ("x-some-company-token", stolen.clone()),
        ("sec-websocket-protocol", format!("chat, {stolen}")),
        ("x-original-uri", format!("/socket?access_token={stolen}")),
        (
            "x-original-uri",
            format!("/socket?access_token=%65{}", &stolen[1..]),
        ),
        ("x-forwarded-uri", format!("/files/{stolen}/a.pdf")),
    ];
    for (name, value) in places {
        let (status, _) = daemon.get("/v1/check", &[(name, &value)]).await;
        assert_eq!(status, 401, "{name}");
    }
    // Envoy appends the path; a header of the client's own does not hide it, nor a better token.
    let path = format!("/v1/check/api/socket?token={stolen}");
    let decoy = [
        ("x-original-uri", "/"),
        ("authorization", &format!("Bearer {}", token("good"))),
    ];
    assert_eq!(daemon.get(&path, &decoy).await.0, 401);
    for method in ["POST", "OPTIONS", "PROPFIND"] {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let request = daemon
            .client
            .request(method, format!("{}/v1/check", daemon.base));
        let response = request
            .header("authorization", &bearer)
            .body("x")
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), 401);
        assert_eq!(
            response.headers()["www-authenticate"],
            "Bearer error=\"invalid_token\""
        );
        assert!(!response.text().await.unwrap().contains("eyJ"));
    }
}

#[tokio::test]
async fn whoever_shows_no_denied_token_passes() {
    let daemon = start(anywhere()).await;
    let good = format!("Bearer {}", token("good"));
    let referer = format!("https://www.example.com/?t={}", token("stolen"));
    for headers in [
        &[][..],
        &[("authorization", good.as_str())],
        &[("authorization", "Bearer eyJ.eyJ.")],
        &[("authorization", "Basic dXNlcjpwYXNz"), ("cookie", "a=b")],
        &[("referer", referer.as_str())],
    ] {
        assert_eq!(daemon.get("/v1/check/any/path?x=1", headers).await.0, 200);
    }
}

#[tokio::test]
async fn a_denied_token_does_not_hide_behind_many() {
    let daemon = start(anywhere()).await;
    let crowd: Vec<String> = (0..12)
        .map(|n| format!("c{n}={}", token(&n.to_string())))
        .collect();
    let crowd = format!("{}; session={}", crowd.join("; "), token("stolen"));
    assert_eq!(daemon.get("/v1/check", &[("cookie", &crowd)]).await.0, 401);
}

#[tokio::test]
async fn a_sensor_hears_of_every_token_that_is_asked_about() {
    #[derive(Default)]
    struct Heard(AtomicUsize, AtomicUsize);
    impl Sensor for Heard {
        fn presented(&self, seen: &Seen<'_>) {
            self.0.fetch_add(1, Ordering::SeqCst);
            self.1.fetch_add(usize::from(seen.denied), Ordering::SeqCst);
            assert_eq!(seen.event.path.as_deref(), Some("/api"));
        }
    }
    let heard = Arc::new(Heard::default());
    let folder = TempDir::new().unwrap();
    let check = Check::new(IdKey::public([7; 32]), Arc::new(Denylist::default()));
    let check = Arc::new(check.with_sensor(heard.clone()));
    let server = Server::bind(
        anywhere(),
        Parts {
            check,
            ..parts(&folder)
        },
    )
    .await
    .unwrap();
    let url = format!("http://{}/v1/check", server.addresses()[0]);
    let (_stop, stopped) = watch::channel(false);
    tokio::spawn(server.run(stopped));
    let request = reqwest::Client::builder()
        .no_proxy()
        .build()
        .unwrap()
        .get(url);
    let request = request
        .header("x-original-uri", "/api")
        .bearer_auth(token("stolen"));
    assert_eq!(request.send().await.unwrap().status(), 200);
    assert_eq!(
        (
            heard.0.load(Ordering::SeqCst),
            heard.1.load(Ordering::SeqCst)
        ),
        (1, 0)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_check_answers_thousands_of_requests_fast_enough_for_a_gateway() {
    let daemon = Arc::new(start(anywhere()).await);
    let bearer = format!("Bearer {}", token("stolen"));
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let (daemon, bearer) = (daemon.clone(), bearer.clone());
        clients.spawn(async move {
            let mut took = Vec::new();
            for _ in 0..500 {
                let start = Instant::now();
                let (status, _) = daemon.get("/v1/check", &[("authorization", &bearer)]).await;
                took.push(start.elapsed());
                assert_eq!(status, 401);
            }
            took
        });
    }
    let mut took: Vec<Duration> = clients.join_all().await.concat();
    took.sort();
    let at = |share: f64| took[(took.len() as f64 * share) as usize];
    println!(
        "/v1/check, 4 clients, 2000 requests: p50 {:?}, p99 {:?}",
        at(0.5),
        at(0.99)
    );
    assert!(at(0.99) < Duration::from_secs(1));
    let (_, metrics) = daemon.get("/metrics", &[]).await;
    assert!(metrics.contains("tokentrip_checks_total{outcome=\"denied\"} 2000\n"));
    assert!(metrics.contains("tokentrip_denylist_size 1\n"));
}
