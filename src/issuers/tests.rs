//! Fetching from a real HTTP server on loopback.

use super::*;
use crate::tokens::keys::KeyFault;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

const ISSUER: &str = "https://idp.example.com/";
const PUBLIC: &str = include_str!("../../tests/fixtures/keys/public.jwks.json");
const ONE_KEY: &str = r#"{"kty":"OKP","crv":"Ed25519","kid":"rotated",
    "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;

/// What the server answers, and how often it was asked.
#[derive(Default)]
struct Answers {
    next: Mutex<(StatusCode, Vec<u8>)>,
    delay: Duration,
    asked: AtomicUsize,
}

impl Answers {
    fn of(status: StatusCode, body: impl Into<Vec<u8>>) -> Arc<Self> {
        let answers = Self::default();
        answers.set(status, body);
        Arc::new(answers)
    }

    fn set(&self, status: StatusCode, body: impl Into<Vec<u8>>) {
        *self.next.lock().unwrap() = (status, body.into());
    }
}

async fn answer(State(answers): State<Arc<Answers>>) -> Response {
    answers.asked.fetch_add(1, Ordering::SeqCst);
    tokio::time::sleep(answers.delay).await;
    let (status, body) = answers.next.lock().unwrap().clone();
    let mut headers = HeaderMap::new();
    headers.insert(
        header::CACHE_CONTROL,
        "public, Max-Age=600".parse().unwrap(),
    );
    headers.insert(header::LOCATION, "/elsewhere".parse().unwrap());
    (status, headers, body).into_response()
}

/// Starts a key server; its address holds a user, a password and a query, which nothing may show.
async fn serve(answers: Arc<Answers>) -> KeySource {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let router = Router::new().fallback(answer).with_state(answers);
    tokio::spawn(async move { axum::serve(listener, router).await });
    let url = format!("http://user:hidden@127.0.0.1:{port}/jwks?secret=hidden");
    KeySource {
        issuer: ISSUER.into(),
        location: Location::url(&url).unwrap(),
    }
}

async fn fetch(source: &KeySource) -> Result<FetchedKeys, FetchFault> {
    fetch_within(Pace::default().timeout, source).await
}

async fn fetch_within(timeout: Duration, source: &KeySource) -> Result<FetchedKeys, FetchFault> {
    let fetched = Fetcher::new(timeout).unwrap().fetch(source).await;
    if let Err(fault) = &fetched {
        let shown = format!("{fault} {fault:?} {source:?}");
        assert!(
            !shown.contains("hidden") && shown.contains("127.0.0.1"),
            "{shown}"
        );
    }
    fetched
}

/// Starts a refresher and gives the sets as they come.
fn refresh(source: KeySource, pace: Pace) -> (KeyRequests, mpsc::UnboundedReceiver<FetchedKeys>) {
    let refresher = Refresher::new(vec![source], pace).unwrap();
    let requests = refresher.requests();
    let (deliver, delivered) = mpsc::unbounded_channel();
    tokio::spawn(refresher.run(move |keys| drop(deliver.send(keys))));
    (requests, delivered)
}

fn pace(every: Duration) -> Pace {
    Pace {
        every,
        ..Pace::default()
    }
}

#[tokio::test]
async fn a_key_set_is_fetched_with_the_time_it_may_be_kept() {
    let source = serve(Answers::of(StatusCode::OK, PUBLIC)).await;
    let fetched = fetch(&source).await.unwrap();
    assert_eq!((fetched.set.len(), fetched.set.skipped()), (3, 0));
    assert_eq!(fetched.fresh_for, Some(Duration::from_secs(600)));
    assert!(fetched.fetched_at.as_s() > 1_700_000_000);
}

#[tokio::test]
async fn a_key_set_is_read_from_a_file_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jwks.json");
    let source = KeySource {
        issuer: ISSUER.into(),
        location: Location::file(&path),
    };
    let fetcher = Fetcher::new(Duration::from_secs(1)).unwrap();
    let missing = fetcher.fetch(&source).await.unwrap_err().to_string();
    assert!(
        missing.contains("jwks.json") && missing.contains("No such file"),
        "{missing}"
    );
    std::fs::write(&path, PUBLIC).unwrap();
    assert_eq!(fetcher.fetch(&source).await.unwrap().set.len(), 3);
}

