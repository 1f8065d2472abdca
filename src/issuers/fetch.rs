//! Fetches one key set, once.
//!
//! In: a [`KeySource`]. Out: [`FetchedKeys`], or the [`FetchFault`] that says what was tried and
//! why it failed.
//! Does not know: when to fetch again (see [`super::refresh`]).

use crate::domain::time::Time;
use crate::tokens::keys::{KeyFault, KeySet};
use reqwest::{Client, Response, Url, header, redirect};
use std::error::Error;
use std::fmt;
use std::io::Read;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// One byte more than a key set may have, so that a longer one is seen to be.
const READ_BYTES_MAX: usize = 1024 * 1024 + 1;

/// Whose keys, and where they are.
#[derive(Clone, Debug)]
pub struct KeySource {
    /// The `iss` of the tokens.
    pub issuer: Arc<str>,
    /// Where its key set is.
    pub location: Location,
}

/// Where a key set is. Shows itself without user, password and query.
#[derive(Clone)]
pub enum Location {
    /// A file with a JWK set or a single JWK.
    File(PathBuf),
    /// An https address; http on loopback only.
    Url(Url),
}

/// A key set that was an issuer's at a moment.
#[derive(Clone, Debug)]
pub struct FetchedKeys {
    /// Whose.
    pub issuer: Arc<str>,
    /// The keys.
    pub set: KeySet,
    /// As they were received.
    pub bytes: Arc<[u8]>,
    /// When, by the wall clock.
    pub fetched_at: Time,
    /// How long the server lets it be kept (`Cache-Control: max-age`).
    pub fresh_for: Option<Duration>,
}

/// Why a key set could not be had. Never with user, password or query of an address, nor with
/// content.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "each is its message")]
pub enum FetchFault {
    // Without the text: what does not parse may hold a password anywhere.
    #[error("this is no address; give an https URL or the path of a file")]
    NotAnAddress,
    #[error(
        "{at} is not https; a key set over http is only read on loopback: \
         whoever can change it can sign"
    )]
    NotSecure { at: Location },
    #[error("{path}: {reason}", path = path.display())]
    Unreadable {
        path: PathBuf,
        reason: std::io::Error,
    },
    #[error("{at} did not answer within {timeout_s} s")]
    TimedOut { at: Location, timeout_s: f64 },
    #[error("{at} could not be reached: {reason}")]
    Unreachable { at: Location, reason: String },
    #[error(
        "{at} answered {status} with a redirect, which is not followed; configure the final address"
    )]
    Redirected { at: Location, status: u16 },
    #[error("{at} answered {status}")]
    Status { at: Location, status: u16 },
    #[error("{at}: {reason}")]
    NotKeys { at: Location, reason: KeyFault },
}

impl Location {
    /// A file.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self::File(path.into())
    }

    /// An address, if it is https, or http on loopback.
    pub fn url(text: &str) -> Result<Self, FetchFault> {
        let url = Url::parse(text).map_err(|_| FetchFault::NotAnAddress)?;
        match url.scheme() {
            "https" => Ok(Self::Url(url)),
            "http" if is_loopback(&url) => Ok(Self::Url(url)),
            "http" => Err(FetchFault::NotSecure { at: Self::Url(url) }),
            _ => Err(FetchFault::NotAnAddress),
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Url(url) => {
                let host = url.host_str().unwrap_or_default();
                write!(f, "{}://{host}", url.scheme())?;
                if let Some(port) = url.port() {
                    write!(f, ":{port}")?;
                }
                f.write_str(url.path())
            }
        }
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || address
            .parse()
            .is_ok_and(|address: IpAddr| address.is_loopback())
}

/// The HTTP client that fetches key sets. Cloning it is cheap and shares the connections.
#[derive(Clone, Debug)]
pub struct Fetcher {
    client: Client,
    timeout: Duration,
}

