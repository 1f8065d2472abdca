//! Mistakes in a text that a person wrote: the configuration, a rule.
//!
//! In: what is wrong, and where. Out: [`Mistake`], shown with the line, the place and what to do.
//! Does not know: what the texts mean.

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use std::ops::Range;

/// One thing that is wrong with a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// What is wrong, in one line.
    pub message: String,
    /// Where in the text, in bytes; `None` where no place can be shown (something outside the text).
    pub span: Option<Range<usize>>,
    /// What to read beside the place: the likely intention, or what was expected. May be empty.
    pub label: String,
    /// What to do about it. May be empty.
    pub help: String,
}

impl Mistake {
    /// A mistake at a place of the text.
    pub fn at(span: Range<usize>, message: impl Into<String>) -> Self {
        Self {
            span: Some(span),
            ..Self::outside(message)
        }
    }

    /// A mistake outside the text.
    pub fn outside(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            span: None,
            label: String::new(),
            help: String::new(),
        }
    }

    /// With these words beside the place.
    #[must_use]
    pub fn label(self, label: impl Into<String>) -> Self {
        Self {
            label: label.into(),
            ..self
        }
    }

    /// With this advice.
    #[must_use]
    pub fn help(self, help: impl Into<String>) -> Self {
        Self {
            help: help.into(),
            ..self
        }
    }
}

/// All mistakes of one text in the order of the text, each with file, line, column, excerpt and advice.
/// The excerpt is cut from `text`, so the caller hides what must not be shown.
pub fn render(mistakes: &[Mistake], file: &str, text: &str) -> String {
    let mut sorted: Vec<&Mistake> = mistakes.iter().collect();
    sorted.sort_by_key(|mistake| mistake.span.as_ref().map_or(usize::MAX, |span| span.start));
    let shown: Vec<String> = sorted
        .into_iter()
        .map(|mistake| render_one(mistake, file, text))
        .collect();
    shown.join("\n\n") + "\n"
}

fn render_one(mistake: &Mistake, file: &str, text: &str) -> String {
    let mut group = Group::with_title(Level::ERROR.primary_title(mistake.message.as_str()));
    if let Some(span) = &mistake.span {
        let span = span.start.min(text.len())..span.end.min(text.len());
        let annotation = AnnotationKind::Primary
            .span(span)
            .label((!mistake.label.is_empty()).then_some(mistake.label.as_str()));
        group = group.element(Snippet::source(text).path(file).annotation(annotation));
    }
    if !mistake.help.is_empty() {
        group = group.element(Level::HELP.message(mistake.help.as_str()));
    }
    Renderer::plain().render(&[group])
}

/// The known name that was probably meant, if one is near enough.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // One slip in three letters: beyond that a suggestion is a guess. Names longer than any of ours are not compared.
    let slips_max = (name.len() / 3).clamp(1, 3);
    let near = |candidate: &&str| candidate.len().abs_diff(name.len()) <= slips_max;
    known
        .into_iter()
        .filter(near)
        .map(|candidate| (slips(name, candidate), candidate))
        .filter(|(slips, _)| *slips <= slips_max)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Letters to insert, delete, replace or swap with their neighbour to make `b` of `a`.
/// Source: Damerau, "A technique for computer detection and correction of spelling errors", CACM 7(3), 1964.
fn slips(a: &str, b: &str) -> usize {
    let (a, b) = (a.to_ascii_lowercase(), b.to_ascii_lowercase());
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut before = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let replaced = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_show_in_the_order_of_the_text_with_line_and_advice() {
        let text = "one = 1\ntow = 2\n";
        let mistakes = [
            Mistake::outside("something else"),
            Mistake::at(8..11, "unknown key `tow`")
                .label("did you mean `two`?")
                .help("keys are numbers"),
        ];
        let shown = render(&mistakes, "a.toml", text);
        let expected = "\
error: unknown key `tow`
 --> a.toml:2:1
  |
2 | tow = 2
  | ^^^ did you mean `two`?
  |
  = help: keys are numbers

error: something else
";
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_place_behind_the_end_is_shown_at_the_end() {
        assert!(render(&[Mistake::at(90..99, "cut")], "a", "x\n").contains("cut"));
    }

    #[test]
    fn a_slip_finds_the_name_and_a_guess_does_not() {
        let known = ["listen", "check_listen", "folder"];
        assert_eq!(nearest("lisetn", known), Some("listen"));
        assert_eq!(nearest("Folder", known), Some("folder"));
        assert_eq!(nearest("port", known), None);
    }
}
