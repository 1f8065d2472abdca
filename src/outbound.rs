//! SHELL: calls to others: which addresses may be called, with which secrets, and what an answer means.
//!
//! In: an address from the configuration, path segments, a request. Out: [`Answer`]s, or the [`Outcome`] of a call that
//! got none. No redirect is followed, plain HTTP only goes to this machine, and no error names a URL or a secret.
//! Does not know: providers, sinks, what is said.
//! Source: RFC 9110, sections 10.2.3 (Retry-After) and 15; RFC 6585, section 4 (429).

pub mod bearer;
pub mod mail;
pub mod options;
mod secret;
pub mod signing;
pub mod stream;

pub use secret::{Secret, SecretError};

use crate::domain::action::Outcome;
use crate::domain::time::Time;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, Url};
use std::fmt;
use std::pin::Pin;
use std::time::{Duration, SystemTime};

/// A receiver that takes longer is down for our purposes; the outbox tries again.
const TIMEOUT: Duration = Duration::from_secs(10);

/// No answer we read is longer: a Keycloak user or list of sessions is a few kilobytes.
const BODY_BYTES_MAX: usize = 1 << 20;

/// What a receiver may ask us to wait at most: longer, and a person should see the dead letter.
const RETRY_AFTER_S_MAX: u64 = 3600;

/// One attempt, under way.
pub type Attempt<'a> = Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>;

/// The wall clock.
pub fn now() -> Time {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let ms = since.map_or(0, |since| since.as_millis());
    Time::default().plus_ms(i64::try_from(ms).unwrap_or(i64::MAX))
}

/// An address of the configuration that may be called: HTTPS, or HTTP on this machine.
#[derive(Clone)]
pub struct Endpoint(Url);

/// Why an address may not be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// It is no URL.
    #[error("not a URL")]
    NotAUrl,
    /// Everybody on the way could read the credentials.
    #[error("plain HTTP is for this machine only: use https")]
    NotSecure,
    /// Credentials would end up in logs.
    #[error("a URL must not hold a user or a password")]
    Credentials,
}

impl Endpoint {
    /// Checks an address.
    ///
    /// # Errors
    /// When it is no URL, not secure, or holds credentials.
    pub fn new(text: &str) -> Result<Self, EndpointError> {
        let url = Url::parse(text).map_err(|_| EndpointError::NotAUrl)?;
        let host = url.host_str().unwrap_or_default();
        let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
        let here = host == "localhost" || address.is_ok_and(|ip| ip.is_loopback());
        if !url.username().is_empty() || url.password().is_some() {
            return Err(EndpointError::Credentials);
        }
        match url.scheme() {
            "https" if !host.is_empty() => Ok(Self(url)),
            "http" if here => Ok(Self(url)),
            _ => Err(EndpointError::NotSecure),
        }
    }

    /// The address itself.
    pub fn url(&self) -> Url {
        self.0.clone()
    }

    /// The address below this one, each segment encoded. `None` for a segment that would leave its place (`..`), name
    /// nothing, or hold control characters (URLs drop tabs and line ends, which would name another user): some of
    /// them come from tokens.
    pub fn below(&self, segments: &[&str]) -> Option<Url> {
        let mut url = self.url();
        {
            let mut path = url.path_segments_mut().ok()?;
            path.pop_if_empty();
            for segment in segments {
                if matches!(*segment, "" | "." | "..") || segment.contains(char::is_control) {
                    return None;
                }
                path.push(segment);
            }
        }
        Some(url)
    }
}

/// Paths and queries of hooks are secrets of their own.
impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Endpoint({}, hidden)",
            self.0.host_str().unwrap_or_default()
        )
    }
}

/// Makes calls.
#[derive(Clone, Debug)]
pub struct Caller(Client);

/// An answer, read to its end.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// What the receiver asked to wait, in seconds, at most an hour.
    pub retry_after_s: Option<u64>,
    /// The body, at most a megabyte.
    pub body: Vec<u8>,
}

impl Caller {
    /// A caller with our limits.
    ///
    /// # Errors
    /// When the system's certificates cannot be used.
    pub fn new() -> Result<Self, reqwest::Error> {
        Self::patient_for(TIMEOUT)
    }