#[tokio::test]
async fn what_is_no_key_set_is_refused_by_name() {
    let too_many = format!(r#"{{"keys":[{}{{}}]}}"#, "{},".repeat(200));
    for (body, expected) in [
        ("<html>".to_owned(), KeyFault::NotKeys),
        ("[]".to_owned(), KeyFault::NotKeys),
        (r#"{"keys":{}}"#.to_owned(), KeyFault::NotKeys),
        (
            r#"{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"}]}"#.to_owned(),
            KeyFault::NoneUsable,
        ),
        (too_many, KeyFault::TooMany),
        (" ".repeat(1024 * 1024 + 1), KeyFault::TooLarge),
        (" ".repeat(8 * 1024 * 1024), KeyFault::TooLarge),
    ] {
        let source = serve(Answers::of(StatusCode::OK, body)).await;
        match fetch(&source).await {
            Err(FetchFault::NotKeys { reason, .. }) => assert_eq!(reason, expected),
            other => panic!("{expected:?}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn redirects_are_not_followed_and_other_answers_are_named() {
    let answers = Answers::of(StatusCode::FOUND, PUBLIC);
    let source = serve(answers.clone()).await;
    let redirected = fetch(&source).await;
    assert!(matches!(
        redirected,
        Err(FetchFault::Redirected { status: 302, .. })
    ));
    assert_eq!(answers.asked.load(Ordering::SeqCst), 1);
    answers.set(StatusCode::SERVICE_UNAVAILABLE, PUBLIC);
    let status = fetch(&source).await;
    assert!(matches!(
        status,
        Err(FetchFault::Status { status: 503, .. })
    ));
}

#[tokio::test]
async fn a_server_that_is_slow_or_away_is_given_up() {
    let slow = Answers {
        delay: Duration::from_secs(60),
        ..Answers::default()
    };
    let source = serve(Arc::new(slow)).await;
    let timed_out = fetch_within(Duration::from_millis(100), &source).await;
    assert!(
        matches!(timed_out, Err(FetchFault::TimedOut { .. })),
        "{timed_out:?}"
    );
    let away = KeySource {
        issuer: ISSUER.into(),
        location: Location::url("http://user:hidden@127.0.0.1:9/jwks").unwrap(),
    };
    let fault = fetch(&away).await.unwrap_err();
    assert!(fault.to_string().contains("refused"), "{fault}");
}

#[test]
fn only_https_or_loopback_is_an_address_and_no_secret_of_it_is_shown() {
    for text in [
        "https://idp.example.com/jwks",
        "http://[::1]:8080/jwks",
        "http://localhost/jwks",
    ] {
        assert!(Location::url(text).is_ok(), "{text}");
    }
    for text in [
        "http://u:hidden@idp.example.com/jwks?hidden",
        "http://u:hidden@localhost.example.com/jwks",
        "ftp://u:hidden@127.0.0.1/jwks?hidden",
        "u:hidden@idp.example.com/jwks?hidden",
        "https://u:hidden@:99999999/jwks?hidden",
    ] {
        let fault = Location::url(text).unwrap_err();
        assert!(
            !format!("{fault} {fault:?}").contains("hidden"),
            "{fault:?}"
        );
    }
}

#[tokio::test]
async fn a_rotation_is_noticed_when_somebody_asks_and_a_failure_keeps_the_last_set() {
    let answers = Answers::of(StatusCode::OK, PUBLIC);
    let quick = Pace {
        apart_min: Duration::from_millis(20),
        ..Pace::default()
    };
    let (requests, mut delivered) = refresh(serve(answers.clone()).await, quick);
    assert!(delivered.recv().await.unwrap().set.names("rsa-2048"));

    answers.set(StatusCode::INTERNAL_SERVER_ERROR, "");
    requests.ask(ISSUER);
    while answers.asked.load(Ordering::SeqCst) < 2 {
        tokio::task::yield_now().await;
    }
    assert!(delivered.try_recv().is_err());

    answers.set(StatusCode::OK, ONE_KEY);
    requests.ask(ISSUER);
    assert!(delivered.recv().await.unwrap().set.names("rotated"));
}

#[tokio::test]
async fn keys_are_fetched_at_a_steady_pace_from_a_file_that_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jwks.json");
    std::fs::write(&path, PUBLIC).unwrap();
    let source = KeySource {
        issuer: ISSUER.into(),
        location: Location::file(&path),
    };
    let (_requests, mut delivered) = refresh(source, pace(Duration::from_millis(10)));
    assert!(delivered.recv().await.unwrap().set.names("rsa-2048"));
    std::fs::write(&path, ONE_KEY).unwrap();
    while !delivered.recv().await.unwrap().set.names("rotated") {}
}

#[tokio::test]
async fn many_who_ask_are_one_fetch_in_the_time_that_fetches_are_apart() {
    let answers = Answers::of(StatusCode::OK, PUBLIC);
    let slow = Pace {
        apart_min: Duration::from_millis(200),
        ..Pace::default()
    };
    let began = Instant::now();
    let (requests, mut delivered) = refresh(serve(answers.clone()).await, slow);
    for _ in 0..3 {
        for _ in 0..1000 {
            requests.ask(ISSUER);
            requests.ask("https://idp.example.org/");
        }
        delivered.recv().await.unwrap();
    }
    let fetches = answers.asked.load(Ordering::SeqCst);
    let allowed = 1 + began.elapsed().as_millis() / 200;
    assert!(
        (3..=allowed).contains(&(fetches as u128)),
        "{fetches} of {allowed}"
    );
}
