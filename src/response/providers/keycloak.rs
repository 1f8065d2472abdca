//! Keycloak: end a session, log a user out, require a new password, by the Admin REST API.
//!
//! In: an [`Action`] on a `sid` or on a subject. Out: the calls, with a token of a confidential client's service
//! account (role `manage-users` of `realm-management`).
//! Does not know: whether an access token still works at those who check signatures themselves (it does, until `exp`).
//! Source: <https://www.keycloak.org/docs-api/latest/rest-api/index.html>; Keycloak's `sub` is the user's id and its
//! `sid` the session's; client credentials, RFC 6749, section 4.4.

use super::{Kind, Listing, Make, Provider, Setting};
use crate::domain::action::{Action, Outcome, Step};
use crate::domain::incident::Target;
use crate::outbound::bearer::{Bearer, KeptBearer};
use crate::outbound::options::{Key, OptionsError, Takes};
use crate::outbound::{Answer, Attempt, Caller, Endpoint, Secret};
use reqwest::{Method, Url};
use serde_json::{Value, json};
use std::sync::Arc;

/// The required action that makes a user choose a new password at the next login.
const UPDATE_PASSWORD: &str = "UPDATE_PASSWORD";

/// The one that makes a user set up an authenticator.
const CONFIGURE_TOTP: &str = "CONFIGURE_TOTP";

/// `kind = "keycloak"`.
pub const KIND: Kind = Kind {
    name: "keycloak",
    keys: &[
        Key::needed("base_url", Takes::Url, "\"https://keycloak.example.com\""),
        Key::needed("realm", Takes::Text, "\"main\""),
        Key::needed("client_id", Takes::Text, "\"tokentrip\""),
        Key::secret(["client_secret", "client_secret_file", "client_secret_env"]),
    ],
    make: Make::Code(|setting| Ok(Arc::new(Keycloak::new(&setting)?))),
};

/// A realm of a Keycloak server.
#[derive(Debug)]
pub struct Keycloak {
    name: Arc<str>,
    /// Where the server is, without `/realms/…`.
    base: Endpoint,
    realm: String,
    issuer: Arc<str>,
    client_id: String,
    client_secret: Secret,
    caller: Caller,
    token: KeptBearer,
}

impl Keycloak {
    /// A realm. Without an issuer it answers for what Keycloak names itself, `<base>/realms/<realm>`.
    ///
    /// # Errors
    /// When a key is missing or the address may not be called.
    pub fn new(setting: &Setting<'_>) -> Result<Self, OptionsError> {
        let options = setting.options;
        let (base, realm) = (options.endpoint("base_url")?, options.needed("realm")?);
        let named = base.below(&["realms", realm]);
        let named = || named.map_or_else(String::new, String::from).into();
        Ok(Self {
            name: setting.name.clone(),
            issuer: setting.issuer.clone().unwrap_or_else(named),
            realm: realm.to_owned(),
            base,
            client_id: options.needed("client_id")?.to_owned(),
            client_secret: options.needed_secret("client_secret")?,
            caller: setting.caller.clone(),
            token: KeptBearer::default(),
        })
    }

    /// The ids of the sessions that a user has now: what is left after a revocation.
    ///
    /// # Errors
    /// The outcome of a call that gave no list.
    pub async fn sessions_of(&self, sub: &str) -> Result<Vec<String>, Outcome> {
        let answer = self
            .call(Method::GET, &["users", sub, "sessions"], None)
            .await?;
        let list: Vec<Value> = read(&answer)?;
        let id = |session: &Value| Some(session.get("id")?.as_str()?.to_owned());
        Ok(list.iter().filter_map(id).collect())
    }

    async fn end_session(&self, sid: &str) -> Result<Outcome, Outcome> {
        let answer = self.call(Method::DELETE, &["sessions", sid], None).await?;
        Ok(match answer.status {
            404 => Outcome::AlreadyDone,
            _ => answer.outcome(),
        })
    }

