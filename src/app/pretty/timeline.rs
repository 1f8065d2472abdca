//! A session's uses for people: who came from where, what they asked for, how long nothing happened.
//!
//! In: [`TimelineRow`]s in order. Out: lines; uses that repeat each other are counted in one.
//! Does not know: how they were found.

use super::{Palette, WIDTH};
use crate::domain::finding::Level;
use crate::domain::time::Time;
use crate::domain::token::Provenance;
use crate::incidents::duration;
use crate::sinks::brief::plain;
use std::io::{self, Write};

/// Silence that is worth a line: a person reads, or is away.
const GAP_S_MIN: f64 = 120.0;

/// Columns of a request.
const REQUEST_WIDTH: usize = 52;

/// One use.
#[derive(Clone, Debug)]
pub(crate) struct TimelineRow {
    /// When.
    pub(crate) time: Time,
    /// Seconds since the session's use before it.
    pub(crate) gap_s: Option<f64>,
    /// `suspect` or `holder`.
    pub(crate) side: &'static str,
    /// Address, network and place, program, session.
    pub(crate) from: [String; 4],
    /// Method and template of the path.
    pub(crate) request: String,
    /// The answer.
    pub(crate) status: u16,
    /// Why it may be believed.
    pub(crate) provenance: Provenance,
    /// Level and words of the findings about it.
    pub(crate) findings: Vec<(Level, String)>,
}

impl TimelineRow {
    /// True when the other is the same again, and nothing was found about it.
    fn repeats(&self, before: &Self) -> bool {
        self.findings.is_empty()
            && !self.is_after_gap()
            && self.stays(before)
            && (&self.request, self.status, self.provenance)
                == (&before.request, before.status, before.provenance)
    }

    fn stays(&self, before: &Self) -> bool {
        (self.side, &self.from) == (before.side, &before.from)
    }

    fn is_after_gap(&self) -> bool {
        self.gap_s.is_some_and(|gap_s| gap_s >= GAP_S_MIN)
    }
}

/// Writes the uses in order.
///
/// # Errors
/// Those of the writer.
pub(crate) fn timeline(
    out: &mut dyn Write,
    rows: &[TimelineRow],
    palette: &Palette,
) -> io::Result<()> {
    let mut at = 0;
    while let Some(row) = rows.get(at) {
        let before = at.checked_sub(1).and_then(|before| rows.get(before));
        let again = rows[at + 1..].iter().take_while(|next| next.repeats(row));
        let again = again.count();
        if let Some(gap_s) = row.gap_s.filter(|_| row.is_after_gap()) {
            writeln!(
                out,
                "{:>11}{}",
                "",
                shade(palette, &duration(gap_s), " of silence")
            )?;
        }
        if before.is_none_or(|before| !row.stays(before)) {
            from(out, row, palette)?;
        }
        request(out, row, again, rows[at + again].time)?;
        for (level, words) in &row.findings {
            found(out, *level, words, palette)?;
        }
        at += again + 1;
    }
    writeln!(out)
}

fn from(out: &mut dyn Write, row: &TimelineRow, palette: &Palette) -> io::Result<()> {
    let style = match row.side {
        "suspect" => palette.level(Level::High),
        _ => palette.bold,
    };
    let parts: Vec<String> = (row.from.iter())
        .filter(|part| !part.is_empty())
        .map(|part| plain(part))
        .collect();
    let (day, _) = moment(row.time);
    writeln!(
        out,
        " {day}  {}{}{}  {}",
        style.render(),
        row.side,
        style.render_reset(),
        parts.join("; ")
    )
}

fn request(out: &mut dyn Write, row: &TimelineRow, again: usize, last: Time) -> io::Result<()> {
    let (_, clock) = moment(row.time);
    let mut words = plain(&row.request);
    if words.chars().count() > REQUEST_WIDTH {
        words = words.chars().take(REQUEST_WIDTH - 1).chain(['…']).collect();
    }
    let times = match again {
        0 => String::new(),
        again => format!("  {} times, until {}", again + 1, moment(last).1),
    };
    let line = format!(
        "   {clock}  {words:<REQUEST_WIDTH$}  {}  {}{times}",
        row.status,
        row.provenance.name()
    );
    writeln!(out, "{}", line.trim_end())
}

fn found(out: &mut dyn Write, level: Level, words: &str, palette: &Palette) -> io::Result<()> {
    let style = palette.level(level);
    let mut label = level.name();
    for line in super::fitted::wrapped(&plain(words), WIDTH - 27, 3) {
        let gap = " ".repeat(15_usize.saturating_sub(label.len()));
        let (on, off) = (style.render(), style.render_reset());
        writeln!(out, "{:>11}{on}{label}{off}{gap}{line}", "")?;
        label = "";
    }
    Ok(())
}

fn shade(palette: &Palette, a: &str, b: &str) -> String {
    format!(
        "{}{a}{b}{}",
        palette.dim.render(),
        palette.dim.render_reset()
    )
}

/// `2026-05-04` and `10:11:12`.
fn moment(time: Time) -> (String, String) {
    let text = time.to_string();
    let (day, rest) = text.split_once('T').unwrap_or((&text, ""));
    (day.to_owned(), rest.chars().take(8).collect())
}
