//! Text fitted to the columns of a terminal.
//!
//! In: text that may hold anything. Out: lines of a width, without tokens and without what moves a
//! cursor.
//! Does not know: incidents, colours.
//! Source: Unicode Standard Annex 9, section 2 (explicit directional formatting characters).

use crate::domain::mask::mask;

/// Stands for a space that does not break; [`plain`] lets no control character through.
pub(super) const UNBROKEN: &str = "\u{1}";

/// A number with a comma before every three digits.
pub(super) fn grouped(number: u64) -> String {
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

/// Text without tokens and without what moves a cursor or turns a line.
pub(super) fn plain(text: &str) -> String {
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
    mask(text)
        .chars()
        .map(|c| if hidden(c) { '·' } else { c })
        .collect()
}

/// A command stays on one line, so that it can be copied: the spaces inside backticks do not break.
pub(super) fn unbroken(text: &str) -> String {
    let parts = text.split('`').enumerate();
    let parts = parts.map(|(at, part)| match at % 2 {
        0 => part.to_owned(),
        _ => part.replace(' ', UNBROKEN),
    });
    parts.collect::<Vec<_>>().join("`")
}

/// Lines of at most `width` characters, broken at spaces where there are any; what does not fit
/// ends in `…`.
pub(super) fn wrapped(text: &str, width: usize, lines_max: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut used = 0;
    for word in text.split(' ') {
        let mut word: Vec<char> = word.chars().collect();
        if used > 0 && used + 1 + word.len() > width {
            lines.push(String::new());
            used = 0;
        }
        while word.len() > width {
            let rest = word.split_off(width);
            push(&mut lines, &word);
            lines.push(String::new());
            word = rest;
        }
        if used > 0 {
            push(&mut lines, &[' ']);
            used += 1;
        }
        push(&mut lines, &word);
        used += word.len();
    }
    if lines.len() > lines_max {
        lines.truncate(lines_max);
        if let Some(last) = lines.last_mut() {
            *last = last
                .chars()
                .take(width - 1)
                .collect::<String>()
                .trim_end()
                .to_owned()
                + "…";
        }
    }
    lines
}

fn push(lines: &mut [String], text: &[char]) {
    if let Some(last) = lines.last_mut() {
        last.extend(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_cut_at_the_width_and_never_moves_the_cursor() {
        assert_eq!(wrapped("one two three", 7, 2), ["one two", "three"]);
        assert_eq!(wrapped("abcdefghij k", 4, 2), ["abcd", "efg…"]);
        assert_eq!(plain("a\u{1b}[2Jb\u{202e}"), "a·[2Jb·");
    }
}
