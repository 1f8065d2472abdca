//! A mail to the person whose token was stolen: was this you? If not, change the password.
//!
//! In: an [`Action`] of step 1 on a subject. Out: one letter. The store lets none go to somebody who was written to
//! within a day, and none twice after a crash.
//! Does not know: whether it is read. Nothing in it was chosen by whoever sent the requests: an attacker could write to
//! the victim through us.
//! Source: RFC 5322; OWASP Forgot Password Cheat Sheet (no link that a stranger made).

use super::{Kind, Make, Provider, Setting};
use crate::domain::action::{Action, Outcome, Step};
use crate::domain::incident::{Incident, Target};
use crate::domain::time::Time;
use crate::outbound::Attempt;
use crate::outbound::mail::{Letter, Mailer};
use crate::outbound::options::{Key, OptionsError, Takes};
use crate::response::case::CaseFile;
use crate::sinks::brief;
use lettre::message::Mailbox;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

/// What is written unless a template is named. The first line is the subject.
const LETTER: &str = include_str!("mail.txt");

/// No letter is longer.
const TEMPLATE_BYTES_MAX: u64 = 64 << 10;

/// `kind = "mail"`.
pub const KIND: Kind = Kind {
    name: "mail",
    keys: &[
        Mailer::KEYS[0],
        Mailer::KEYS[1],
        Mailer::KEYS[2],
        Mailer::KEYS[3],
        Key::needed("service", Takes::Text, "\"Example shop\""),
        Key::needed(
            "reset_url",
            Takes::Url,
            "\"https://shop.example.com/password\"",
        ),
        Key::optional("to", Takes::Text),
        Key::optional("template", Takes::Path),
    ],
    make: Make::Code(|setting| Ok(Arc::new(Mail::new(&setting)?))),
};

/// Who writes to users.
#[derive(Debug)]
struct Mail {
    name: Arc<str>,
    issuer: Option<Arc<str>>,
    mailer: Mailer,
    service: String,
    reset_url: String,
    /// The address, with `{sub}` for the subject.
    to: String,
    template: Option<PathBuf>,
    case: Arc<dyn CaseFile>,
}

impl Mail {
    fn new(setting: &Setting<'_>) -> Result<Self, OptionsError> {
        let options = setting.options;
        let to = options.text("to").unwrap_or("{sub}");
        if !to.contains("{sub}") {
            let why = "it names nobody: `{sub}` stands for the subject, as in `{sub}@example.com`";
            return Err(OptionsError::Wrong("to", why.to_owned()));
        }
        Ok(Self {
            name: setting.name.clone(),
            issuer: setting.issuer.clone(),
            mailer: Mailer::new(options)?,
            service: options.needed("service")?.to_owned(),
            reset_url: options.needed("reset_url")?.to_owned(),
            to: to.to_owned(),
            template: options.path("template").ok().map(PathBuf::from),
            case: setting.case.clone(),
        })
    }

    /// The one address of a subject. What holds more than an address (a name, a second one) is none.
    fn address(&self, sub: &str) -> Option<Mailbox> {
        let address = self.to.replace("{sub}", sub).parse().ok()?;
        Some(Mailbox::new(None, address))
    }

    fn letter(&self) -> Result<String, String> {
        let Some(file) = &self.template else {
            return Ok(LETTER.to_owned());
        };
        let wrong = |why: String| format!("the template {}: {why}", file.display());
        let length = fs::metadata(file)
            .map_err(|error| wrong(error.to_string()))?
            .len();
        if length > TEMPLATE_BYTES_MAX {
            return Err(wrong("it is longer than 64 KiB".to_owned()));
        }
        fs::read_to_string(file).map_err(|error| wrong(error.to_string()))
    }

    async fn ask(&self, action: &Action) -> Result<Outcome, Outcome> {
        let impossible = |why: &str| Outcome::Impossible {
            why: why.to_owned(),
        };
        let Target::Subject { sub, .. } = &action.target else {
            return Err(impossible("only a person can be asked"));
        };
        let to = self.address(sub);
        let to = to.ok_or_else(|| {
            impossible("the subject is no mail address: set `to`, or let the identity provider ask")
        })?;
        let incident = self.case.incident(action.incident).await;
        let incident = incident.map_err(|gone| impossible(&gone.0))?;
        let later = |why| Outcome::Unsent { after_s: None, why };
        let (subject, text) = self.written(&self.letter().map_err(later)?, &incident);
        let letter = Letter {
            to: &[to],
            id: &action.id.to_string(),
            subject,
            text,
        };
        self.mailer.send(letter).await
    }

    /// Subject and text. Of the incident it says when and from which network, which no client chooses.
    fn written(&self, template: &str, incident: &Incident) -> (String, String) {
        let place = incident.suspect.networks.first();
        let place = place.map_or_else(
            || "an unknown network".to_owned(),
            |place| brief::plain(place),
        );
        let values = [
            ("{service}", &*self.service),
            ("{reset_url}", &*self.reset_url),
            ("{when}", &minute(incident.suspect.first_seen)),
            ("{where}", &*place),
            ("{incident}", &incident.id.to_string()),
        ];
        let filled = values
            .iter()
            .fold(template.to_owned(), |text, (name, value)| {
                text.replace(name, value)
            });
        let (subject, text) = filled.split_once('\n').unwrap_or((&filled, ""));
        (
            subject.trim().to_owned(),
            text.trim_start_matches(['\r', '\n']).to_owned(),
        )
    }
}

/// `2026-05-04 10:11 UTC`.
fn minute(time: Time) -> String {
    let text: String = time.to_string().chars().take(16).collect();
    text.replace('T', " ") + " UTC"
}

impl Provider for Mail {
    fn name(&self) -> &Arc<str> {
        &self.name
    }

    fn answers_for(&self, issuer: &str) -> bool {
        self.issuer.as_deref().is_none_or(|own| own == issuer)
    }

    fn calls(&self, step: Step, target: &Target) -> Option<Vec<String>> {
        match (step, target) {
            (Step::Ask, Target::Subject { sub, .. }) => {
                Some(vec![format!("mail to {}", self.to.replace("{sub}", sub))])
            }
            _ => None,
        }
    }

    fn look(&self) -> Result<String, String> {
        self.mailer.look()?;
        self.letter()?;
        Ok("mail to the user: ask subject".to_owned())
    }

    fn carry_out<'a>(&'a self, action: &'a Action) -> Attempt<'a> {
        Box::pin(async move { self.ask(action).await.unwrap_or_else(|outcome| outcome) })
    }
}
