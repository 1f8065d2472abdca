//! Providers before the real thing: CrowdSec's local API, a certified OpenID provider with RFC 7009, Cognito as moto
//! has it, a receiver of security events that verifies with `jose`, a mail server.
//!
//! In: nothing. Out: what the peer says of itself afterwards.
//! Source: Debian's `crowdsec`, unpacked; `oidc-provider` and `jose` from npm; `moto` and `aiosmtpd` from PyPI.
//! `tests/all` installs them.

use crate::providers::{Evidence, action, configured, target};
use crate::support::daemon::{Daemon, free_port, tokentrip, until};
use crate::support::gateways::{peer, peers};
use crate::support::house::{append, house};
use crate::support::logs::{BROWSER, ISSUER, LISBON, OTHER_BROWSER, TOKYO, claims, line};
use crate::support::mint::mint;
use crate::support::shipped;
use crate::support::vendor::{Exchange, Reply, Vendor};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokentrip::domain::action::{Outcome, Step};
use tokentrip::domain::ids::{IdKey, IncidentId};
use tokentrip::domain::incident::{Incident, Target};
use tokentrip::domain::token::RawToken;
use tokentrip::http::{Check, Options, Parts, Readiness, Server};
use tokentrip::metrics::Metrics;
use tokentrip::outbound::{Caller, now};
use tokentrip::response::case::{CaseFile, Gone, Looked};
use tokentrip::response::providers::Provider;
use tokentrip::store::Store;

/// A program that ends with its test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(command: &mut Command, port: u16, log: &Path) -> Running {
    let log = File::create(log).unwrap();
    let quiet = command.stdout(log.try_clone().unwrap()).stderr(log);
    let child = quiet.spawn();
    let running = Running(child.unwrap_or_else(|error| panic!("{command:?}: {error}")));
    until("somebody listens", || {
        TcpStream::connect(("127.0.0.1", port)).ok()
    });
    running
}

/// A provider of a configuration in this folder.
fn provider(folder: &Path, text: &str, secret: &str, token: Option<&str>) -> Arc<dyn Provider> {
    fs::write(folder.join("secret"), secret).unwrap();
    let file = folder.join("tokentrip.toml");
    configured(text, &file, Evidence(token.map(str::to_owned)))
}

async fn act(provider: &dyn Provider, step: Step, target: Target) -> Outcome {
    provider.carry_out(&action(provider, step, target)).await
}

/// The JSON that somebody answers.
async fn ask(url: &str, headers: &[(&str, &str)], body: Option<String>) -> Value {
    let caller = Caller::new().unwrap();
    let mut request = match body {
        Some(body) => caller.client().post(url).body(body),
        None => caller.client().get(url),
    };
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = caller.send(request).await.unwrap();
    serde_json::from_slice(&answer.body).unwrap()
}

/// CrowdSec's local API without its engine and without the internet, for one machine and one bouncer.
fn crowdsec(folder: &Path, port: u16) -> Running {
    let here = folder.display();
    let files = [
        ("simulation.yaml", "simulation: false\n".to_owned()),
        ("index.json", "{}".to_owned()),
        ("console.yaml", "share_manual_decisions: false\n".to_owned()),
        (
            "profiles.yaml",
            "name: none\nfilters: [\"false\"]\ndecisions: []\n".to_owned(),
        ),
        ("local.yaml", String::new()),
        (
            "config.yaml",
            format!(
                "common: {{daemonize: false, log_media: stdout, working_dir: {here}}}\n\
                 config_paths: {{config_dir: {here}, data_dir: {here}, simulation_path: {here}/simulation.yaml, \
                 hub_dir: {here}, index_path: {here}/index.json, notification_dir: {here}, plugin_dir: {here}}}\n\
                 cscli: {{output: json}}\n\
                 db_config: {{type: sqlite, db_path: {here}/crowdsec.db}}\n\
                 api:\n  client: {{credentials_path: {here}/local.yaml}}\n  \
                 server: {{listen_uri: 127.0.0.1:{port}, profiles_path: {here}/profiles.yaml, \
                 console_path: {here}/console.yaml}}\n\
                 prometheus: {{enabled: false}}\n"
            ),
        ),
    ];
    for (name, text) in files {
        fs::write(folder.join(name), text).unwrap();
    }
    let config = folder.join("config.yaml");
    let made = folder.join("machine.yaml");
    let made = made.to_str().unwrap();
    for arguments in [
        [
            "machines",
            "add",
            "tokentrip",
            "--password",
            "s3cret",
            "-f",
            made,
        ],
        ["bouncers", "add", "edge", "-k", "bouncer", "-o", "raw"],
    ] {
        let mut cscli = peer("../crowdsec/usr/bin/cscli");
        let output = cscli
            .arg("-c")
            .arg(&config)
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
    }
    let mut crowdsec = peer("../crowdsec/usr/bin/crowdsec");
    crowdsec.arg("-c").arg(&config).args(["-no-cs", "-no-capi"]);
    start(&mut crowdsec, port, &folder.join("log"))
}