    async fn log_out(&self, sub: &str) -> Result<Outcome, Outcome> {
        let answer = self
            .call(Method::POST, &["users", sub, "logout"], None)
            .await?;
        Ok(of_user(&answer))
    }

    /// Has the user do something at the next login. Keycloak replaces what a representation holds, so it is sent back
    /// whole.
    async fn require(&self, sub: &str, what: &str) -> Result<Outcome, Outcome> {
        let answer = self.call(Method::GET, &["users", sub], None).await?;
        if answer.status != 200 {
            return Ok(of_user(&answer));
        }
        let mut user: Value = read(&answer)?;
        let link = user.get("federationLink");
        if what == UPDATE_PASSWORD && link.is_some_and(|link| !link.is_null()) {
            let why = "the user's password is kept elsewhere (user federation)".to_owned();
            return Ok(Outcome::Impossible { why });
        }
        let Some(fields) = user.as_object_mut() else {
            return Err(unreadable());
        };
        let actions = fields.entry("requiredActions").or_insert_with(|| json!([]));
        let Some(actions) = actions.as_array_mut() else {
            return Err(unreadable());
        };
        if actions.iter().any(|action| action == what) {
            return Ok(Outcome::AlreadyDone);
        }
        actions.push(what.into());
        let answer = self.call(Method::PUT, &["users", sub], Some(&user)).await?;
        Ok(of_user(&answer))
    }

    /// Keycloak mails the user a link to choose a new password: with every call, and in its own words.
    async fn ask(&self, sub: &str) -> Result<Outcome, Outcome> {
        let path = ["users", sub, "execute-actions-email"];
        let actions = json!([UPDATE_PASSWORD]);
        let answer = self.call(Method::PUT, &path, Some(&actions)).await?;
        Ok(match answer.status {
            429 => of_user(&answer).unsent(),
            _ => of_user(&answer),
        })
    }

    /// One call below `/admin/realms/<realm>`. An admin token that was refused is fetched anew, once.
    async fn call(
        &self,
        method: Method,
        segments: &[&str],
        body: Option<&Value>,
    ) -> Result<Answer, Outcome> {
        let path = [&["admin", "realms", &self.realm], segments].concat();
        let url = self.url(&path)?;
        let mut refused = None;
        loop {
            let token = self.token.get(refused.as_ref(), self.fetch_token());
            let token = token.await?;
            let client = self.caller.client();
            let mut request = client
                .request(method.clone(), url.clone())
                .bearer_auth(token.text());
            if let Some(body) = body {
                request = request.json(body);
            }
            let answer = self.caller.send(request).await?;
            if answer.status != 401 || refused.is_some() {
                return Ok(answer);
            }
            refused = Some(token);
        }
    }

    async fn fetch_token(&self) -> Result<Bearer, Outcome> {
        let realm = &*self.realm;
        let url = self.url(&["realms", realm, "protocol", "openid-connect", "token"])?;
        // The form is encoded as a query is, and sent as the body.
        let mut form = url.clone();
        form.query_pairs_mut()
            .append_pair("grant_type", "client_credentials")
            .append_pair("client_id", &self.client_id)
            .append_pair("client_secret", &self.client_secret.read()?);
        let request = self.caller.client().post(url);
        let request = request
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form.query().unwrap_or_default().to_owned());
        let answer = self.caller.send(request).await?;
        match (answer.status, answer.outcome()) {
            (200, _) => {}
            (_, Outcome::Failed { why }) => {
                let why = format!("no admin token: {why}; check client_id and its secret");
                return Err(Outcome::Failed { why });
            }
            (_, outcome) => return Err(outcome),
        }
        let answer: Value = read(&answer)?;
        let token = answer.get("access_token").and_then(Value::as_str);
        Ok(Bearer::new(token.ok_or_else(unreadable)?))
    }

    fn url(&self, segments: &[&str]) -> Result<Url, Outcome> {
        let impossible = || Outcome::Impossible {
            why: "the token's name for it cannot be part of a path".to_owned(),
        };
        self.base.below(segments).ok_or_else(impossible)
    }

    async fn act(&self, action: &Action) -> Result<Outcome, Outcome> {
        match (action.step, &action.target) {
            (Step::Revoke, Target::Sid { sid, .. }) => self.end_session(sid).await,
            (Step::Revoke, Target::Subject { sub, .. }) => self.log_out(sub).await,
            (Step::Password, Target::Subject { sub, .. }) => {
                self.require(sub, UPDATE_PASSWORD).await
            }
            (Step::Mfa, Target::Subject { sub, .. }) => self.require(sub, CONFIGURE_TOTP).await,
            (Step::Ask, Target::Subject { sub, .. }) => self.ask(sub).await,
            _ => Err(Outcome::Impossible {
                why: "Keycloak has no call for this".to_owned(),
            }),
        }
    }
}