    /// A caller that waits this long for an answer.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn patient_for(timeout: Duration) -> Result<Self, reqwest::Error> {
        let client = Client::builder()
            .redirect(Policy::none())
            .timeout(timeout)
            .user_agent(concat!("tokentrip/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self(client))
    }

    /// The client to build requests with.
    pub fn client(&self) -> &Client {
        &self.0
    }

    /// Sends a request and reads the answer.
    ///
    /// # Errors
    /// The outcome of a call without an answer: nearly always to be tried again.
    pub async fn send(&self, request: RequestBuilder) -> Result<Answer, Outcome> {
        let mut response = request.send().await.map_err(|error| outcome_of(&error))?;
        let status = response.status().as_u16();
        let retry_after_s = retry_after_s(response.headers());
        let mut body = Vec::new();
        while let Some(part) = response.chunk().await.map_err(|error| outcome_of(&error))? {
            if body.len() + part.len() > BODY_BYTES_MAX {
                let why = "the answer is longer than a megabyte".to_owned();
                return Err(Outcome::Failed { why });
            }
            body.extend_from_slice(&part);
        }
        Ok(Answer {
            status,
            retry_after_s,
            body,
        })
    }
}

impl Answer {
    /// What a status means where nothing special is agreed: 2xx is done, 408, 429 and 5xx may work later, and all
    /// else (a redirect, too) will not.
    pub fn outcome(&self) -> Outcome {
        let why = format!("answered {}", self.status);
        match self.status {
            200..=299 => Outcome::Done,
            408 | 429 | 500..=599 => Outcome::Retry {
                after_s: self.retry_after_s,
                why,
            },
            _ => Outcome::Failed { why },
        }
    }
}

/// The error's own text names the URL.
fn outcome_of(error: &reqwest::Error) -> Outcome {
    let why = match error {
        error if error.is_timeout() => "no answer in time",
        error if error.is_connect() => {
            let why = "cannot connect".to_owned();
            return Outcome::Unsent { after_s: None, why };
        }
        error if error.is_builder() => {
            let why = "the request cannot be written".to_owned();
            return Outcome::Failed { why };
        }
        _ => "the connection broke",
    };
    Outcome::Retry {
        after_s: None,
        why: why.to_owned(),
    }
}

fn retry_after_s(headers: &HeaderMap) -> Option<u64> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?;
    let wait_s = match text.parse() {
        Ok(wait_s) => wait_s,
        Err(_) => {
            let until = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
            u64::try_from(until.as_second() - now().as_s()).unwrap_or(0)
        }
    };
    Some(wait_s.min(RETRY_AFTER_S_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_goes_to_this_machine_only_and_no_address_holds_credentials() {
        let checked = |text| Endpoint::new(text).map(drop);
        for fine in [
            "https://idp.example.com",
            "http://127.0.0.1:80/a",
            "http://[::1]/",
            "http://localhost/",
        ] {
            assert_eq!(checked(fine), Ok(()), "{fine}");
        }
        for (text, error) in [
            ("http://idp.example.com", EndpointError::NotSecure),
            ("http://127.0.0.1.example.com", EndpointError::NotSecure),
            ("file:///etc/passwd", EndpointError::NotSecure),
            ("https://a:b@idp.example.com", EndpointError::Credentials),
            ("idp", EndpointError::NotAUrl),
        ] {
            assert_eq!(checked(text), Err(error), "{text}");
        }
    }

    #[test]
    fn a_segment_from_a_token_stays_in_its_place() {
        let endpoint = Endpoint::new("https://idp.example.com/auth/").unwrap();
        let below = |name| endpoint.below(&["users", name, "logout"]).map(String::from);
        let at = |path: &str| Some(format!("https://idp.example.com/auth/users/{path}/logout"));
        assert_eq!(below("a/../b?c#d"), at("a%2F..%2Fb%3Fc%23d"));
        assert_eq!(below("%2e%2e"), at("%252e%252e"));
        for leaving in ["..", ".", "", "ali\tce", ".\r\n."] {
            assert_eq!(below(leaving), None);
        }
    }

    #[test]
    fn a_wait_is_read_in_seconds_or_as_a_date_and_has_an_end() {
        let wait = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, text.parse().unwrap());
            retry_after_s(&headers)
        };
        assert_eq!(wait("7"), Some(7));
        assert_eq!(wait("999999999"), Some(RETRY_AFTER_S_MAX));
        assert_eq!(wait("Sun, 06 Nov 1994 08:49:37 GMT"), Some(0));
        assert_eq!(wait("soon"), None);
    }

    #[test]
    fn an_address_does_not_show_itself() {
        let endpoint = Endpoint::new("https://hooks.example.com/T0/secret").unwrap();
        assert_eq!(
            format!("{endpoint:?}"),
            "Endpoint(hooks.example.com, hidden)"
        );
    }
}
