//! Incidents for people at a terminal: who, what, where, since when, and what to do now.
//!
//! In: [`Incident`]s, the counts of a scan, warnings. Out: text, with colours when asked.
//! Does not know: what a terminal is (its caller says whether it wants colours), other outputs.

mod fitted;

use self::fitted::{UNBROKEN, grouped, plain, unbroken, wrapped};
use crate::domain::finding::Level;
use crate::domain::incident::{Coverage, Incident, Side, Target};
use crate::domain::time::Time;
use crate::sinks::ndjson::Summary;
use clap::builder::styling::{AnsiColor, Style};
use std::collections::BTreeSet;
use std::io::{self, Write};

/// Columns written: what two windows side by side on a laptop show.
const WIDTH: usize = 100;
/// Columns of the labels at the left.
const MARGIN: usize = 15;
/// Lines of one row: the rest is in NDJSON.
const ROW_LINES_MAX: usize = 3;
/// Paths and targets named in a row.
const NAMED_MAX: usize = 3;

/// How the parts of the text look.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Palette {
    bold: Style,
    dim: Style,
    levels: [Style; Level::ALL.len()],
}

impl Palette {
    /// Colours, or none.
    pub(crate) fn new(colored: bool) -> Self {
        if !colored {
            return Self::default();
        }
        let of = |color: AnsiColor| Style::new().fg_color(Some(color.into()));
        Self {
            bold: Style::new().bold(),
            dim: Style::new().dimmed(),
            levels: [
                Style::new().dimmed(),
                of(AnsiColor::Blue).bold(),
                of(AnsiColor::Yellow).bold(),
                of(AnsiColor::Red).bold(),
                of(AnsiColor::Red).bold().invert(),
            ],
        }
    }

    fn level(&self, level: Level) -> Style {
        self.levels[level as usize]
    }
}

/// Writes the incidents, worst first, then the counts of the scan and what to mend.
///
/// # Errors
/// Those of the writer.
pub(crate) fn write(
    out: &mut dyn Write,
    incidents: &[Incident],
    summary: &Summary,
    warnings: &[String],
    palette: &Palette,
) -> io::Result<()> {
    let mut page = Page { out, palette };
    let parents: BTreeSet<_> = incidents
        .iter()
        .filter(|i| !i.children.is_empty())
        .map(|i| i.id)
        .collect();
    let mut ordered: Vec<_> = incidents.iter().collect();
    ordered.sort_by_key(|i| {
        (
            std::cmp::Reverse(i.level),
            i.opened,
            i.children.is_empty(),
            i.id,
        )
    });
    for incident in ordered {
        let told = incident
            .parent
            .is_some_and(|parent| parents.contains(&parent));
        page.incident(incident, told)?;
    }
    page.summary(summary)?;
    for warning in warnings {
        page.row("warning", palette.level(Level::Medium), warning)?;
    }
    page.out.flush()
}

/// Writes one incident in full.
///
/// # Errors
/// Those of the writer.
pub(crate) fn write_one(
    out: &mut dyn Write,
    incident: &Incident,
    palette: &Palette,
) -> io::Result<()> {
    Page { out, palette }.incident(incident, false)
}

struct Page<'a> {
    out: &'a mut dyn Write,
    palette: &'a Palette,
}

