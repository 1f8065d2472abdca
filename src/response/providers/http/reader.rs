//! Reads a vendor's file and gathers what is wrong with it.
//!
//! In: a [`Document`] and the text it came from. Out: a [`Vendor`], or every [`Mistake`].
//! Does not know: who calls, with which values.

use super::credential::Credential;
use super::document::{CallDoc, Document, KeyDoc, Targets};
use super::template::{Address, Pointer, Template};
use super::vendor::{Call, KeyKind, Operation, Vendor, VendorKey};
use crate::domain::action::Step;
use crate::domain::mistake::{Mistake, nearest};
use crate::outbound::options::interned;
use reqwest::Method;
use std::collections::{BTreeMap, BTreeSet};

/// What lists the sessions that are left; no step of its own.
pub(super) const LIST: &str = "list";

/// What every call may name beside what it is about.
const ALWAYS: [&str; 5] = ["iss", "incident", "now", "now_s", "random"];

/// What calls about one kind of target may name.
const TARGETS: [(&str, &[&str]); 5] = [
    ("jti", &["jti", "token"]),
    ("sid", &["sid"]),
    ("token", &["token"]),
    ("subject", &["sub", "not_before_s"]),
    ("address", &["ip"]),
];

/// Names of keys.
type Names = BTreeSet<&'static str>;

/// Reads a document and gathers what is wrong with it.
pub(super) struct Reader<'t> {
    text: &'t str,
    mistakes: Vec<Mistake>,
}

