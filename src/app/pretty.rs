//! Incidents for people at a terminal: who, what, where, since when, and what to do now.
//!
//! In: [`Incident`]s, the counts of a scan, warnings. Out: text, with colours when asked.
//! Does not know: what a terminal is (its caller says whether it wants colours), other outputs.

mod fitted;
mod timeline;

use self::fitted::{UNBROKEN, unbroken, wrapped};
pub(crate) use self::timeline::{TimelineRow, timeline};
use crate::domain::finding::Level;
use crate::domain::incident::Incident;
use crate::incidents::duration;
use crate::sinks::brief::{self, grouped, plain};
use crate::sinks::ndjson::{SourceSummary, Summary};
use clap::builder::styling::{AnsiColor, Style};
use std::collections::BTreeSet;
use std::io::{self, Write};

/// Columns written: what two windows side by side on a laptop show.
const WIDTH: usize = 100;
/// Columns of the labels at the left.
const MARGIN: usize = 15;
/// Lines of one row: the rest is in NDJSON.
const ROW_LINES_MAX: usize = 3;

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

    /// What stands out.
    pub(crate) fn bold(&self) -> Style {
        self.bold
    }

    fn level(&self, level: Level) -> Style {
        self.levels[level as usize]
    }
}

/// What a scan came to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Results<'a> {
    /// The incidents.
    pub(crate) incidents: &'a [Incident],
    /// Further rows, with their labels.
    pub(crate) rows: &'a [(&'static str, String)],
    /// The counts.
    pub(crate) summary: &'a Summary,
    /// True when each rule is to have its line.
    pub(crate) by_rule: bool,
    /// What to mend.
    pub(crate) warnings: &'a [String],
}

/// Writes the incidents, worst first, then the counts of the scan and what to mend.
///
/// # Errors
/// Those of the writer.
pub(crate) fn write(
    out: &mut dyn Write,
    results: &Results<'_>,
    palette: &Palette,
) -> io::Result<()> {
    let Results {
        incidents,
        summary,
        warnings,
        ..
    } = *results;
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
    for (label, text) in results.rows {
        page.row(label, palette.level(Level::Medium), text)?;
    }
    if results.by_rule {
        page.rules(summary)?;
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
        self.row("", Style::new(), &brief::since(incident))?;
        if told {
            self.labelled("now", &incident.next)?;
            return writeln!(self.out);
        }
        for (label, text) in brief::rows(incident) {
            let style = match label {
                "now" => self.palette.bold,
                _ => self.palette.dim,
            };
            self.row(label, style, &text)?;
        }
        writeln!(self.out)
    }

    fn summary(&mut self, summary: &Summary) -> io::Result<()> {
        let number = grouped;
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
        self.left_out(summary)?;
        for source in &summary.sources {
            self.after_logout(source)?;
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
        if !summary.excepted.is_empty() {
            let excepted = counts(summary.excepted.iter().map(|(name, n)| (&**name, *n)));
            self.labelled("excepted", &excepted)?;
        }
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

    /// How long a gateway let sessions in after their logout.
    fn after_logout(&mut self, source: &SourceSummary) -> io::Result<()> {
        let Some(after) = source
            .after_logout
            .as_ref()
            .filter(|after| after.sessions > 0)
        else {
            return Ok(());
        };
        let (sessions, longest) = (grouped(after.sessions), duration(after.longest_s));
        let words = match after.sessions {
            1 => format!("{}: 1 session was let in again, for {longest}", source.file),
            _ => format!(
                "{}: {sessions} sessions were let in again, the longest for {longest}",
                source.file
            ),
        };
        self.labelled("after logout", &words)
    }

    /// What came of each rule: the loudest first.
    fn rules(&mut self, summary: &Summary) -> io::Result<()> {
        let (bold, reset) = (self.palette.bold.render(), self.palette.bold.render_reset());
        let [rule, level] = ["rule", "level"];
        let counts = ["findings", "people", "incidents", "excepted"];
        let [findings, people, incidents, excepted] = counts;
        writeln!(
            self.out,
            " {bold}{rule:<30} {level:<14} {findings:>9} {people:>9} {incidents:>9} {excepted:>9}{reset}"
        )?;
        let mut rows: Vec<_> = summary.rules.iter().collect();
        rows.sort_by_key(|(_, row)| std::cmp::Reverse(row.findings));
        for (rule, row) in rows {
            let level = match row.shadow {
                true => format!("{}, shadow", row.level.name()),
                false => row.level.name().to_owned(),
            };
            writeln!(
                self.out,
                " {rule:<30} {level:<14} {:>9} {:>9} {:>9} {:>9}",
                grouped(row.findings),
                grouped(row.subjects),
                grouped(row.incidents),
                grouped(row.excepted)
            )?;
        }
        writeln!(self.out)
    }

    /// What was read in vain, and what was not read.
    fn left_out(&mut self, summary: &Summary) -> io::Result<()> {
        let number = grouped;
        let skipped: u64 = summary.skipped.values().sum();
        if skipped > 0 {
            let reasons = counts(
                summary
                    .skipped
                    .iter()
                    .map(|(reason, count)| (*reason, *count)),
            );
            self.labelled("skipped", &format!("{} lines: {reasons}", number(skipped)))?;
        }
        if summary.deferred > 0 {
            let text = format!(
                "{} refused uses of unknown tokens, in a flood of forged ones",
                number(summary.deferred)
            );
            self.labelled("not looked at", &text)?;
        }
        if summary.gaps_bytes > 0 {
            self.labelled("lost", &format!("{} bytes", number(summary.gaps_bytes)))?;
        }
        Ok(())
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
        let results = Results {
            incidents: &incidents,
            rows: &[],
            summary: &summary,
            by_rule: false,
            warnings: &[warning.to_owned()],
        };
        write(&mut out, &results, palette).unwrap();
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
