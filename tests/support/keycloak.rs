//! A strict stand-in for Keycloak: what it does not expect in method, path, body or credential, it refuses and remembers.
//!
//! In: requests on a free loopback port, a script of answers. Out: the calls that were made, and its users and sessions.
//! Does not know: anything of the crate.
//! Source: <https://www.keycloak.org/docs-api/latest/rest-api/index.html>; no Keycloak server can be had here.

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, LOCATION, RETRY_AFTER};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;

/// The realm it serves.
pub(crate) const REALM: &str = "shop";
/// The one client it knows, and its secret, which wants encoding in a form.
pub(crate) const CLIENT: (&str, &str) = ("tokentrip", "s&cret=+ü");
/// The user it begins with, and that user's sessions.
pub(crate) const USER: &str = "6d1d2c4e-0f2a-4a3e-8a1b-7d0f5f3a9b10";
pub(crate) const SESSIONS: [&str; 2] = ["2d8a9f1e-7b1c-4d7e-9a53-3f0f6a0f8c11", "b7"];

/// What it answers instead of doing what it was asked.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Answer {
    /// Does as it was asked.
    Pass,
    /// A status.
    Status(u16),
    /// 429 with `Retry-After` in seconds.
    TooMany(u32),
    /// A redirect to itself, which nobody should follow.
    Redirect,
    /// 401, and the admin tokens it gave are worth nothing any more.
    Expire,
}

/// What it knows.
#[derive(Debug)]
pub(crate) struct World {
    /// Users by id, as full representations.
    pub(crate) users: BTreeMap<String, Value>,
    /// Session ids with their users.
    pub(crate) sessions: BTreeMap<String, String>,
    /// Answers to the next calls, the token endpoint's not counted.
    pub(crate) script: VecDeque<Answer>,
    /// `METHOD path` of every call, in order.
    pub(crate) calls: Vec<String>,
    /// What was wrong with a call.
    pub(crate) violations: Vec<String>,
    tokens_given: usize,
    tokens_dead: usize,
}

/// A running server.
#[derive(Clone, Debug)]
pub(crate) struct Keycloak {
    /// Where it listens, without a slash at the end.
    pub(crate) base: String,
    world: Arc<Mutex<World>>,
}

