//! An incident in a few lines of plain text: what a person reads first, on a terminal, in a chat, in a mail.
//!
//! In: an [`Incident`]. Out: labels with their texts, without tokens, control characters and what turns text round.
//! Does not know: widths, colours, markup; whoever shows it escapes it for what it is shown in.
//! Source: Unicode Standard Annex 9, section 2 (explicit directional formatting characters).

use crate::domain::breach::Coverage;
use crate::domain::incident::{Incident, Side, Target};
use crate::domain::mask::mask;
use crate::domain::time::Time;

/// Paths, targets and the like named in a row.
const NAMED_MAX: usize = 3;

/// The rows after the title: who, suspect, why, the four steps, and what to do now. Empty ones are left out.
pub fn rows(incident: &Incident) -> Vec<(&'static str, String)> {
    let mut rows = Vec::new();
    if let Some(subject) = &incident.subject {
        let issuer = incident.issuer.as_deref().unwrap_or("an unknown issuer");
        rows.push(("who", format!("{subject} at {issuer}")));
    }
    if let Some(victim) = &incident.victim {
        rows.push(("holder", side(victim)));
    }
    rows.push(("suspect", suspect(incident)));
    let rules: Vec<_> = incident.rules.keys().map(AsRef::as_ref).collect();
    rows.push(("because of", rules.join(", ")));
    let steps = &incident.steps;
    rows.push(("1 password", steps.password.advice.clone()));
    rows.push(("2 revoke", revoke(incident)));
    rows.push(("3 breach", breach(incident)));
    if let Some(cause) = steps.root_cause.hypotheses.first() {
        let (hint, evidence, fix) = (&cause.hint, &cause.evidence, &cause.fix);
        rows.push((
            "4 root cause",
            format!("{hint}; seen: {evidence}; fix: {fix}"),
        ));
    }
    rows.push(("now", incident.next.clone()));
    rows.retain(|(_, text)| !text.is_empty());
    for (_, text) in &mut rows {
        *text = plain(text);
    }
    rows
}

/// `i-…  score 100  2026-05-04 10:11:12 to 10:40:01 UTC, still active`.
pub fn since(incident: &Incident) -> String {
    let (from, to) = (clock(incident.opened), clock(incident.updated));
    let span = match to.strip_prefix(&from[..11]) {
        _ if from == to => from,
        Some(same_day) => format!("{from} to {same_day}"),
        None => format!("{from} to {to}"),
    };
    let active = match incident.suspect_active {
        true => ", still active",
        false => "",
    };
    let (id, score) = (incident.id, incident.score);
    format!("{id}  score {score}  {span} UTC{active}")
}

/// Text without tokens and without what moves a cursor or turns a line.
pub fn plain(text: &str) -> String {
    let hidden = |c: char| {
        c.is_control()
            || matches!(
                c,
                '\u{200b}'..='\u{200f}'
                    | '\u{2028}'..='\u{202e}'
                    | '\u{2060}'..='\u{206f}'
                    | '\u{feff}'
            )
    };
    let masked = mask(text);
    let shown = masked.chars().map(|c| if hidden(c) { '·' } else { c });
    shown.collect()
}

/// A number with a comma before every three digits.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// At most so many characters; what does not fit ends in `…`.
pub(super) fn cut(text: &str, chars_max: usize) -> String {
    if text.chars().count() <= chars_max {
        return text.to_owned();
    }
    let kept: String = text.chars().take(chars_max.saturating_sub(1)).collect();
    kept + "…"
}

/// `2026-05-04 10:11:12`.
fn clock(time: Time) -> String {
    let text = time.to_string();
    let seconds = text.chars().take(19);
    seconds.map(|c| if c == 'T' { ' ' } else { c }).collect()
}

fn side(side: &Side) -> String {
    joined(&[listed(&side.networks), listed(&side.clients)])
}

fn suspect(incident: &Incident) -> String {
    let suspect = &incident.suspect;
    let ips: Vec<String> = suspect.ips.iter().map(ToString::to_string).collect();
    joined(&[
        listed(&ips),
        listed(&suspect.networks),
        listed(&suspect.clients),
    ])
}

fn joined(parts: &[String]) -> String {
    let said: Vec<_> = parts.iter().filter(|part| !part.is_empty()).collect();
    let said: Vec<&str> = said.into_iter().map(String::as_str).collect();
    said.join("; ")
}

/// The first few, and how many more.
fn listed(items: &[String]) -> String {
    let named = items.len().min(NAMED_MAX);
    let mut text = items[..named].join(", ");
    if items.len() > named {
        text.push_str(&format!(" and {} more", items.len() - named));
    }
    text
}

fn revoke(incident: &Incident) -> String {
    let step = &incident.steps.revoke;
    let names: Vec<String> = step.targets.iter().map(target).collect();
    let until = incident.live_until.as_deref();
    let until = until.map(|until| until.get(..16).unwrap_or(until).replace('T', " "));
    let named = match (names.is_empty(), until) {
        (true, _) => String::new(),
        (false, Some(until)) => format!("{} (live until {until} UTC)", listed(&names)),
        (false, None) => listed(&names),
    };
    let said = [named, step.advice.clone()];
    let said: Vec<_> = said.into_iter().filter(|text| !text.is_empty()).collect();
    said.join(": ")
}

fn target(target: &Target) -> String {
    match target {
        Target::Jti { jti, .. } => format!("jti {jti}"),
        Target::Sid { sid, .. } => format!("sid {sid}"),
        Target::Token { token, .. } => token.to_string(),
        Target::Subject { sub, .. } => format!("all of {sub}"),
        Target::Address { ip } => format!("address {ip}"),
    }
}

fn breach(incident: &Incident) -> String {
    let step = &incident.steps.breach;
    let mut text = format!(
        "requests {}, writes {}, bytes {}, denied {}",
        grouped(step.requests),
        grouped(step.writes),
        grouped(step.bytes),
        grouped(step.denied)
    );
    if step.other_subjects_count > 0 {
        let whose = match incident.children.is_empty() {
            true => "other subjects",
            false => "subjects",
        };
        let count = grouped(step.other_subjects_count);
        text.push_str(&format!(", {whose} {count}"));
    }
    if step.objects_count > 0 {
        text.push_str(&format!(", objects {}", grouped(step.objects_count)));
    }
    let paths = step
        .paths
        .iter()
        .map(|(path, count)| format!("{path} {count}×"));
    let paths: Vec<String> = paths.collect();
    if !paths.is_empty() {
        text.push_str(&format!(": {}", listed(&paths)));
    }
    if matches!(step.status, Coverage::Partial { .. }) {
        text.push_str(" (partial)");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_never_moves_the_cursor() {
        assert_eq!(plain("a\u{1b}[2Jb\u{202e}"), "a·[2Jb·");
    }

    #[test]
    fn what_is_too_long_says_so() {
        assert_eq!(cut("äöü", 3), "äöü");
        assert_eq!(cut("äöüß", 3), "äö…");
    }
}