#[tokio::test(flavor = "multi_thread")]
async fn crowdsec_blocks_the_suspects_address_once_and_lets_it_go_again() {
    let (folder, port) = (TempDir::new().unwrap(), free_port());
    let _crowdsec = crowdsec(folder.path(), port);
    let text = format!(
        "[[provider]]\nkind = \"crowdsec\"\nbase_url = \"http://127.0.0.1:{port}\"\nmachine = \"tokentrip\"\n\
         password_file = \"secret\"\n"
    );
    let provider = provider(folder.path(), &text, "s3cret", None);
    let stream = async |startup: bool| {
        let url = format!("http://127.0.0.1:{port}/v1/decisions/stream?startup={startup}");
        ask(&url, &[("x-api-key", "bouncer")], None).await
    };
    assert_eq!(stream(true).await["new"], Value::Null);
    let address = || target("address");
    assert_eq!(act(&*provider, Step::Block, address()).await, Outcome::Done);
    assert_eq!(
        act(&*provider, Step::Block, address()).await,
        Outcome::AlreadyDone
    );
    let found = stream(true).await;
    let [decision] = &found["new"].as_array().unwrap()[..] else {
        panic!("{found}");
    };
    assert_eq!(decision["value"], "203.0.113.9");
    assert_eq!(
        (&decision["type"], &decision["scope"]),
        (&json!("ban"), &json!("Ip"))
    );
    assert!(
        decision["duration"].as_str().unwrap().starts_with("3h59m"),
        "{decision}"
    );
    assert_eq!(act(&*provider, Step::Undo, address()).await, Outcome::Done);
    let found = stream(false).await;
    assert_eq!(found["deleted"][0]["value"], "203.0.113.9", "{found}");
    assert_eq!(
        act(&*provider, Step::Block, address()).await,
        Outcome::Done,
        "again"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn crowdsec_is_asked_for_no_more_than_it_lets_in() {
    let (folder, port) = (TempDir::new().unwrap(), free_port());
    let _crowdsec = crowdsec(folder.path(), port);
    let text = format!(
        "[[provider]]\nkind = \"crowdsec\"\nbase_url = \"http://127.0.0.1:{port}\"\nmachine = \"tokentrip\"\n\
         password_file = \"secret\"\n"
    );
    let provider = provider(folder.path(), &text, "wrong", None);
    let outcome = act(&*provider, Step::Block, target("address")).await;
    let why = outcome.why().unwrap_or_default();
    assert!(why.contains("check the credentials"), "{outcome:?}");
}

/// Node.js where the packages of the tests are found: the one that came with them, else the system's.
fn node() -> Command {
    let local = peers().join("bin/node");
    let mut command = Command::new(if local.exists() { local } else { "node".into() });
    command.current_dir(peers().join("npm"));
    command
}

/// `oidc-provider` with one client.
fn openid_provider(folder: &Path, port: u16) -> Running {
    let script =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/providers/rfc7009/server.mjs");
    let local = peers().join("bin/node");
    let node = if local.exists() { local } else { "node".into() };
    let mut command = Command::new(node);
    command.args(["--input-type=module", "-", &port.to_string()]);
    command
        .current_dir(peers().join("npm"))
        .stdin(Stdio::from(File::open(script).unwrap()));
    start(&mut command, port, &folder.join("log"))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_openid_provider_revokes_a_token_and_says_where_it_cannot() {
    let (folder, port) = (TempDir::new().unwrap(), free_port());
    let _idp = openid_provider(folder.path(), port);
    let base = format!("http://127.0.0.1:{port}");
    let basic = (
        "authorization",
        "Basic dG9rZW4lMjB0cmlwOnMzY3JldCUzQSUyNQ==",
    );
    let form = ("content-type", "application/x-www-form-urlencoded");
    let token = async |more: &str| {
        let body = format!("grant_type=client_credentials{more}");
        let answer = ask(&format!("{base}/token"), &[basic, form], Some(body)).await;
        answer["access_token"]
            .as_str()
            .unwrap_or_else(|| panic!("{answer}"))
            .to_owned()
    };
    let lives = async |token: &str| {
        let url = format!("{base}/token/introspection");
        ask(&url, &[basic, form], Some(format!("token={token}"))).await["active"] == json!(true)
    };
    let text = format!(
        "[[provider]]\nkind = \"rfc7009\"\nissuer = \"https://idp.example.com/\"\n\
         revocation_endpoint = \"{base}/token/revocation\"\nclient_id = \"token trip\"\n\
         client_secret_file = \"secret\"\n"
    );
    let opaque = token("").await;
    let revoking = provider(folder.path(), &text, "s3cret:%", Some(&opaque));
    assert!(lives(&opaque).await);
    assert_eq!(
        act(&*revoking, Step::Revoke, target("jti")).await,
        Outcome::Done
    );
    assert!(!lives(&opaque).await);
    assert_eq!(
        act(&*revoking, Step::Revoke, target("jti")).await,
        Outcome::Done,
        "again"
    );
    // This one keeps no list of the JWTs that it gave away, and says so.
    let jwt = token("&resource=urn:jwt&scope=read").await;
    let revoking = provider(folder.path(), &text, "s3cret:%", Some(&jwt));
    let outcome = act(&*revoking, Step::Revoke, target("jti")).await;
    assert!(matches!(outcome, Outcome::Impossible { .. }), "{outcome:?}");
    let refused = provider(folder.path(), &text, "wrong", Some(&jwt));
    let outcome = act(&*refused, Step::Revoke, target("jti")).await;
    assert!(matches!(outcome, Outcome::Failed { .. }), "{outcome:?}");
    assert!(!format!("{outcome:?} {refused:?}").contains(&jwt));
}

#[tokio::test(flavor = "multi_thread")]
async fn cognito_signs_a_user_out_and_resets_the_password() {
    let (folder, port) = (TempDir::new().unwrap(), free_port());
    let _moto = start(
        peer("moto_server").args(["-H", "127.0.0.1", "-p", &port.to_string()]),
        port,
        &folder.path().join("log"),
    );
    let base = format!("http://127.0.0.1:{port}");
    let call = async |operation: &str, body: Value| {
        let operation = format!("AWSCognitoIdentityProviderService.{operation}");
        // moto reads from the signature only which service and region are meant.
        let scope = "Credential=AKIDEXAMPLE/20260504/eu-central-1/cognito-idp/aws4_request";
        let signature = format!("AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature=00");
        let headers = [
            ("x-amz-target", &*operation),
            ("content-type", "application/x-amz-json-1.1"),
            ("authorization", &*signature),
        ];
        ask(&base, &headers, Some(body.to_string())).await
    };
    let made = call("CreateUserPool", json!({"PoolName": "shop"})).await;
    let pool = made["UserPool"]["Id"].as_str().unwrap().to_owned();
    for (name, verified) in [("alice", "true"), ("bob", "false")] {
        let mail = json!([
            {"Name": "email", "Value": format!("{name}@example.com")},
            {"Name": "email_verified", "Value": verified},
        ]);
        let user = json!({
            "UserPoolId": pool, "Username": name, "MessageAction": "SUPPRESS", "UserAttributes": mail,
        });
        call("AdminCreateUser", user).await;
        let known = json!({"UserPoolId": pool, "Username": name, "Password": "s3cret-S3CRET", "Permanent": true});
        call("AdminSetUserPassword", known).await;
    }
    let text = format!(
        "[[provider]]\nkind = \"cognito\"\nissuer = \"https://idp.example.com/\"\nregion = \"eu-central-1\"\n\
         user_pool = \"{pool}\"\naccess_key_id = \"AKIDEXAMPLE\"\nsecret_access_key_file = \"secret\"\n\
         base_url = \"{base}\"\n"
    );
    let provider = provider(folder.path(), &text, "secret", None);
    let subject = |sub: &str| Target::Subject {
        iss: "https://idp.example.com/".into(),
        sub: sub.into(),
        not_before_s: 0,
    };
    let status = async || {
        let user = call(
            "AdminGetUser",
            json!({"UserPoolId": pool, "Username": "alice"}),
        )
        .await;
        user["UserStatus"].clone()
    };
    assert_eq!(status().await, "CONFIRMED");
    assert_eq!(
        act(&*provider, Step::Revoke, subject("alice")).await,
        Outcome::Done
    );
    assert_eq!(
        act(&*provider, Step::Password, subject("alice")).await,
        Outcome::Done
    );
    assert_eq!(status().await, "RESET_REQUIRED");
    assert!(
        !provider.idempotent(Step::Password, &subject("alice")),
        "it mails a code"
    );
    let nowhere = act(&*provider, Step::Password, subject("bob")).await;
    assert!(matches!(nowhere, Outcome::Impossible { .. }), "{nowhere:?}");
    let nobody = act(&*provider, Step::Revoke, subject("nobody")).await;
    let why = "there is no such user in the pool".to_owned();
    assert_eq!(nobody, Outcome::Failed { why });
}

/// The fixture's incident, and a place for events that are polled.
#[derive(Debug)]
struct Kept(Arc<Store>);

impl CaseFile for Kept {
    fn incident(&self, id: IncidentId) -> Looked<'_, Incident> {
        Box::pin(async move { Evidence(None).incident(id).await })
    }

    fn token<'a>(&'a self, _: IncidentId, _: &'a Target) -> Looked<'a, RawToken<'static>> {
        Box::pin(async { Err(Gone("not here".to_owned())) })
    }

    fn offer<'a>(&'a self, stream: &'a str, jti: String, set: String) -> Looked<'a, ()> {
        self.0.offer(stream, &jti, &set, now()).unwrap();
        Box::pin(async { Ok(()) })
    }
}

/// A receiver's stream: pushed to an address, or polled with a secret.
fn stream(folder: &Path, how: &str, store: &Arc<Store>) -> Arc<dyn Provider> {
    let key = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/providers/caep/key.pem");
    let text = format!(
        "[[provider]]\nkind = \"caep\"\ntransmitter = \"https://tokentrip.example.com\"\n\
         audience = \"https://receiver.example.com/\"\nkey_file = \"{}\"\n{how}\n",
        key.display()
    );
    let case: Arc<dyn CaseFile> = Arc::new(Kept(store.clone()));
    crate::providers::configured_for(&text, &folder.join("tokentrip.toml"), &case)
}

/// The event that a receiver is given which waits for one, while `happens`; it acknowledges it.
async fn next_event(base: &str, happens: impl Future<Output = Outcome>) -> String {
    let caller = Caller::new().unwrap();
    let poll = |said: Value| {
        let request = caller.client().post(format!("{base}/ssf/poll"));
        let request = request.bearer_auth("poll-s3cret").body(said.to_string());
        async { request.send().await.unwrap().bytes().await.unwrap() }
    };
    let later = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        happens.await
    };
    let (given, outcome) = tokio::join!(poll(json!({})), later);
    assert_eq!(outcome, Outcome::Done);
    let given: Value = serde_json::from_slice(&given).unwrap();
    let (jti, set) = given["sets"].as_object().unwrap().iter().next().unwrap();
    let acknowledged = poll(json!({"ack": [jti], "maxEvents": 0})).await;
    let acknowledged: Value = serde_json::from_slice(&acknowledged).unwrap();
    assert_eq!(acknowledged, json!({"sets": {}, "moreAvailable": false}));
    set.as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
#[allow(clippy::too_many_lines, reason = "one story, told in its order")]
async fn a_security_event_token_is_verified_with_the_keys_that_are_published_pushed_and_polled() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("secret"), "poll-s3cret").unwrap();
    let store = Arc::new(Store::open(&folder.path().join("store.db")).unwrap());
    let receiver = wiremock::MockServer::start().await;
    let accepts = wiremock::Mock::given(wiremock::matchers::method("POST"))
        .and(wiremock::matchers::path("/events"))
        .and(wiremock::matchers::header(
            "content-type",
            "application/secevent+jwt",
        ))
        .and(wiremock::matchers::header(
            "authorization",
            "Bearer poll-s3cret",
        ))
        .respond_with(wiremock::ResponseTemplate::new(202));
    accepts.mount(&receiver).await;
    let how = format!(
        "url = \"{}/events\"\ntoken_file = \"secret\"",
        receiver.uri()
    );
    let push = stream(folder.path(), &how, &store);
    let subject = || Target::Subject {
        iss: "https://idp.example.com/".into(),
        sub: "alice".into(),
        not_before_s: 0,
    };
    assert_eq!(
        act(&*push, Step::Revoke, target("sid")).await,
        Outcome::Done
    );
    let sent = receiver.received_requests().await.unwrap();
    let pushed = String::from_utf8(sent[0].body.clone()).unwrap();
    let poll = stream(
        folder.path(),
        "poll_token_file = \"secret\"\ndialect = \"subject\"",
        &store,
    );
    let parts = Parts {
        metrics: Arc::new(Metrics::new().unwrap()),
        readiness: Arc::new(Readiness::waiting_for(&[])),
        check: Arc::new(Check::new(IdKey::public([0; 32]), Arc::default())),
        store: store.clone(),
        streams: poll.stream().into_iter().collect(),
        in_force: Arc::default(),
        samples: Arc::default(),
    };
    let options = Options {
        listen: Some("127.0.0.1:0".parse().unwrap()),
        ..Options::default()
    };
    let server = Server::bind(options, parts).await.unwrap();
    let base = format!("http://{}", server.addresses()[0]);
    let (_stop, stopped) = tokio::sync::watch::channel(false);
    tokio::spawn(server.run(stopped));
    let risk = next_event(&base, act(&*poll, Step::Risk, subject())).await;
    for step in [Step::Password, Step::Revoke, Step::Revoke] {
        assert_eq!(act(&*poll, step, subject()).await, Outcome::Done);
    }
    let script =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/providers/caep/receiver.mjs");
    let mut command = node();
    command.args([
        "--input-type=module",
        "-",
        &base,
        "poll-s3cret",
        &pushed,
        &risk,
    ]);
    let output = tokio::task::spawn_blocking(move || {
        command
            .stdin(Stdio::from(File::open(script).unwrap()))
            .output()
            .unwrap()
    });
    let output = output.await.unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let revoked = "https://schemas.openid.net/secevent/caep/event-type/session-revoked";
    let set = &report["pushed"]["payload"];
    assert_eq!(
        set["sub_id"]["session"],
        json!({"format": "opaque", "id": "s/1"})
    );
    assert_eq!(set["sub_id"]["user"]["sub"], "alice");
    assert!(
        set.get("sub").is_none() && set.get("exp").is_none(),
        "{set}"
    );
    let event = &set["events"][revoked];
    assert!(
        event["reason_admin"]["en"]
            .as_str()
            .is_some_and(|why| !why.is_empty())
    );
    assert_eq!(
        (
            event.get("subject"),
            set["events"].as_object().unwrap().len()
        ),
        (None, 1)
    );
    assert_eq!(report["pushed"]["header"]["typ"], "secevent+jwt");
    let flags = json!({"same": true, "more": true, "after": 1, "afterMore": false});
    for (name, expected) in flags.as_object().unwrap() {
        assert_eq!(&report[name], expected, "{name}: {report}");
    }
    let at_risk = "https://schemas.openid.net/secevent/caep/event-type/risk-level-change";
    let risk = &report["risk"]["payload"];
    assert_eq!(risk["sub_id"]["format"], "iss_sub");
    let said = ["principal", "current_level", "initiating_entity"];
    let said = said.map(|name| risk["events"][at_risk][name].as_str());
    assert_eq!(said, [Some("USER"), Some("HIGH"), Some("policy")]);
    let polled = report["polled"]["payload"]["events"].as_object().unwrap();
    let inside = polled.values().next().unwrap();
    assert_eq!(
        inside["subject"], report["polled"]["payload"]["sub_id"],
        "the dialect"
    );
    assert_eq!(
        report["metadata"]["issuer"],
        "https://tokentrip.example.com"
    );
    let caller = Caller::new().unwrap();
    let stranger = caller
        .client()
        .post(format!("{base}/ssf/poll"))
        .bearer_auth("wrong")
        .body("{}");
    assert_eq!(caller.send(stranger).await.unwrap().status, 401);
}

