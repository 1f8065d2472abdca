//! A mail server, and letters of plain text.
//!
//! In: a [`Letter`]. Out: an [`Outcome`]. The `Message-ID` is the same at every attempt.
//! Does not know: who is written to, or why.
//! Source: RFC 5321; RFC 5322; RFC 8314 (TLS from the first byte, port 465; STARTTLS, port 587); RFC 3834, section 5
//! (`Auto-Submitted`, so that no vacation notice comes back).

use super::Secret;
use super::options::{Key, Options, OptionsError, Takes};
use crate::domain::action::Outcome;
use lettre::message::header::{ContentType, Header, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp::AsyncSmtpTransport;
use lettre::transport::smtp::authentication::Credentials;
use lettre::{AsyncTransport, Tokio1Executor};
use std::net::IpAddr;
use std::time::Duration;

/// As long as any other call may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A mail server and who writes.
#[derive(Clone, Debug)]
pub struct Mailer {
    server: String,
    from: Mailbox,
    login: Option<(String, Secret)>,
}

/// One letter.
#[derive(Debug)]
pub struct Letter<'a> {
    /// To whom.
    pub to: &'a [Mailbox],
    /// What its `Message-ID` is made of.
    pub id: &'a str,
    /// Its subject.
    pub subject: String,
    /// Its text.
    pub text: String,
}

impl Mailer {
    /// What it reads of the configuration.
    pub const KEYS: [Key; 4] = [
        Key::needed("server", Takes::Text, "\"smtps://mail.example.com:465\""),
        Key::needed("from", Takes::Text, "\"tokentrip@example.com\""),
        Key::optional("user", Takes::Text),
        Key::optional(
            "password",
            Takes::Secret(["password", "password_file", "password_env"]),
        ),
    ];

    /// The server of a configuration.
    ///
    /// # Errors
    /// When it may not be used, or the sender is no mailbox.
    pub fn new(options: &Options) -> Result<Self, OptionsError> {
        let server = options.needed("server")?;
        check(server).map_err(|why| OptionsError::Wrong("server", why))?;
        let user = options.text("user").map(str::to_owned);
        Ok(Self {
            server: server.to_owned(),
            from: mailbox("from", options.needed("from")?)?,
            login: user.zip(options.secret("password")),
        })
    }

    /// Looks whether a letter could be sent, without sending one.
    ///
    /// # Errors
    /// With what is missing.
    pub fn look(&self) -> Result<(), String> {
        let password = self.login.as_ref().map(|(_, password)| password.read());
        password
            .transpose()
            .map(drop)
            .map_err(|error| error.to_string())
    }

    /// Sends a letter. What fails before the server was asked to take it, and what it refuses for now, was not sent.
    ///
    /// # Errors
    /// The outcome of a letter that was not taken.
    pub async fn send(&self, letter: Letter<'_>) -> Result<Outcome, Outcome> {
        let failed = |why: String| Outcome::Failed { why };
        let mut message = Message::builder()
            .from(self.from.clone())
            .subject(letter.subject)
            .message_id(Some(format!("<{}@tokentrip.invalid>", letter.id)))
            .header(AutoSubmitted)
            .header(ContentType::TEXT_PLAIN);
        for to in letter.to {
            message = message.to(to.clone());
        }
        let message = message.body(letter.text);
        let message = message.map_err(|error| failed(error.to_string()))?;
        let mut transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(&self.server)
            .map_err(|error| failed(error.to_string()))?
            .timeout(Some(TIMEOUT));
        if let Some((user, password)) = &self.login {
            let password = password
                .read()
                .map_err(|error| Outcome::from(error).unsent())?;
            transport = transport.credentials(Credentials::new(user.clone(), password));
        }
        let transport = transport.build();
        let later = |why: String| Outcome::Retry { after_s: None, why };
        match transport.test_connection().await {
            Ok(true) => {}
            Ok(false) => return Err(later("the server is not ready".to_owned()).unsent()),
            Err(error) if error.is_permanent() => return Err(failed(error.to_string())),
            Err(error) => return Err(later(error.to_string()).unsent()),
        }
        match transport.send(message).await {
            Ok(_) => Ok(Outcome::Done),
            Err(error) if error.is_permanent() => Err(failed(error.to_string())),
            Err(error) if error.is_transient() => Err(later(error.to_string()).unsent()),
            Err(error) => Err(later(error.to_string())),
        }
    }
}

/// The mailbox of a key.
///
/// # Errors
/// When it is none.
pub fn mailbox(key: &'static str, text: &str) -> Result<Mailbox, OptionsError> {
    let wrong = |error: lettre::address::AddressError| {
        OptionsError::Wrong(key, format!("`{text}` is no mailbox: {error}"))
    };
    text.parse().map_err(wrong)
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
