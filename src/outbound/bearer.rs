//! An access token that is kept until it is refused.
//!
//! In: a call that fetches one. Out: a [`Bearer`], fetched once for all who wait.
//! Does not know: how it is fetched, or how long it lives: who refuses it says so.
//! Source: RFC 6750, section 3.1 (`invalid_token`: ask for a new one and try again).

use crate::domain::action::Outcome;
use tokio::sync::Mutex;

/// An access token. It never shows itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Bearer(String);

impl Bearer {
    /// A token of this text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Its text, to be sent.
    pub fn text(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Bearer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Bearer(hidden)")
    }
}

/// The token that was fetched last.
#[derive(Debug, Default)]
pub struct KeptBearer(Mutex<Option<Bearer>>);

impl KeptBearer {
    /// The token; a new one when there is none, or when it is the one that was refused.
    ///
    /// # Errors
    /// The outcome of the call that fetches one.
    pub async fn get(
        &self,
        refused: Option<&Bearer>,
        fetch: impl Future<Output = Result<Bearer, Outcome>>,
    ) -> Result<Bearer, Outcome> {
        let mut kept = self.0.lock().await;
        if let Some(token) = kept.as_ref().filter(|token| Some(*token) != refused) {
            return Ok(token.clone());
        }
        let token = fetch.await?;
        *kept = Some(token.clone());
        Ok(token)
    }
}
