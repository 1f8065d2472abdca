//! Any vendor with an HTTP API: its calls stand in a file, and this makes them.
//!
//! In: an [`Action`], a [`Vendor`]'s file. Out: the calls of that step on that kind of target, in order, with every
//! value encoded for its place; what came of them.
//! Does not know: any vendor. The files beside this one, and the users' own, do (see `README.md` in this folder).

mod answer;
mod credential;
mod document;
mod parts;
mod reader;
mod sigv4;
mod template;
mod vendor;

pub use vendor::Vendor;

use super::{Kind, Listing, Make, Provider, Setting};
use crate::domain::action::{Action, Outcome, Step};
use crate::domain::incident::Target;
use crate::outbound::bearer::{Bearer, KeptBearer};
use crate::outbound::options::{Key, OptionsError, Takes};
use crate::outbound::{Answer, Attempt, Caller, Endpoint, Secret, now};
use crate::response::case::CaseFile;
use answer::{before, ended, keep, unreadable};
use credential::{Addresses, Shown, base, unfit};
use data_encoding::BASE64URL_NOPAD;
use reader::LIST;
use reqwest::{Request, RequestBuilder};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use template::{Unfit, Values};
use vendor::{Call, KeyKind, Operation};

/// Calls of one action at most: a user has a few sessions, and each may be a call.
const CALLS_MAX: usize = 100;

/// What a password that nobody is to know is made of.
const RANDOM_BYTES: usize = 32;

/// `kind = "http"`, with a file of one's own.
pub const KIND: Kind = Kind {
    name: "http",
    keys: &[Key::needed("file", Takes::Path, "\"vendor.toml\"")],
    make: Make::Named,
};

/// A vendor, as it is configured.
pub struct Http {
    name: Arc<str>,
    issuer: Option<Arc<str>>,
    vendor: Arc<Vendor>,
    addresses: Addresses,
    texts: Values,
    secrets: BTreeMap<&'static str, Secret>,
    kept: BTreeMap<String, KeptBearer>,
    caller: Caller,
    case: Arc<dyn CaseFile>,
}

impl std::fmt::Debug for Http {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Http({}, {})", self.name, self.vendor.title)
    }
}

impl Http {
    /// A vendor of this file with what its keys were given.
    ///
    /// # Errors
    /// When a key is missing or an address may not be called.
    pub fn new(setting: &Setting<'_>, vendor: Arc<Vendor>) -> Result<Self, OptionsError> {
        if vendor.needs_issuer() && setting.issuer.is_none() {
            return Err(OptionsError::Missing("issuer"));
        }
        let options = setting.options;
        let mut texts = Values::default();
        for key in vendor.keys.iter().filter(|key| key.takes == KeyKind::Text) {
            let default = key
                .default
                .as_ref()
                .and_then(|text| text.plain(&texts).ok());
            if let Some(text) = options.text(key.name).map(str::to_owned).or(default) {
                texts.set(key.name, text);
            }
        }
        let mut addresses = BTreeMap::new();
        for key in vendor.keys.iter().filter(|key| key.takes == KeyKind::Url) {
            let default = key
                .default
                .as_ref()
                .and_then(|text| text.plain(&texts).ok());
            let Some(text) = options.text(key.name).map(str::to_owned).or(default) else {
                continue;
            };
            let endpoint = Endpoint::new(&text);
            let endpoint = endpoint.map_err(|error| OptionsError::Endpoint(key.name, error))?;
            texts.set(key.name, text.trim_end_matches('/'));
            addresses.insert(key.name, endpoint);
        }
        let secrets = vendor
            .keys
            .iter()
            .filter(|key| key.takes == KeyKind::Secret);
        let secrets = secrets.filter_map(|key| Some((key.name, options.secret(key.name)?)));
        let kept = vendor.credentials.keys();
        Ok(Self {
            name: setting.name.clone(),
            issuer: setting.issuer.clone(),
            addresses,
            texts,
            secrets: secrets.collect(),
            kept: kept
                .map(|name| (name.clone(), KeptBearer::default()))
                .collect(),
            caller: setting.caller.clone(),
            case: setting.case.clone(),
            vendor,
        })
    }

