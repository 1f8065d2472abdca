//! Each sink before the receiver it was made for.
//!
//! In: the incident of the fixtures. Out: what a real Alertmanager, rsyslog (TCP, UDP and TLS) and mail server kept; of
//! Slack and PagerDuty, which cannot be had here, what strict stand-ins were sent.
//! Source: Debian's `prometheus-alertmanager` and `rsyslog`; `aiosmtpd` from PyPI, which `tests/all` installs.

use crate::support::daemon::{free_port, get, until};
use crate::support::gateways::peer;
use serde_json::Value;
use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;
use tokentrip::config::Config;
use tokentrip::domain::action::{Alert, Outcome};
use tokentrip::domain::finding::Level;
use tokentrip::domain::incident::Incident;
use tokentrip::outbound::Caller;
use tokentrip::outbound::now;
use tokentrip::sinks::{self, Event, Receiver};
use wiremock::matchers::{body_json, header, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

/// A program that ends with its test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(command: &mut Command) -> Running {
    let quiet = command.stdout(Stdio::null()).stderr(Stdio::null());
    Running(
        quiet
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}")),
    )
}

fn holds(what: &str, mut is: impl FnMut() -> bool) {
    until(what, || is().then_some(()));
}

fn listens(port: u16) {
    holds("somebody listens", || {
        TcpStream::connect(("127.0.0.1", port)).is_ok()
    });
}

/// The incident of the fixtures, as if it had just happened.
fn incident() -> Incident {
    let text = include_str!("fixtures/sinks/webhook/incident.json");
    let mut incident: Incident = serde_json::from_str(text).unwrap();
    incident.opened = now().plus_ms(-5000);
    incident.updated = now().plus_ms(-1000);
    incident
}

fn sink(folder: &Path, keys: &str) -> Receiver {
    let text = format!("[[sink]]\n{keys}\n");
    let file = folder.join("tokentrip.toml");
    let config = Config::of_text(&text, Some(&file), &Default::default());
    let config = config.unwrap_or_else(|error| panic!("{error}"));
    let made = &config.sinks[0];
    let caller = Caller::new().unwrap();
    Receiver::new(
        &made.name,
        made.level_min,
        made.kind,
        &made.options,
        &caller,
    )
    .unwrap()
}

async fn tell(to: &Receiver, event: Event, incident: &Incident) -> Outcome {
    let alerts = sinks::alerts(std::slice::from_ref(to), event, incident);
    let [alert]: [Alert; 1] = alerts.try_into().unwrap();
    to.sink.deliver(&alert).await
}