impl Keycloak {
    /// Starts one with one user and two sessions.
    pub(crate) async fn start() -> Self {
        let user = include_str!("../fixtures/providers/keycloak/user.json");
        let world = Arc::new(Mutex::new(World {
            users: [(USER.to_owned(), serde_json::from_str(user).unwrap())].into(),
            sessions: SESSIONS.map(|sid| (sid.to_owned(), USER.to_owned())).into(),
            script: VecDeque::new(),
            calls: Vec::new(),
            violations: Vec::new(),
            tokens_given: 0,
            tokens_dead: 0,
        }));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(serve).with_state(world.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { base, world }
    }

    /// The issuer of its tokens.
    pub(crate) fn issuer(&self) -> String {
        format!("{}/realms/{REALM}", self.base)
    }

    /// Looks at what it knows, or changes it.
    pub(crate) fn world<T>(&self, look: impl FnOnce(&mut World) -> T) -> T {
        look(&mut self.world.lock().unwrap())
    }

    /// The calls below the realm's admin API since the last time, as `METHOD path`.
    pub(crate) fn calls(&self) -> Vec<String> {
        let admin = format!(" /admin/realms/{REALM}/");
        let calls = self.world(|world| std::mem::take(&mut world.calls));
        let calls = calls.into_iter().filter(|call| call.contains(&admin));
        calls.map(|call| call.replace(&admin, " ")).collect()
    }
}

async fn serve(
    State(world): State<Arc<Mutex<World>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut world = world.lock().unwrap();
    world.calls.push(format!("{method} {uri}"));
    let request = Request {
        method,
        path: uri.to_string(),
        headers,
        body,
    };
    world.answer(&request).unwrap_or_else(|wrong| {
        world
            .violations
            .push(format!("{} {}: {wrong}", request.method, request.path));
        StatusCode::IM_A_TEAPOT.into_response()
    })
}

struct Request {
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Bytes,
}

impl Request {
    fn header(&self, name: axum::http::HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

impl World {
    fn answer(&mut self, request: &Request) -> Result<Response, &'static str> {
        if request.path == format!("/realms/{REALM}/protocol/openid-connect/token") {
            return self.give_token(request);
        }
        let bearer = request
            .header(AUTHORIZATION)
            .and_then(|h| h.strip_prefix("Bearer admin-"));
        let number: usize = bearer
            .and_then(|n| n.parse().ok())
            .ok_or("no admin token of ours")?;
        if number <= self.tokens_dead || number > self.tokens_given {
            return Ok(StatusCode::UNAUTHORIZED.into_response());
        }
        match self.script.pop_front() {
            Some(Answer::Status(status)) => {
                return Ok(StatusCode::from_u16(status).unwrap().into_response());
            }
            Some(Answer::TooMany(s)) => {
                let wait = [(RETRY_AFTER, s.to_string())];
                return Ok((StatusCode::TOO_MANY_REQUESTS, wait).into_response());
            }
            Some(Answer::Redirect) => {
                let to = [(LOCATION, request.path.clone())];
                return Ok((StatusCode::TEMPORARY_REDIRECT, to).into_response());
            }
            Some(Answer::Expire) => {
                self.tokens_dead = self.tokens_given;
                return Ok(StatusCode::UNAUTHORIZED.into_response());
            }
            Some(Answer::Pass) | None => {}
        }
        self.act(request)
    }

    fn give_token(&mut self, request: &Request) -> Result<Response, &'static str> {
        let form = request.header(CONTENT_TYPE) == Some("application/x-www-form-urlencoded");
        if request.method != Method::POST || !form || request.headers.contains_key(AUTHORIZATION) {
            return Err("not a token request");
        }
        let secret =
            "grant_type=client_credentials&client_id=tokentrip&client_secret=s%26cret%3D%2B%C3%BC";
        if request.body != secret.as_bytes() {
            return Ok((StatusCode::UNAUTHORIZED, r#"{"error":"invalid_client"}"#).into_response());
        }
        self.tokens_given += 1;
        let token = format!("admin-{}", self.tokens_given);
        let answer = json!({"access_token": token, "expires_in": 60, "token_type": "Bearer"});
        Ok(answer.to_string().into_response())
    }

    fn act(&mut self, request: &Request) -> Result<Response, &'static str> {
        let path = request
            .path
            .strip_prefix(&format!("/admin/realms/{REALM}/"));
        let segments: Vec<_> = path.ok_or("not of this realm")?.split('/').collect();
        let empty = request.body.is_empty();
        match (request.method.as_str(), &segments[..]) {
            ("DELETE", ["sessions", sid]) if empty => Ok(match self.sessions.remove(*sid) {
                Some(_) => StatusCode::NO_CONTENT.into_response(),
                None => not_found("Sesssion not found"),
            }),
            (_, ["users", id, ..]) if !self.users.contains_key(*id) => {
                Ok(not_found("User not found"))
            }
            ("POST", ["users", id, "logout"]) if empty => {
                self.sessions.retain(|_, user| user != id);
                Ok(StatusCode::NO_CONTENT.into_response())
            }
            ("GET", ["users", id, "sessions"]) if empty => {
                let of_user = self.sessions.iter().filter(|(_, user)| user == id);
                let list: Vec<_> = of_user
                    .map(|(sid, user)| json!({"id": sid, "userId": user}))
                    .collect();
                Ok(Value::from(list).to_string().into_response())
            }
            ("PUT", ["users", _, "execute-actions-email"]) => {
                match request.body.as_ref() == br#"["UPDATE_PASSWORD"]"# {
                    true => Ok(StatusCode::NO_CONTENT.into_response()),
                    false => Err("not the action that was meant"),
                }
            }
            ("GET", ["users", id]) if empty => Ok(self.users[*id].to_string().into_response()),
            ("PUT", ["users", id]) => self.replace_user(id, request),
            _ => Err("no such call"),
        }
    }

    /// A representation comes back whole: only the required actions may differ, and none of them stands twice.
    fn replace_user(&mut self, id: &str, request: &Request) -> Result<Response, &'static str> {
        if request.header(CONTENT_TYPE) != Some("application/json") {
            return Err("not JSON");
        }
        let new: Value = serde_json::from_slice(&request.body).map_err(|_| "not JSON")?;
        let mut expected = self.users[id].clone();
        expected["requiredActions"] = new["requiredActions"].clone();
        if new != expected {
            return Err("the representation lost or gained something");
        }
        let actions = new["requiredActions"]
            .as_array()
            .ok_or("no required actions")?;
        let kept = self.users[id]["requiredActions"].as_array();
        let kept = kept.cloned().unwrap_or_default();
        let known = ["UPDATE_PASSWORD", "CONFIGURE_TOTP"];
        let is_new = |action: &&Value| !kept.contains(action);
        let new_ones: Vec<_> = actions.iter().filter(is_new).collect();
        let one_more = actions.len() == kept.len() + 1 && new_ones.len() == 1;
        if !one_more
            || !new_ones
                .iter()
                .all(|action| known.iter().any(|name| *action == name))
        {
            return Err("the required actions are wrong");
        }
        self.users.insert(id.to_owned(), new);
        Ok(StatusCode::NO_CONTENT.into_response())
    }
}

fn not_found(error: &str) -> Response {
    (StatusCode::NOT_FOUND, json!({"error": error}).to_string()).into_response()
}