    /// What the calls of an action may name, but for the raw token.
    fn values(&self, target: &Target, action: Option<&Action>) -> Result<Values, Outcome> {
        let mut values = self.texts.clone();
        values.set("iss", target.issuer());
        let name = match target {
            Target::Jti { .. } => "jti",
            Target::Sid { .. } => "sid",
            Target::Subject { not_before_s, .. } => {
                values.set("not_before_s", not_before_s.to_string());
                "sub"
            }
            Target::Address { .. } => "ip",
            Target::Token { .. } => "id",
        };
        values.set(name, target.name());
        let now = now();
        values.set("now", now.to_string());
        values.set("now_s", now.as_s().to_string());
        let incident = action.map(|action| action.incident.to_string());
        values.set("incident", incident.unwrap_or_default());
        let mut random = [0; RANDOM_BYTES];
        getrandom::fill(&mut random).map_err(|_| Outcome::Unsent {
            after_s: None,
            why: "the system gives no random bytes".to_owned(),
        })?;
        // All four kinds of letters, which many policies for passwords ask for.
        values.set("random", format!("aA1-{}", BASE64URL_NOPAD.encode(&random)));
        Ok(values)
    }

    async fn act(&self, action: &Action) -> Result<Outcome, Outcome> {
        let target = &action.target;
        let step = action.step.name();
        let Some(operation) = self.vendor.operation(step, target.kind()) else {
            let why = format!("{} has no call for this", self.vendor.title);
            return Err(Outcome::Impossible { why });
        };
        let mut values = self.values(target, Some(action))?;
        if operation.sends("token") {
            let token = self.case.token(action.incident, target).await;
            let token = token.map_err(|gone| Outcome::Impossible { why: gone.0 })?;
            values.set("token", token.expose());
        }
        let mut done = false;
        for call in &operation.calls {
            let each = self.make(call, &mut values).await;
            match each.map_err(|outcome| before(operation, call, outcome))? {
                Outcome::Done => done |= call.keep.is_empty(),
                Outcome::AlreadyDone if call.already_done_if.is_some() => {
                    return Ok(Outcome::AlreadyDone);
                }
                _ => {}
            }
        }
        Ok(if done {
            Outcome::Done
        } else {
            Outcome::AlreadyDone
        })
    }

    /// Makes a call: once, or once for each value of a list that was kept.
    async fn make(&self, call: &Call, values: &mut Values) -> Result<Outcome, Outcome> {
        let Some(each) = &call.each else {
            let answer = self.call(call, values).await?;
            let outcome = self.vendor.judge(call, &answer);
            keep(call, &answer, &outcome, values)?;
            return ended(outcome);
        };
        let list = values.get(each).unwrap_or_default().to_owned();
        let mut worst = Outcome::AlreadyDone;
        for value in list
            .split('\n')
            .filter(|value| !value.is_empty())
            .take(CALLS_MAX)
        {
            let mut values = values.clone();
            values.set(each, value);
            let answer = self.call(call, &values).await?;
            if ended(self.vendor.judge(call, &answer))? == Outcome::Done {
                worst = Outcome::Done;
            }
        }
        Ok(worst)
    }

    /// One request and its answer. A token that was refused is fetched anew, once.
    async fn call(&self, call: &Call, values: &Values) -> Result<Answer, Outcome> {
        let mut refused = None;
        loop {
            let (request, token) = self.request(call, values, refused.as_ref()).await?;
            let request = RequestBuilder::from_parts(self.caller.client().clone(), request);
            let answer = self.caller.send(request).await?;
            if answer.status != 401 || refused.is_some() || token.is_none() {
                return Ok(answer);
            }
            refused = token;
        }
    }