#[tokio::test]
async fn what_a_receiver_of_events_refuses_is_a_dead_letter_with_its_reason() {
    let folder = TempDir::new().unwrap();
    let store = Arc::new(Store::open(&folder.path().join("store.db")).unwrap());
    for (status, body, expected, why) in [
        (
            400,
            r#"{"err":"invalid_audience","description":"<b>no</b>"}"#,
            "failed",
            "invalid_audience",
        ),
        (400, r#"{"err":"<script>"}"#, "failed", "no reason given"),
        (401, "", "failed", "answered 401"),
        (429, "", "pending", "answered 429"),
        (503, "", "pending", "answered 503"),
    ] {
        let receiver = wiremock::MockServer::start().await;
        let answer = wiremock::ResponseTemplate::new(status).set_body_string(body);
        wiremock::Mock::given(wiremock::matchers::any())
            .respond_with(answer)
            .mount(&receiver)
            .await;
        let push = stream(
            folder.path(),
            &format!("url = \"{}\"", receiver.uri()),
            &store,
        );
        let outcome = act(&*push, Step::Revoke, target("sid")).await;
        assert_eq!(outcome.name(), expected);
        assert!(outcome.why().unwrap().contains(why), "{outcome:?}");
    }
}

/// aiosmtpd, which keeps what it takes in a mailbox.
fn mail_server(folder: &Path, port: u16) -> Running {
    let mut command = peer("aiosmtpd");
    command.args([
        "-n",
        "-l",
        &format!("127.0.0.1:{port}"),
        "-c",
        "aiosmtpd.handlers.Mailbox",
    ]);
    command.arg(folder.join("mailbox"));
    start(&mut command, port, &folder.join("log"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_user_is_asked_by_one_mail_that_no_attacker_wrote() {
    let (folder, port) = (TempDir::new().unwrap(), free_port());
    let text = format!(
        "[[provider]]\nkind = \"mail\"\nserver = \"smtp://127.0.0.1:{port}\"\nfrom = \"security@example.com\"\n\
         service = \"Example shop\"\nreset_url = \"https://shop.example.com/password\"\n"
    );
    let provider = provider(folder.path(), &text, "", None);
    let ask = |sub: &str| {
        let sub = sub.into();
        (
            Step::Ask,
            Target::Subject {
                iss: "https://idp.example.com/".into(),
                sub,
                not_before_s: 0,
            },
        )
    };
    let (step, alice) = ask("alice@example.com");
    let down = act(&*provider, step, alice.clone()).await;
    assert!(
        matches!(down, Outcome::Unsent { .. }),
        "nobody listens: {down:?}"
    );
    let _server = mail_server(folder.path(), port);
    assert_eq!(act(&*provider, step, alice.clone()).await, Outcome::Done);
    for nobody in [
        "alice",
        "a@example.com, b@example.com",
        "x <a@example.com>",
        "a@example.com\r\nBcc: b@example.com",
    ] {
        let (step, nobody) = ask(nobody);
        let outcome = act(&*provider, step, nobody).await;
        assert!(matches!(outcome, Outcome::Impossible { .. }), "{outcome:?}");
    }
    let kept = fs::read_dir(folder.path().join("mailbox/new")).unwrap();
    let mails: Vec<_> = kept
        .map(|mail| fs::read_to_string(mail.unwrap().path()).unwrap())
        .collect();
    let [mail] = &mails[..] else {
        panic!("{mails:?}");
    };
    for said in [
        "To: alice@example.com",
        "Subject: Somebody else may be using your account at Example shop",
        "Auto-Submitted: auto-generated",
        "2026-05-04 10:1",
        "https://shop.example.com/password",
        "i-0123456789abcdef0123",
    ] {
        assert!(mail.contains(said), "{said}: {mail}");
    }
    assert!(!provider.idempotent(step, &alice));
    assert_eq!(provider.look().unwrap(), "mail to the user: ask subject");
}

#[tokio::test(flavor = "multi_thread")]
#[allow(clippy::too_many_lines, reason = "one story, told in its order")]
async fn the_token_to_revoke_is_read_from_the_log_again_though_it_was_rotated_and_packed() {
    if !shipped(&["network_and_client_changed"]) {
        return;
    }
    let (folder, mut config) = house();
    let vendor = Vendor::start();
    fs::write(folder.path().join("secret"), "s3cret").unwrap();
    config += &format!(
        "[response]\nmode = \"approve\"\n[[provider]]\nkind = \"rfc7009\"\nissuer = \"{ISSUER}\"\n\
         revocation_endpoint = \"{}/revoke\"\nclient_id = \"shop\"\nclient_secret_file = \"secret\"\n",
        vendor.base
    );
    let daemon = Daemon::start(folder.path(), &config);
    let now_s = now().as_s();
    let token = mint(&claims("alice", now_s - 600), "rsa-2048");
    let log = folder.path().join("access.log");
    for step in 0..6 {
        let line = line(
            now_s - 400 + step * 30,
            LISBON,
            BROWSER,
            "/api/orders",
            &token,
        );
        append(&log, line.as_bytes());
    }
    append(
        &log,
        line(now_s - 1, TOKYO, OTHER_BROWSER, "/api/export", &token).as_bytes(),
    );
    let incident = until("an incident", || daemon.incidents().pop());
    let id = incident["id"].as_str().unwrap().to_owned();
    let packed = fs::read(&log).unwrap();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut gzip, &packed).unwrap();
    fs::write(
        folder.path().join("access.log.1.gz"),
        gzip.finish().unwrap(),
    )
    .unwrap();
    fs::write(&log, "").unwrap();
    vendor.expect([Reply::Answer(Box::new(Exchange {
        request: "POST /revoke".to_owned(),
        headers: [(
            "authorization".to_owned(),
            "Basic c2hvcDpzM2NyZXQ=".to_owned(),
        )]
        .into(),
        body: format!("token={token}&token_type_hint=access_token"),
        answer: 200,
        with: String::new(),
        and: Default::default(),
    }))]);
    let mut approve = tokentrip();
    approve.args(["incidents", "approve", &id, "--config"]);
    let output = approve
        .arg(folder.path().join("tokentrip.toml"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    until("the revocation", || {
        let incident = daemon.incidents().pop()?;
        let actions = incident["actions"].as_array()?.clone();
        let mut revoked = actions
            .iter()
            .filter(|action| action["provider"] == "rfc7009");
        revoked
            .any(|action| action["outcome"] == "done")
            .then_some(())
    });
    assert_eq!(vendor.wrong(), [""; 0]);
    let store = fs::read(folder.path().join("state/store.db")).unwrap();
    let signature = token.rsplit('.').next().unwrap().as_bytes();
    assert!(
        !store.windows(signature.len()).any(|part| part == signature),
        "kept"
    );
    assert!(!daemon.log().contains(&token), "told");
}
