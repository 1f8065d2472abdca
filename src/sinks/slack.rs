//! Slack: an incoming webhook.
//!
//! In: an [`Incident`]. Out: one message of plain text blocks, in which nothing from a log can be a link or a mention.
//! Does not know: threads and updates of a message, which incoming webhooks cannot do: each change is a new message.
//! Source: <https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks>,
//! <https://docs.slack.dev/messaging/formatting-message-text> (escaping),
//! <https://docs.slack.dev/reference/block-kit/blocks>.

use super::{Event, Kind, Sink, brief};
use crate::domain::action::{Alert, Outcome};
use crate::domain::incident::Incident;
use crate::outbound::options::{Key, Takes};
use crate::outbound::{Attempt, Caller, Endpoint, Secret};
use serde_json::{Value, json};
use std::sync::Arc;

/// Longest text of a header, and of a section, in characters.
const HEADER_CHARS_MAX: usize = 150;
const SECTION_CHARS_MAX: usize = 3000;

/// `kind = "slack"`. The address is the credential, so it is kept like one.
pub const KIND: Kind = Kind {
    name: "slack",
    keys: &[Key::needed(
        "url",
        Takes::Secret(["url", "url_file", "url_env"]),
        "\"/etc/tokentrip/slack-url\"",
    )],
    make: |options, caller| {
        let (url, caller) = (options.needed_secret("url")?, caller.clone());
        Ok(Arc::new(Slack { url, caller }))
    },
};

#[derive(Debug)]
struct Slack {
    url: Secret,
    caller: Caller,
}

impl Slack {
    async fn post(&self, body: &str) -> Result<Outcome, Outcome> {
        let url = self.url.read()?;
        let endpoint = Endpoint::new(&url).map_err(|error| Outcome::Failed {
            why: format!("the address of the webhook: {error}"),
        })?;
        let request = self.caller.client().post(endpoint.url());
        let request = request
            .header("content-type", "application/json")
            .body(body.to_owned());
        Ok(self.caller.send(request).await?.outcome())
    }
}

impl Sink for Slack {
    fn body(&self, event: Event, incident: &Incident) -> String {
        let title = brief::plain(&incident.title);
        let heading = format!("{} {}", event.word(), incident.level.name().to_uppercase());
        let header = brief::cut(&format!("{heading}: {title}"), HEADER_CHARS_MAX);
        let rows = brief::rows(incident);
        let rows = rows.iter().map(|(label, text)| format!("{label}: {text}"));
        let rows: Vec<_> = rows.collect();
        let section = brief::cut(&rows.join("\n"), SECTION_CHARS_MAX);
        json!({
            // What a notification shows. Unlike the blocks it is read as markup.
            "text": escaped(&header),
            "blocks": [
                {"type": "header", "text": plain_text(&header)},
                {"type": "section", "text": plain_text(&section)},
                {"type": "context", "elements": [plain_text(&brief::since(incident))]},
            ],
        })
        .to_string()
    }

    fn deliver<'a>(&'a self, alert: &'a Alert) -> Attempt<'a> {
        Box::pin(async move {
            let done = self.post(&alert.body).await;
            done.unwrap_or_else(|outcome| outcome)
        })
    }
}

fn plain_text(text: &str) -> Value {
    json!({"type": "plain_text", "text": text, "emoji": false})
}

fn escaped(text: &str) -> String {
    let escaped = text.replace('&', "&amp;");
    escaped.replace('<', "&lt;").replace('>', "&gt;")
}
