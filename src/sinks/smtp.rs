//! Mail, over TLS: to a team, not to the person whose token was stolen.
//!
//! In: an [`Incident`]. Out: a mail of plain text, with the same `Message-ID` at every attempt.
//! Does not know: whether somebody reads it.
//! Source: RFC 5321; RFC 5322; RFC 8314 (TLS from the first byte, port 465; STARTTLS, port 587); RFC 3834, section 5
//! (`Auto-Submitted`, so that no vacation notice comes back).

use super::{Event, Kind, Sink, brief};
use crate::domain::action::{Alert, Outcome};
use crate::domain::incident::Incident;
use crate::outbound::options::{Key, Options, OptionsError, Takes};
use crate::outbound::{Attempt, Secret};
use lettre::message::header::{ContentType, Header, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp::AsyncSmtpTransport;
use lettre::transport::smtp::authentication::Credentials;
use lettre::{AsyncTransport, Tokio1Executor};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// Longest subject, in characters: mail programs show fewer.
const SUBJECT_CHARS_MAX: usize = 150;

/// As long as any other call may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// `kind = "smtp"`.
pub const KIND: Kind = Kind {
    name: "smtp",
    keys: &[
        Key::needed("server", Takes::Text, "\"smtps://mail.example.com:465\""),
        Key::needed("from", Takes::Text, "\"tokentrip@example.com\""),
        Key::needed("to", Takes::Texts, "[\"security@example.com\"]"),
        Key::optional("user", Takes::Text),
        Key::optional(
            "password",
            Takes::Secret(["password", "password_file", "password_env"]),
        ),
    ],
    make: |options, _| Ok(Arc::new(Smtp::new(options)?)),
};

#[derive(Debug)]
struct Smtp {
    server: String,
    from: Mailbox,
    to: Vec<Mailbox>,
    login: Option<(String, Secret)>,
}

/// What waits in the outbox.
#[derive(Serialize, Deserialize)]
struct Mail {
    subject: String,
    text: String,
}

impl Smtp {
    fn new(options: &Options) -> Result<Self, OptionsError> {
        let server = options.needed("server")?;
        check(server).map_err(|why| OptionsError::Wrong("server", why))?;
        let mailbox = |key: &'static str, text: &str| {
            let wrong = |error: lettre::address::AddressError| {
                OptionsError::Wrong(key, format!("`{text}` is no mailbox: {error}"))
            };
            text.parse::<Mailbox>().map_err(wrong)
        };
        let to = options.texts("to").iter().map(|text| mailbox("to", text));
        let user = options.text("user").map(str::to_owned);
        Ok(Self {
            server: server.to_owned(),
            from: mailbox("from", options.needed("from")?)?,
            to: to.collect::<Result<_, _>>()?,
            login: user.zip(options.secret("password")),
        })
    }

    async fn send(&self, alert: &Alert) -> Result<Outcome, Outcome> {
        let failed = |why: String| Outcome::Failed { why };
        let mail: Mail = serde_json::from_str(&alert.body)
            .map_err(|_| failed("the stored message cannot be read".to_owned()))?;
        let mut message = Message::builder()
            .from(self.from.clone())
            .subject(mail.subject)
            .message_id(Some(format!("<{}@tokentrip.invalid>", alert.id)))
            .header(AutoSubmitted)
            .header(ContentType::TEXT_PLAIN);
        for to in &self.to {
            message = message.to(to.clone());
        }
        let message = message.body(mail.text);
        let message = message.map_err(|error| failed(error.to_string()))?;
        let mut transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(&self.server)
            .map_err(|error| failed(error.to_string()))?
            .timeout(Some(TIMEOUT));
        if let Some((user, password)) = &self.login {
            transport = transport.credentials(Credentials::new(user.clone(), password.read()?));
        }
        match transport.build().send(message).await {
            Ok(_) => Ok(Outcome::Done),
            Err(error) if error.is_permanent() => Err(failed(error.to_string())),
            Err(error) => Err(Outcome::Retry {
                after_s: None,
                why: error.to_string(),
            }),
        }
    }
}

impl Sink for Smtp {
    fn body(&self, event: Event, incident: &Incident) -> String {
        let (word, level) = (event.word(), incident.level.name().to_uppercase());
        let title = brief::plain(&incident.title);
        let mut text = format!("{title}\n{}\n\n", brief::since(incident));
        for (label, row) in brief::rows(incident) {
            text.push_str(&format!("{label}: {row}\n"));
        }
        let mail = Mail {
            subject: brief::cut(&format!("[{level}] {word}: {title}"), SUBJECT_CHARS_MAX),
            text,
        };
        serde_json::to_string(&mail).unwrap_or_default()
    }

    fn deliver<'a>(&'a self, alert: &'a Alert) -> Attempt<'a> {
        Box::pin(async move {
            let done = self.send(alert).await;
            done.unwrap_or_else(|outcome| outcome)
        })
    }
}

/// Mail names people: it is only sent where nobody on the way can read it.
fn check(server: &str) -> Result<(), String> {
    let url = reqwest::Url::parse(server).map_err(|_| "it is no URL".to_owned())?;
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let is_here = host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
    let requires_tls = url.query() == Some("tls=required");
    match url.scheme() {
        _ if !url.username().is_empty() || url.password().is_some() => {
            Err("it holds a user or a password: set `user` and `password_file`".to_owned())
        }
        "smtps" => Ok(()),
        "smtp" if is_here || requires_tls => Ok(()),
        "smtp" => Err("add `?tls=required`, or use smtps".to_owned()),
        _ => Err("write it as smtps://mail.example.com:465".to_owned()),
    }
}

/// `Auto-Submitted: auto-generated`.
#[derive(Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}
