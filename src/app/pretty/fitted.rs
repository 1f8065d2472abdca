//! Text fitted to the columns of a terminal.
//!
//! In: plain text. Out: lines of a width.
//! Does not know: incidents, colours.

/// Stands for a space that does not break; plain text has no control character.
pub(super) const UNBROKEN: &str = "\u{1}";

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
    fn a_row_is_cut_at_the_width() {
        assert_eq!(wrapped("one two three", 7, 2), ["one two", "three"]);
        assert_eq!(wrapped("abcdefghij k", 4, 2), ["abcd", "efg…"]);
    }
}