impl Fetcher {
    /// A fetcher that waits for an answer at most so long. The error is that of the TLS set-up.
    pub fn new(timeout: Duration) -> Result<Self, reqwest::Error> {
        let client = Client::builder()
            .redirect(redirect::Policy::none())
            .timeout(timeout)
            .user_agent(concat!("tokentrip/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self { client, timeout })
    }

    /// Fetches the key set of a source.
    pub async fn fetch(&self, source: &KeySource) -> Result<FetchedKeys, FetchFault> {
        let (bytes, fresh_for) = match &source.location {
            Location::File(path) => (read_file(path)?, None),
            Location::Url(url) => self.get(url, &source.location).await?,
        };
        let set = KeySet::parse(&bytes).map_err(|reason| FetchFault::NotKeys {
            at: source.location.clone(),
            reason,
        })?;
        Ok(FetchedKeys {
            issuer: source.issuer.clone(),
            set,
            bytes: bytes.into(),
            fetched_at: now(),
            fresh_for,
        })
    }

    async fn get(
        &self,
        url: &Url,
        at: &Location,
    ) -> Result<(Vec<u8>, Option<Duration>), FetchFault> {
        let failed = |error: reqwest::Error| self.fault(&error, at);
        let accept = "application/jwk-set+json, application/json";
        let request = self.client.get(url.clone()).header(header::ACCEPT, accept);
        let response = request.send().await.map_err(failed)?;
        let (at, status) = (at.clone(), response.status());
        if status.is_redirection() {
            let status = status.as_u16();
            return Err(FetchFault::Redirected { at, status });
        }
        if !status.is_success() {
            let status = status.as_u16();
            return Err(FetchFault::Status { at, status });
        }
        let fresh_for = max_age(&response);
        Ok((body(response).await.map_err(failed)?, fresh_for))
    }

    fn fault(&self, error: &reqwest::Error, at: &Location) -> FetchFault {
        let at = at.clone();
        if error.is_timeout() {
            let timeout_s = self.timeout.as_secs_f64();
            return FetchFault::TimedOut { at, timeout_s };
        }
        // The innermost cause says what happened (refused, unknown host, certificate) and has no
        // address in it.
        let mut cause: &dyn Error = error;
        while let Some(inner) = cause.source() {
            cause = inner;
        }
        let reason = match error.source() {
            Some(_) => cause.to_string(),
            None => "the request failed".to_owned(),
        };
        FetchFault::Unreachable { at, reason }
    }
}

/// The body up to one byte more than a key set may have; what is longer is refused when it is
/// parsed.
async fn body(mut response: Response) -> Result<Vec<u8>, reqwest::Error> {
    let mut bytes = Vec::new();
    while let Some(piece) = response.chunk().await? {
        let left = READ_BYTES_MAX - bytes.len();
        bytes.extend(piece.iter().take(left));
        if bytes.len() == READ_BYTES_MAX {
            break;
        }
    }
    Ok(bytes)
}

fn max_age(response: &Response) -> Option<Duration> {
    let value = response
        .headers()
        .get(header::CACHE_CONTROL)?
        .to_str()
        .ok()?;
    let directives = value.split(',').map(|one| one.trim().to_ascii_lowercase());
    let seconds = directives
        .filter_map(|one| one.strip_prefix("max-age=")?.trim_matches('"').parse().ok())
        .next();
    seconds.map(Duration::from_secs)
}

/// Key files are small and local, so they are read where they are asked for.
fn read_file(path: &Path) -> Result<Vec<u8>, FetchFault> {
    let read = || {
        if !std::fs::metadata(path)?.is_file() {
            return Err(std::io::Error::other("not a regular file"));
        }
        let mut bytes = Vec::new();
        let file = std::fs::File::open(path)?;
        file.take(READ_BYTES_MAX as u64).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    read().map_err(|reason| FetchFault::Unreadable {
        path: path.to_owned(),
        reason,
    })
}

fn now() -> Time {
    let since_epoch = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let ms = i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX);
    Time::default().plus_ms(ms)
}