impl Page<'_> {
    /// One incident; a short form for one that its parent has told already.
    fn incident(&mut self, incident: &Incident, told: bool) -> io::Result<()> {
        let level = self.palette.level(incident.level);
        self.row(
            &incident.level.name().to_uppercase(),
            level,
            &incident.title,
        )?;
        self.row("", Style::new(), &since(incident))?;
        if told {
            self.labelled("now", &incident.next)?;
            return writeln!(self.out);
        }
        if let Some(subject) = &incident.subject {
            let issuer = incident.issuer.as_deref().unwrap_or("an unknown issuer");
            self.labelled("who", &format!("{subject} at {issuer}"))?;
        }
        if let Some(victim) = &incident.victim {
            self.labelled("holder", &side(victim))?;
        }
        self.labelled("suspect", &suspect(incident))?;
        let rules: Vec<_> = incident.rules.keys().map(AsRef::as_ref).collect();
        self.labelled("because of", &rules.join(", "))?;
        let steps = &incident.steps;
        self.labelled("1 password", &steps.password.advice)?;
        self.labelled("2 revoke", &revoke(incident))?;
        self.labelled("3 breach", &breach(incident))?;
        if let Some(cause) = steps.root_cause.hypotheses.first() {
            let text = format!(
                "{}; seen: {}; fix: {}",
                cause.hint, cause.evidence, cause.fix
            );
            self.labelled("4 root cause", &text)?;
        }
        self.row("now", self.palette.bold, &incident.next)?;
        writeln!(self.out)
    }

    fn summary(&mut self, summary: &Summary) -> io::Result<()> {
        let number = grouped;
        let skipped: u64 = summary.skipped.values().sum();
        let rate = if summary.seconds > 0.0 {
            (summary.lines as f64 / summary.seconds) as u64
        } else {
            0
        };
        self.labelled(
            "read",
            &format!(
                "{} lines in {} s ({} lines/s): {} events, {} uses of tokens",
                number(summary.lines),
                summary.seconds,
                number(rate),
                number(summary.events),
                number(summary.uses)
            ),
        )?;
        self.labelled(
            "followed",
            &format!(
                "{} tokens, {} sessions, {} subjects",
                number(summary.tokens),
                number(summary.sessions),
                number(summary.subjects)
            ),
        )?;
        if skipped > 0 {
            let reasons = counts(
                summary
                    .skipped
                    .iter()
                    .map(|(reason, count)| (*reason, *count)),
            );
            self.labelled("skipped", &format!("{} lines: {reasons}", number(skipped)))?;
        }
        if summary.gaps_bytes > 0 {
            self.labelled("lost", &format!("{} bytes", number(summary.gaps_bytes)))?;
        }
        let found = counts(
            summary
                .findings
                .iter()
                .map(|(rule, count)| (&**rule, *count)),
        );
        let found = if found.is_empty() {
            "nothing".to_owned()
        } else {
            found
        };
        self.labelled("found", &found)?;
        let what = if summary.incidents == 1 {
            "incident"
        } else {
            "incidents"
        };
        self.row(
            "in all",
            self.palette.bold,
            &format!("{} {what}", number(summary.incidents)),
        )
    }

    fn labelled(&mut self, label: &str, text: &str) -> io::Result<()> {
        self.row(label, self.palette.dim, text)
    }

    /// A label and its text, wrapped under itself.
    fn row(&mut self, label: &str, style: Style, text: &str) -> io::Result<()> {
        let mut label = label;
        for line in wrapped(&unbroken(&plain(text)), WIDTH - MARGIN, ROW_LINES_MAX) {
            let line = line.replace(UNBROKEN, " ");
            let gap = " ".repeat(MARGIN.saturating_sub(label.chars().count() + 1));
            writeln!(
                self.out,
                " {}{label}{}{gap}{line}",
                style.render(),
                style.render_reset()
            )?;
            label = "";
        }
        Ok(())
    }
}

/// `i-…  score 100  2026-05-04 10:11:12 to 10:40:01 UTC, still active`.
fn since(incident: &Incident) -> String {
    let (from, to) = (clock(incident.opened), clock(incident.updated));
    let span = match to.strip_prefix(&from[..11]) {
        _ if from == to => from,
        Some(same_day) => format!("{from} to {same_day}"),
        None => format!("{from} to {to}"),
    };
    let active = if incident.suspect_active {
        ", still active"
    } else {
        ""
    };
    format!(
        "{}  score {}  {span} UTC{active}",
        incident.id, incident.score
    )
}

/// `2026-05-04 10:11:12`.
fn clock(time: Time) -> String {
    time.to_string()
        .chars()
        .take(19)
        .map(|c| if c == 'T' { ' ' } else { c })
        .collect()
}

fn side(side: &Side) -> String {
    let parts = [listed(&side.networks), listed(&side.clients)];
    joined(&parts)
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
    let said: Vec<_> = parts
        .iter()
        .filter(|part| !part.is_empty())
        .cloned()
        .collect();
    said.join("; ")
}