/// What Alertmanager says fires now: summary and severity.
fn firing(port: u16) -> Vec<(String, String)> {
    let (status, body) = get(port, "/api/v2/alerts?active=true", &[]).unwrap();
    assert_eq!(status, 200, "{body}");
    let alerts: Vec<Value> = serde_json::from_str(&body).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let shown = alerts.iter().map(|alert| {
        let (labels, annotations) = (&alert["labels"], &alert["annotations"]);
        (text(&annotations["summary"]), text(&labels["severity"]))
    });
    shown.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incident_fires_in_alertmanager_changes_its_level_and_ends() {
    let folder = TempDir::new().unwrap();
    let port = free_port();
    let settings = folder.path().join("alertmanager.yml");
    fs::write(
        &settings,
        "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n",
    )
    .unwrap();
    let _alertmanager = start(Command::new("prometheus-alertmanager").args([
        format!("--config.file={}", settings.display()),
        format!("--storage.path={}", folder.path().display()),
        format!("--web.listen-address=127.0.0.1:{port}"),
        "--cluster.listen-address=".to_owned(),
    ]));
    listens(port);
    holds("it is ready", || {
        get(port, "/-/ready", &[]).is_some_and(|(status, _)| status == 200)
    });
    let keys = format!("kind = \"alertmanager\"\nurl = \"http://127.0.0.1:{port}\"");
    let sink = sink(folder.path(), &keys);
    let mut incident = incident();
    let title = incident.title.clone();
    incident.level = Level::High;
    assert_eq!(tell(&sink, Event::Opened, &incident).await, Outcome::Done);
    holds("it fires, or no more", || {
        firing(port) == [(title.clone(), "high".to_owned())]
    });
    incident.level = Level::Critical;
    assert_eq!(tell(&sink, Event::Updated, &incident).await, Outcome::Done);
    holds("it fires, or no more", || {
        firing(port) == [(title.clone(), "critical".to_owned())]
    });
    assert_eq!(tell(&sink, Event::Resolved, &incident).await, Outcome::Done);
    holds("it fires, or no more", || firing(port).is_empty());
}

/// A key and a self-signed certificate for 127.0.0.1.
fn certificate(folder: &Path) {
    let made = Command::new("openssl")
        .args([
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1",
        ])
        .args([
            "-subj",
            "/CN=127.0.0.1",
            "-addext",
            "subjectAltName=IP:127.0.0.1",
        ])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .arg("-keyout")
        .arg(folder.join("key.pem"))
        .arg("-out")
        .arg(folder.join("certificate.pem"))
        .stderr(Stdio::null())
        .status();
    assert!(made.unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn rsyslog_takes_an_incident_as_cef_over_tcp_and_udp() {
    let folder = TempDir::new().unwrap();
    let (port, log) = (free_port(), folder.path().join("received.log"));
    let settings = folder.path().join("rsyslog.conf");
    let text = format!(
        "global(workDirectory=\"{work}\")\nmodule(load=\"imtcp\")\nmodule(load=\"imudp\")\n\
         input(type=\"imtcp\" port=\"{port}\" address=\"127.0.0.1\")\n\
         input(type=\"imudp\" port=\"{port}\" address=\"127.0.0.1\")\n\
         template(name=\"kept\" type=\"string\" string=\"%pri% %app-name% %msgid% %msg%\\n\")\n\
         action(type=\"omfile\" file=\"{log}\" template=\"kept\")\n",
        work = folder.path().display(),
        log = log.display()
    );
    fs::write(&settings, text).unwrap();
    let pid = folder.path().join("pid");
    let _rsyslog = start(
        Command::new("rsyslogd")
            .arg("-n")
            .arg("-f")
            .arg(&settings)
            .arg("-i")
            .arg(pid),
    );
    listens(port);
    let received = || fs::read_to_string(&log).unwrap_or_default();
    for (scheme, lines) in [("tcp", 1), ("udp", 2)] {
        let keys = format!("kind = \"syslog\"\naddress = \"{scheme}://127.0.0.1:{port}\"");
        let sink = sink(folder.path(), &keys);
        assert_eq!(tell(&sink, Event::Opened, &incident()).await, Outcome::Done);
        holds("it is received", || received().lines().count() == lines);
    }
    for line in received().lines() {
        assert!(line.starts_with("82 tokentrip incident.opened "), "{line}");
        assert!(line.contains("CEF:0|Tokentrip|tokentrip|"), "{line}");
        assert!(
            line.contains("|alice's session is used from Tokyo by another client|10|"),
            "{line}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn syslog_over_tls_goes_to_whom_the_certificate_names_and_to_nobody_else() {
    let folder = TempDir::new().unwrap();
    certificate(folder.path());
    let (port, log) = (free_port(), folder.path().join("received.log"));
    let server = Command::new("openssl")
        .args([
            "s_server",
            "-quiet",
            "-accept",
            &format!("127.0.0.1:{port}"),
        ])
        .arg("-key")
        .arg(folder.path().join("key.pem"))
        .arg("-cert")
        .arg(folder.path().join("certificate.pem"))
        .stdin(Stdio::piped())
        .stdout(fs::File::create(&log).unwrap())
        .stderr(Stdio::null())
        .spawn();
    let _server = Running(server.unwrap());
    listens(port);
    let keys = format!("kind = \"syslog\"\naddress = \"tls://127.0.0.1:{port}\"");
    let stranger = sink(folder.path(), &keys);
    let refused = tell(&stranger, Event::Opened, &incident()).await;
    assert!(matches!(refused, Outcome::Retry { .. }), "{refused:?}");
    let known = sink(folder.path(), &format!("{keys}\nca = \"certificate.pem\""));
    assert_eq!(
        tell(&known, Event::Opened, &incident()).await,
        Outcome::Done
    );
    holds("it is received", || {
        fs::read_to_string(&log).unwrap().contains("<82>1 ")
    });
    let received = fs::read_to_string(&log).unwrap();
    let (length, frame) = received.split_once(' ').unwrap();
    assert_eq!(
        length.parse::<usize>().unwrap(),
        frame.len(),
        "octet counting"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_is_kept_by_the_mail_server_with_one_id_for_every_attempt() {
    let folder = TempDir::new().unwrap();
    let port = free_port();
    let mailbox = folder.path().join("mailbox");
    let _server = start(
        peer("aiosmtpd")
            .args(["-n", "-l", &format!("127.0.0.1:{port}")])
            .args(["-c", "aiosmtpd.handlers.Mailbox"])
            .arg(&mailbox),
    );
    listens(port);
    let keys = format!(
        "kind = \"smtp\"\nserver = \"smtp://127.0.0.1:{port}\"\nfrom = \"tokentrip@example.com\"\n\
         to = [\"security@example.com\", \"Team <team@example.com>\"]"
    );
    let sink = sink(folder.path(), &keys);
    let mut incident = incident();
    incident.title = "a\r\nBcc: everybody@example.com\r\n\r\nhello".to_owned();
    for _ in 0..2 {
        assert_eq!(tell(&sink, Event::Opened, &incident).await, Outcome::Done);
    }
    let mails = || -> Vec<String> {
        let kept = fs::read_dir(mailbox.join("new")).into_iter().flatten();
        kept.map(|mail| fs::read_to_string(mail.unwrap().path()).unwrap())
            .collect()
    };
    holds("both are kept", || mails().len() == 2);
    let mut ids = Vec::new();
    for mail in mails() {
        let (head, body) = mail.split_once("\n\n").unwrap();
        let field = |name: &str| {
            let line = head.lines().find(|line| line.starts_with(name));
            line.unwrap_or_else(|| panic!("{name}: {head}")).to_owned()
        };
        assert!(!head.lines().any(|line| line.starts_with("Bcc")), "{head}");
        assert_eq!(field("Auto-Submitted"), "Auto-Submitted: auto-generated");
        assert_eq!(field("From"), "From: tokentrip@example.com");
        assert!(field("X-RcptTo").contains("team@example.com"), "{head}");
        assert!(body.contains("1 password"), "{body}");
        ids.push(field("Message-ID"));
    }
    assert_eq!(ids[0], ids[1]);
}

#[tokio::test]
async fn slack_gets_blocks_and_its_answers_are_understood() {
    let folder = TempDir::new().unwrap();
    let slack = MockServer::start().await;
    fs::write(
        folder.path().join("url"),
        format!("{}/services/T0/B0/x\n", slack.uri()),
    )
    .unwrap();
    let sink = sink(folder.path(), "kind = \"slack\"\nurl_file = \"url\"");
    let incident = incident();
    let body: Value = serde_json::from_str(&sink.sink.body(Event::Opened, &incident)).unwrap();
    for (status, expected) in [
        (200, "done"),
        (429, "pending"),
        (500, "pending"),
        (403, "failed"),
        (404, "failed"),
        (302, "failed"),
    ] {
        let answer = ResponseTemplate::new(status).insert_header("location", slack.uri());
        let strict = Mock::given(method("POST"))
            .and(path("/services/T0/B0/x"))
            .and(header("content-type", "application/json"))
            .and(body_json(&body))
            .respond_with(answer)
            .expect(1);
        let _strict = strict.mount_as_scoped(&slack).await;
        let outcome = tell(&sink, Event::Opened, &incident).await;
        assert_eq!(outcome.name(), expected, "{status}: {outcome:?}");
        assert!(!format!("{outcome:?} {sink:?}").contains("/T0/B0"));
    }
}

#[tokio::test]
async fn pagerduty_gets_one_alert_for_an_incident_and_its_key_is_nowhere_else() {
    let folder = TempDir::new().unwrap();
    let pagerduty = MockServer::start().await;
    fs::write(folder.path().join("key"), "R0UTINGKEY").unwrap();
    let keys = format!(
        "kind = \"pagerduty\"\nrouting_key_file = \"key\"\nurl = \"{}\"",
        pagerduty.uri()
    );
    let sink = sink(folder.path(), &keys);
    let incident = incident();
    for (event, action) in [(Event::Opened, "trigger"), (Event::Resolved, "resolve")] {
        let stored = sink.sink.body(event, &incident);
        assert!(!stored.contains("R0UTINGKEY"));
        let mut body: Value = serde_json::from_str(&stored).unwrap();
        assert_eq!(body["event_action"], action);
        assert_eq!(body["dedup_key"], incident.id.to_string());
        body["routing_key"] = "R0UTINGKEY".into();
        let strict = Mock::given(method("POST"))
            .and(path("/v2/enqueue"))
            .and(body_json(&body))
            .respond_with(ResponseTemplate::new(202))
            .expect(1);
        let _strict = strict.mount_as_scoped(&pagerduty).await;
        assert_eq!(tell(&sink, event, &incident).await, Outcome::Done);
    }
}