impl Provider for Keycloak {
    fn name(&self) -> &Arc<str> {
        &self.name
    }

    fn answers_for(&self, issuer: &str) -> bool {
        *self.issuer == *issuer
    }

    fn calls(&self, step: Step, target: &Target) -> Option<Vec<String>> {
        let calls = match (step, target) {
            (Step::Revoke, Target::Sid { sid, .. }) => vec![("DELETE", vec!["sessions", sid])],
            (Step::Revoke, Target::Subject { sub, .. }) => {
                vec![("POST", vec!["users", sub, "logout"])]
            }
            (Step::Password | Step::Mfa, Target::Subject { sub, .. }) => {
                vec![("GET", vec!["users", sub]), ("PUT", vec!["users", sub])]
            }
            (Step::Ask, Target::Subject { sub, .. }) => {
                vec![("PUT", vec!["users", sub, "execute-actions-email"])]
            }
            _ => return None,
        };
        let show = |(method, segments): (&str, Vec<&str>)| {
            let path = [&["admin", "realms", &*self.realm], &*segments].concat();
            let url = self.base.below(&path)?;
            Some(format!("{method} {}", url.path()))
        };
        let mut shown: Vec<_> = calls.into_iter().map(show).collect::<Option<_>>()?;
        let required = match step {
            Step::Password => Some(UPDATE_PASSWORD),
            Step::Mfa => Some(CONFIGURE_TOTP),
            _ => None,
        };
        if let (Some(required), Some(last)) = (required, shown.last_mut()) {
            last.push_str(&format!(" with requiredActions {required}"));
        }
        Some(shown)
    }

    fn sessions<'a>(&'a self, target: &'a Target) -> Option<Listing<'a>> {
        match target {
            Target::Subject { sub, .. } => Some(Box::pin(self.sessions_of(sub))),
            _ => None,
        }
    }

    fn look(&self) -> Result<String, String> {
        self.client_secret
            .read()
            .map_err(|error| error.to_string())?;
        Ok(format!(
            "Keycloak, realm {}, for {}",
            self.realm, self.issuer
        ))
    }

    fn carry_out<'a>(&'a self, action: &'a Action) -> Attempt<'a> {
        Box::pin(async move { self.act(action).await.unwrap_or_else(|outcome| outcome) })
    }
}

fn of_user(answer: &Answer) -> Outcome {
    match answer.status {
        404 => Outcome::Failed {
            why: "no such user in this realm".to_owned(),
        },
        _ => answer.outcome(),
    }
}

fn read<T: serde::de::DeserializeOwned>(answer: &Answer) -> Result<T, Outcome> {
    match answer.outcome() {
        Outcome::Done => serde_json::from_slice(&answer.body).map_err(|_| unreadable()),
        outcome => Err(outcome),
    }
}

fn unreadable() -> Outcome {
    Outcome::Failed {
        why: "the answer is not what Keycloak answers".to_owned(),
    }
}
