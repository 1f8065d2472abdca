//! Security event tokens, by the Shared Signals Framework: whoever subscribes ends the session itself.
//!
//! In: an [`Action`] on a session or a subject. Out: a signed SET, pushed to its receiver or kept until it is polled;
//! its `jti` is the action's id, so the same event is the same one at every attempt.
//! Does not know: what a receiver does with it, and who polls ([`crate::http`] does).
//! Source: RFC 8417 (SET), RFC 8935 (push), RFC 8936 (poll), RFC 9493 (subject identifiers); OpenID Shared Signals
//! Framework 1.0, CAEP 1.0, sections 3.1 (`session-revoked`) and 3.8 (`risk-level-change`), RISC 1.0, section
//! 2.1 (`account-credential-change-required`).

use super::{Kind, Make, Provider, Setting};
use crate::domain::action::{Action, Outcome, Step};
use crate::domain::incident::{Incident, Target};
use crate::outbound::options::{Key, OptionsError, Takes};
use crate::outbound::signing::SigningKey;
use crate::outbound::{Answer, Attempt, Caller, Endpoint, Secret, now};
use crate::response::case::CaseFile;
use serde_json::{Value, json};
use std::sync::Arc;

/// A session ended.
const SESSION_REVOKED: &str = "https://schemas.openid.net/secevent/caep/event-type/session-revoked";

/// A password has to be changed.
const CREDENTIAL_CHANGE: &str =
    "https://schemas.openid.net/secevent/risc/event-type/account-credential-change-required";

/// An account is at risk.
const RISK_LEVEL_CHANGE: &str =
    "https://schemas.openid.net/secevent/caep/event-type/risk-level-change";

/// What RFC 8935, section 2.4 lets a receiver say was wrong.
const ERRORS: [&str; 6] = [
    "invalid_request",
    "invalid_key",
    "invalid_issuer",
    "invalid_audience",
    "authentication_failed",
    "access_denied",
];

/// `kind = "caep"`.
pub const KIND: Kind = Kind {
    name: "caep",
    keys: &[
        Key::needed(
            "transmitter",
            Takes::Url,
            "\"https://tokentrip.example.com\"",
        ),
        Key::needed("audience", Takes::Text, "\"https://receiver.example.com/\""),
        Key::secret(["key", "key_file", "key_env"]),
        Key::optional("url", Takes::Url),
        Key::optional("token", Takes::Secret(["token", "token_file", "token_env"])),
        Key::optional(
            "poll_token",
            Takes::Secret(["poll_token", "poll_token_file", "poll_token_env"]),
        ),
        Key::optional("dialect", Takes::Word(&["standard", "subject"])),
    ],
    make: Make::Code(|setting| Ok(Arc::new(Caep::new(&setting)?))),
};

/// A receiver that polls, and what is published for all receivers.
#[derive(Clone, Debug)]
pub struct Stream {
    /// Its name in the configuration.
    pub name: Arc<str>,
    /// Who transmits, as its tokens say in `iss`.
    pub transmitter: String,
    /// The public key.
    pub jwk: Value,
    /// What whoever polls must show; `None` for a stream that is pushed.
    pub poll_token: Option<Secret>,
}

/// One receiver of events.
#[derive(Debug)]
struct Caep {
    name: Arc<str>,
    issuer: Option<Arc<str>>,
    transmitter: String,
    audience: String,
    key: Secret,
    push: Option<Endpoint>,
    token: Option<Secret>,
    poll_token: Option<Secret>,
    /// Okta and Google want the subject inside the event, too.
    subject_inside: bool,
    caller: Caller,
    case: Arc<dyn CaseFile>,
}

impl Caep {
    fn new(setting: &Setting<'_>) -> Result<Self, OptionsError> {
        let options = setting.options;
        let push = options
            .text("url")
            .map(|_| options.endpoint("url"))
            .transpose()?;
        let poll_token = options.secret("poll_token");
        if push.is_some() == poll_token.is_some() {
            let why = "a receiver is pushed to (`url`) or polls (`poll_token_file`), one of both";
            return Err(OptionsError::Wrong("url", why.to_owned()));
        }
        Ok(Self {
            name: setting.name.clone(),
            issuer: setting.issuer.clone(),
            transmitter: options.needed("transmitter")?.to_owned(),
            audience: options.needed("audience")?.to_owned(),
            key: options.needed_secret("key")?,
            push,
            token: options.secret("token"),
            poll_token,
            subject_inside: options.text("dialect") == Some("subject"),
            caller: setting.caller.clone(),
            case: setting.case.clone(),
        })
    }

    fn signing_key(&self) -> Result<SigningKey, String> {
        let pem = self.key.read().map_err(|error| error.to_string())?;
        SigningKey::of_pem(&pem).map_err(|error| format!("`key`: {error}"))
    }