/// The first few, and how many more.
fn listed(items: &[String]) -> String {
    let mut text = items
        .iter()
        .take(NAMED_MAX)
        .cloned()
        .collect::<Vec<_>>()
        .join(", ");
    if items.len() > NAMED_MAX {
        text.push_str(&format!(" and {} more", items.len() - NAMED_MAX));
    }
    text
}

fn revoke(incident: &Incident) -> String {
    let step = &incident.steps.revoke;
    let names: Vec<String> = step.targets.iter().map(target).collect();
    match (names.is_empty(), incident.live_until.as_deref()) {
        (true, _) => step.advice.clone(),
        (false, Some(until)) => {
            let until = until.get(..16).unwrap_or(until).replace('T', " ");
            format!(
                "{} (live until {until} UTC): {}",
                listed(&names),
                step.advice
            )
        }
        (false, None) => format!("{}: {}", listed(&names), step.advice),
    }
}

fn target(target: &Target) -> String {
    match target {
        Target::Jti { jti, .. } => format!("jti {jti}"),
        Target::Sid { sid, .. } => format!("sid {sid}"),
        Target::Token { token, .. } => token.to_string(),
        Target::Subject { sub, .. } => format!("all of {sub}"),
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
    let paths: Vec<String> = step
        .paths
        .iter()
        .map(|(path, count)| format!("{path} {count}×"))
        .collect();
    if !paths.is_empty() {
        text.push_str(&format!(": {}", listed(&paths)));
    }
    if matches!(step.status, Coverage::Partial { .. }) {
        text.push_str(" (partial)");
    }
    text
}

/// `impossible_travel 3, new_client 1`, most first.
fn counts<'a>(items: impl Iterator<Item = (&'a str, u64)>) -> String {
    let mut items: Vec<_> = items.collect();
    items.sort_by(|(name_a, a), (name_b, b)| b.cmp(a).then_with(|| name_a.cmp(name_b)));
    let texts: Vec<_> = items
        .iter()
        .map(|(name, count)| format!("{name} {}", grouped(*count)))
        .collect();
    texts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sinks::ndjson::Summary;
    use std::path::Path;

    fn written(palette: &Palette) -> String {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pretty");
        let input = std::fs::read_to_string(folder.join("incidents.ndjson")).unwrap();
        let incidents: Vec<Incident> = input
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let summary = Summary {
            lines: 1_234_567,
            events: 1_234_560,
            uses: 900_000,
            skipped: [("not_the_format", 7)].into(),
            tokens: 120,
            sessions: 60,
            subjects: 40,
            findings: [("impossible_travel".into(), 2), ("token_in_tool".into(), 9)].into(),
            incidents: incidents.len() as u64,
            seconds: 2.5,
            ..Summary::default()
        };
        let warning =
            "access.log: one address is behind more than half of the events: set trusted_proxies";
        let mut out = Vec::new();
        write(
            &mut out,
            &incidents,
            &summary,
            &[warning.to_owned()],
            palette,
        )
        .unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_scan_reads_in_one_look() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pretty/expected.txt");
        let shown = written(&Palette::new(false));
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&path, &shown).unwrap();
        }
        assert_eq!(shown, std::fs::read_to_string(&path).unwrap());
        assert!(shown.lines().all(|line| line.chars().count() <= WIDTH));
        assert!(shown.split("\n\n").all(|block| block.lines().count() <= 20));
    }

    #[test]
    fn colours_change_nothing_but_colours_and_come_only_when_asked() {
        let (plain, colored) = (written(&Palette::new(false)), written(&Palette::new(true)));
        assert!(!plain.contains('\u{1b}') && colored.contains('\u{1b}'));
        let mut bare = String::new();
        for part in colored.split('\u{1b}') {
            let text = part.strip_prefix('[').and_then(|rest| rest.split_once('m'));
            bare.push_str(text.map_or(part, |(_, text)| text));
        }
        assert_eq!(bare, plain);
    }
}