    async fn request(
        &self,
        call: &Call,
        values: &Values,
        refused: Option<&Bearer>,
    ) -> Result<(Request, Option<Bearer>), Outcome> {
        let url = call
            .address
            .url(base(&self.addresses, &call.address.base)?, values);
        let url = url.map_err(unfit)?;
        let mut request = Request::new(call.method.clone(), url);
        for (name, value) in &call.headers {
            let value = value.plain(values).map_err(unfit)?;
            let value = value.parse().map_err(|_| unfit(Unfit::Leaves))?;
            request.headers_mut().insert(name, value);
        }
        call.body.write(&mut request, values).map_err(unfit)?;
        let Some((name, credential)) = call
            .credential
            .as_ref()
            .and_then(|name| Some((name, self.vendor.credentials.get(name)?)))
        else {
            return Ok((request, None));
        };
        let kept = self.kept.get(name).ok_or_else(|| unfit(Unfit::Absent))?;
        let mut with_secrets = self.texts.clone();
        for (name, secret) in &self.secrets {
            let secret = secret
                .read()
                .map_err(|error| Outcome::from(error).unsent())?;
            with_secrets.set(name, secret);
        }
        let shown = Shown {
            caller: &self.caller,
            addresses: &self.addresses,
            values: &with_secrets,
            kept,
        };
        let token = credential.show(&mut request, &shown, refused).await?;
        Ok((request, token))
    }

    async fn list(&self, target: &Target, operation: &Operation) -> Result<Vec<String>, Outcome> {
        let mut values = self.values(target, None)?;
        let mut found = Vec::new();
        for call in &operation.calls {
            let answer = self.call(call, &values).await?;
            let outcome = self.vendor.judge(call, &answer);
            keep(call, &answer, &outcome, &mut values)?;
            if let (Some(at), Outcome::Done) = (&call.sessions, ended(outcome)?) {
                let answer: Value =
                    serde_json::from_slice(&answer.body).map_err(|_| unreadable())?;
                found = at.find(&answer);
            }
        }
        Ok(found)
    }
}

impl Provider for Http {
    fn name(&self) -> &Arc<str> {
        &self.name
    }

    fn answers_for(&self, issuer: &str) -> bool {
        self.issuer.as_deref().is_none_or(|own| own == issuer)
    }

    fn calls(&self, step: Step, target: &Target) -> Option<Vec<String>> {
        let operation = self.vendor.operation(step.name(), target.kind())?;
        let mut values = self.values(target, None).ok()?;
        // What is not known yet or not to be shown is shown by its name.
        let names = ["token", "random", "incident", "now", "now_s"];
        let kept = operation
            .calls
            .iter()
            .flat_map(|call| call.keep.iter().map(|(name, _)| &**name));
        for name in kept.chain(names) {
            values.set(name, format!("{{{name}}}"));
        }
        let show = |call: &Call| {
            let base = self.addresses.get(&*call.address.base)?;
            let url = call.address.url(base, &values).ok()?;
            let query = url
                .query()
                .map_or_else(String::new, |query| format!("?{query}"));
            let says = call.says.as_ref().and_then(|says| says.plain(&values).ok());
            let says = says.map_or_else(String::new, |says| format!(" {says}"));
            let shown = format!("{} {}{query}{says}", call.method, url.path());
            Some(shown.replace("%7B", "{").replace("%7D", "}"))
        };
        operation.calls.iter().map(show).collect()
    }

    fn idempotent(&self, step: Step, target: &Target) -> bool {
        let operation = self.vendor.operation(step.name(), target.kind());
        operation.is_none_or(Operation::repeatable)
    }

    fn forces_blindly(&self) -> bool {
        let forced = self.vendor.operation(Step::Password.name(), "subject");
        forced.is_some_and(|operation| operation.sends("random"))
    }

    fn sessions<'a>(&'a self, target: &'a Target) -> Option<Listing<'a>> {
        let operation = self.vendor.operation(LIST, target.kind())?;
        Some(Box::pin(async move { self.list(target, operation).await }))
    }

    fn look(&self) -> Result<String, String> {
        for secret in self.secrets.values() {
            secret.read().map_err(|error| error.to_string())?;
        }
        Ok(format!(
            "{}: {}",
            self.vendor.title,
            self.vendor.abilities().join(", ")
        ))
    }

    fn carry_out<'a>(&'a self, action: &'a Action) -> Attempt<'a> {
        Box::pin(async move { self.act(action).await.unwrap_or_else(|outcome| outcome) })
    }
}