    /// The claims of the event that an action is.
    fn claims(&self, action: &Action, incident: Option<&Incident>) -> Option<Value> {
        let user = |iss: &str, sub: &str| json!({"format": "iss_sub", "iss": iss, "sub": sub});
        let (event, subject) = match (action.step, &action.target) {
            (Step::Revoke, Target::Sid { iss, sid }) => {
                let mut subject =
                    json!({"format": "complex", "session": {"format": "opaque", "id": sid}});
                if let Some(sub) = incident.and_then(|incident| incident.subject.as_deref()) {
                    subject["user"] = user(iss, sub);
                }
                (SESSION_REVOKED, subject)
            }
            (Step::Revoke, Target::Subject { iss, sub, .. }) => (
                SESSION_REVOKED,
                json!({"format": "complex", "user": user(iss, sub)}),
            ),
            (Step::Password, Target::Subject { iss, sub, .. }) => {
                (CREDENTIAL_CHANGE, user(iss, sub))
            }
            (Step::Risk, Target::Subject { iss, sub, .. }) => (RISK_LEVEL_CHANGE, user(iss, sub)),
            _ => return None,
        };
        let now_s = now().as_s();
        // When it happened (CAEP 1.0, section 2): the end of a session is now, the theft was before.
        let since_s = match (event, incident) {
            (RISK_LEVEL_CHANGE, Some(incident)) => incident.updated.as_s(),
            _ => now_s,
        };
        let mut inside = json!({
            "event_timestamp": since_s,
            "initiating_entity": "policy",
            "reason_admin": {"en": format!("A token was used by somebody else: incident {}", action.incident)},
        });
        if event == RISK_LEVEL_CHANGE {
            inside["principal"] = "USER".into();
            inside["current_level"] = "HIGH".into();
            inside["risk_reason"] = "TOKEN_THEFT".into();
        }
        if self.subject_inside {
            inside["subject"] = subject.clone();
        }
        Some(json!({
            "iss": self.transmitter, "aud": self.audience, "iat": now_s,
            "jti": action.id.to_string(), "txn": action.incident.to_string(),
            "sub_id": subject, "events": {event: inside},
        }))
    }

    async fn act(&self, action: &Action) -> Result<Outcome, Outcome> {
        let incident = self.case.incident(action.incident).await.ok();
        let claims = self.claims(action, incident.as_ref());
        let claims = claims.ok_or_else(|| Outcome::Impossible {
            why: "there is no event for this".to_owned(),
        })?;
        let later = |why| Outcome::Unsent { after_s: None, why };
        let key = self.signing_key().map_err(later)?;
        let set = key.sign("secevent+jwt", None, &claims);
        let set = set.ok_or_else(|| later("nothing can be signed now".to_owned()))?;
        let Some(push) = &self.push else {
            let kept = self
                .case
                .offer(&self.name, action.id.to_string(), set)
                .await;
            return kept.map(|()| Outcome::Done).map_err(|gone| later(gone.0));
        };
        let request = self.caller.client().post(push.url());
        let mut request = request
            .header("content-type", "application/secevent+jwt")
            .header("accept", "application/json")
            .body(set);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.read()?);
        }
        Ok(pushed(&self.caller.send(request).await?))
    }
}

/// What a receiver's answer means. Of what it says was wrong only the words that the RFC knows are shown.
fn pushed(answer: &Answer) -> Outcome {
    if answer.status != 400 {
        return answer.outcome();
    }
    let said: Option<Value> = serde_json::from_slice(&answer.body).ok();
    let said = said.as_ref().and_then(|said| said.get("err")?.as_str());
    let known = ERRORS.into_iter().find(|known| Some(*known) == said);
    Outcome::Failed {
        why: format!(
            "the receiver refused it: {}",
            known.unwrap_or("no reason given")
        ),
    }
}

impl Provider for Caep {
    fn name(&self) -> &Arc<str> {
        &self.name
    }

    fn answers_for(&self, issuer: &str) -> bool {
        self.issuer.as_deref().is_none_or(|own| own == issuer)
    }

    fn calls(&self, step: Step, target: &Target) -> Option<Vec<String>> {
        let event = match (step, target) {
            (Step::Revoke, Target::Sid { .. } | Target::Subject { .. }) => "session-revoked",
            (Step::Password, Target::Subject { .. }) => "account-credential-change-required",
            (Step::Risk, Target::Subject { .. }) => "risk-level-change",
            _ => return None,
        };
        let how = if self.push.is_some() { "push" } else { "offer" };
        Some(vec![format!(
            "{how} {event} to {}: {target}",
            self.audience
        )])
    }

    fn look(&self) -> Result<String, String> {
        self.signing_key()?;
        let token = self.token.as_ref().or(self.poll_token.as_ref());
        token
            .map(Secret::read)
            .transpose()
            .map_err(|error| error.to_string())?;
        let how = if self.push.is_some() {
            "pushed"
        } else {
            "polled"
        };
        Ok(format!(
            "security events, {how}: revoke sid, revoke subject, password subject, risk subject"
        ))
    }

    fn stream(&self) -> Option<Stream> {
        Some(Stream {
            name: self.name.clone(),
            transmitter: self.transmitter.clone(),
            jwk: self.signing_key().ok()?.jwk(),
            poll_token: self.poll_token.clone(),
        })
    }

    fn carry_out<'a>(&'a self, action: &'a Action) -> Attempt<'a> {
        Box::pin(async move { self.act(action).await.unwrap_or_else(|outcome| outcome) })
    }
}