impl Reader<'_> {
    /// The vendor of a document that was read from this text.
    pub(super) fn read_all(text: &str, document: Document) -> Result<Vendor, Vec<Mistake>> {
        let mistakes = Vec::new();
        let mut reader = Reader { text, mistakes };
        let vendor = reader.vendor(document);
        match reader.mistakes.is_empty() {
            true => Ok(vendor),
            false => Err(reader.mistakes),
        }
    }

    /// A mistake where this stands in the file first.
    pub(super) fn wrong(&mut self, place: &str, message: impl Into<String>) {
        let start = self.text.find(place);
        self.mistakes.push(match start {
            Some(start) => Mistake::at(start..start + place.len(), message),
            None => Mistake::outside(message),
        });
    }

    pub(super) fn read<T>(&mut self, place: &str, read: Result<T, &'static str>) -> Option<T> {
        read.map_err(|why| self.wrong(place, why)).ok()
    }

    /// Complains about places that nothing fills.
    fn known(&mut self, place: &str, names: Vec<&str>, known: &BTreeSet<&str>) {
        for name in names.into_iter().filter(|name| !known.contains(name)) {
            let named = format!("{{{name}}}");
            let message = format!("nothing fills `{named}` here");
            let stands = self.text.contains(&named);
            self.wrong(if stands { &named } else { place }, message);
            let help = match nearest(name, known.iter().copied()) {
                Some(meant) => format!("did you mean `{{{meant}}}`?"),
                None => format!(
                    "known are {}",
                    Vec::from_iter(known.iter().copied()).join(", ")
                ),
            };
            if let Some(mistake) = self.mistakes.last_mut() {
                mistake.help = help;
            }
        }
    }

    fn vendor(&mut self, document: Document) -> Vendor {
        let keys: Vec<_> = document
            .keys
            .into_iter()
            .map(|(name, key)| self.key(&name, key))
            .collect();
        let named = |kind: fn(KeyKind) -> bool| -> BTreeSet<&'static str> {
            let keys = keys.iter().filter(|key| kind(key.takes));
            keys.map(|key| key.name).collect()
        };
        let (urls, texts) = (
            named(|k| k == KeyKind::Url),
            named(|k| k != KeyKind::Secret),
        );
        let all = named(|_| true);
        for key in &keys {
            let names = key.default.iter().flat_map(Template::names);
            self.known(key.name, names.collect(), &texts);
        }
        let mut credentials = BTreeMap::new();
        for (name, document) in document.credential {
            if let Some(credential) = self.credential(&name, document) {
                let place = format!("[credential.{name}]");
                self.known(&place, credential.names(), &all);
                let base = credential.address().map(|address| &*address.base);
                self.known(&place, base.into_iter().collect(), &urls);
                credentials.insert(name, credential);
            }
        }
        let answers = document
            .answers
            .into_iter()
            .filter_map(|answer| self.rule(answer))
            .collect();
        let operations = self.operations(
            [
                (Step::Revoke.name(), document.revoke),
                (Step::Password.name(), document.password),
                (Step::Ask.name(), document.ask),
                (Step::Block.name(), document.block),
                (Step::Risk.name(), document.risk),
                (Step::Mfa.name(), document.mfa),
                (Step::Undo.name(), document.undo),
                (LIST, document.list),
            ],
            (&urls, &texts, &credentials),
        );
        Vendor {
            title: document.title,
            page: document.page,
            keys,
            credentials,
            answers,
            operations,
        }
    }

    fn operations(
        &mut self,
        steps: [(&'static str, Targets); 8],
        (urls, texts, credentials): (&Names, &Names, &BTreeMap<String, Credential>),
    ) -> BTreeMap<(&'static str, &'static str), Operation> {
        let mut operations = BTreeMap::new();
        let steps = steps.into_iter();
        let each = steps.flat_map(|(step, targets)| targets.into_iter().map(move |of| (step, of)));
        for (step, (target, calls)) in each {
            let Some((target, own)) = TARGETS.iter().find(|(known, _)| *known == target) else {
                let message = format!("`{target}` is none of jti, sid, token, subject, address");
                self.wrong(&format!("{step}.{target}"), message);
                continue;
            };
            let mut all: BTreeSet<&str> = texts.iter().copied().chain(ALWAYS).collect();
            all.extend(own.iter().copied());
            let scope = Scope {
                step,
                urls,
                texts,
                all,
                credentials,
            };
            operations.insert((step, *target), self.operation(calls, scope));
        }
        operations
    }

    fn key(&mut self, name: &str, document: KeyDoc) -> VendorKey {
        let is_name = |c: char| c.is_ascii_lowercase() || c == '_';
        let taken = ["kind", "name", "issuer", "file"];
        if !name.chars().all(is_name) || name.len() > 40 || taken.contains(&name) {
            self.wrong(
                name,
                "a key is named by small letters and `_`, and not kind, name, issuer or file",
            );
        }
        let default = document.default;
        let default = default.and_then(|text| self.read(&text, Template::parse(&text)));
        VendorKey {
            name: interned(name),
            takes: document.takes,
            example: document.example,
            default,
            optional: document.optional,
        }
    }

    fn operation(&mut self, calls: Vec<CallDoc>, mut scope: Scope<'_>) -> Operation {
        let count = calls.len();
        let mut read = Vec::new();
        for (number, document) in calls.into_iter().enumerate() {
            let is_last = number + 1 == count;
            if let Some(call) = self.call(document, &mut scope, is_last) {
                read.push(call);
            }
        }
        Operation { calls: read }
    }

    fn call(&mut self, document: CallDoc, scope: &mut Scope<'_>, is_last: bool) -> Option<Call> {
        let url = document.url.clone();
        let address = self.read(&url, Address::parse(&url))?;
        self.known(&url, vec![&address.base], scope.urls);
        self.known(&url, address.names().collect(), &scope.all);
        let body = self.body(document.form, document.json)?;
        self.known(&url, body.names(), &scope.all);
        let headers = self.headers(document.headers)?;
        let named = headers.iter().flat_map(|(_, value)| value.names());
        self.known(&url, named.collect(), &scope.configured());
        if let Some(name) = &document.each {
            self.known(name, vec![name], &scope.all);
        }
        let credential = self.shown_by(document.credential, scope);
        let method = self.method(&document.method)?;
        let mut keep = Vec::new();
        for (name, at) in document.keep {
            keep.push((name.clone(), self.read(&at, Pointer::parse(&at))?));
            scope.all.insert(interned(&name));
        }
        if scope.step == LIST && is_last != document.sessions.is_some() {
            self.wrong(
                &url,
                "the last call of a list says where the `sessions` are in its answer",
            );
        }
        if document.done.is_empty() {
            self.wrong(&url, "`done` is missing: the statuses that mean it worked");
        }
        let is_read = method == Method::GET;
        let asks = scope.step == Step::Ask.name() && !is_read;
        let answers = document.answers.into_iter();
        Some(Call {
            method,
            address,
            headers,
            body,
            done: document.done,
            already_done: document.already_done,
            already_done_if: self.pointer(document.already_done_if)?,
            answers: answers.filter_map(|answer| self.rule(answer)).collect(),
            keep,
            says: self.template(document.says.as_deref())?,
            each: document.each,
            at_most_once: document.at_most_once.unwrap_or(asks),
            sessions: self.pointer(document.sessions)?,
            credential,
        })
    }

    fn method(&mut self, text: &str) -> Option<Method> {
        let known = [
            Method::GET,
            Method::POST,
            Method::PUT,
            Method::PATCH,
            Method::DELETE,
        ];
        let found = known.into_iter().find(|method| method.as_str() == text);
        if found.is_none() {
            self.wrong(text, "a method is GET, POST, PUT, PATCH or DELETE");
        }
        found
    }

    /// The credential of a call: the one that it names, else the only one there is.
    fn shown_by(&mut self, named: Option<String>, scope: &Scope<'_>) -> Option<String> {
        match named.as_deref() {
            Some("none") => None,
            Some(name) => {
                let known: BTreeSet<&str> = scope.credentials.keys().map(String::as_str).collect();
                self.known(name, vec![name], &known);
                named
            }
            None => scope.credentials.keys().next().cloned(),
        }
    }

    #[allow(clippy::option_option, reason = "a mistake is not the same as nothing")]
    fn template(&mut self, text: Option<&str>) -> Option<Option<Template>> {
        match text {
            Some(text) => self.read(text, Template::parse(text)).map(Some),
            None => Some(None),
        }
    }

    /// `None` when it is wrong; none inside when there is none.
    #[allow(clippy::option_option, reason = "a mistake is not the same as nothing")]
    fn pointer(&mut self, text: Option<String>) -> Option<Option<Pointer>> {
        match text {
            Some(text) => self.read(&text, Pointer::parse(&text)).map(Some),
            None => Some(None),
        }
    }
}

/// What may be named in the calls of one operation.
struct Scope<'a> {
    step: &'static str,
    urls: &'a Names,
    texts: &'a Names,
    all: BTreeSet<&'a str>,
    credentials: &'a BTreeMap<String, Credential>,
}

impl Scope<'_> {
    /// What the configuration gives: what a log or an answer says must not become a header.
    fn configured(&self) -> BTreeSet<&str> {
        self.texts.iter().copied().collect()
    }
}
