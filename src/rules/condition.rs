//! Conditions: how a rule joins its selections.
//!
//! In: `sel and not 1 of filter_*`. Out: [`Condition`].
//! Does not know: what a selection looks at.
//! Source: Sigma specification v2, "Condition",
//! <https://sigmahq.io/sigma-specification/specification/sigma-rules-specification.html#condition>.

/// Parentheses and `not`s beyond this depth are no condition that a person wrote.
const DEPTH_MAX: usize = 32;

/// How selections are joined; each is an index into the list of selections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    All(Vec<Self>),
    Any(Vec<Self>),
    Not(Box<Self>),
    Selection(usize),
}

/// What is wrong with a condition, and where in its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) at: usize,
    pub(super) length: usize,
    pub(super) message: String,
    /// The name that was not found, to suggest one.
    pub(super) name: Option<String>,
}

/// Reads a condition over the selections of these names.
pub(super) fn parse(text: &str, names: &[&str]) -> Result<Condition, Wrong> {
    let mut parser = Parser {
        words: words(text),
        at: 0,
        end: text.len(),
        names,
    };
    let condition = parser.any(0)?;
    match parser.peek() {
        None => Ok(condition),
        Some(word) if word.text == "|" => Err(word.wrong(
            "aggregations left Sigma with version 2: write a correlation document instead".into(),
        )),
        Some(word) => Err(word.wrong(format!("expected `and` or `or` before `{}`", word.text))),
    }
}

#[derive(Clone, Copy)]
struct Word<'a> {
    at: usize,
    text: &'a str,
}

impl Word<'_> {
    fn wrong(&self, message: String) -> Wrong {
        Wrong {
            at: self.at,
            length: self.text.len(),
            message,
            name: None,
        }
    }

    fn is(&self, keyword: &str) -> bool {
        self.text.eq_ignore_ascii_case(keyword)
    }
}

fn words(text: &str) -> Vec<Word<'_>> {
    let mut words = Vec::new();
    let mut start = None;
    let delimits = |letter: char| letter.is_whitespace() || matches!(letter, '(' | ')' | '|');
    for (at, letter) in text.char_indices().chain([(text.len(), ' ')]) {
        if !delimits(letter) {
            start.get_or_insert(at);
            continue;
        }
        if let Some(start) = start.take() {
            words.push((start, at));
        }
        if !letter.is_whitespace() {
            words.push((at, at + 1));
        }
    }
    let word = |(start, end)| text.get(start..end).map(|text| Word { at: start, text });
    words.into_iter().filter_map(word).collect()
}

struct Parser<'a> {
    words: Vec<Word<'a>>,
    at: usize,
    end: usize,
    names: &'a [&'a str],
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<Word<'a>> {
        self.words.get(self.at).copied()
    }

    fn take(&mut self, keyword: &str) -> bool {
        let is = self.peek().is_some_and(|word| word.is(keyword));
        self.at += usize::from(is);
        is
    }

    fn next(&mut self, expected: &str) -> Result<Word<'a>, Wrong> {
        let word = self.peek().ok_or_else(|| Wrong {
            at: self.end,
            length: 0,
            message: format!("the condition ends where {expected} should stand"),
            name: None,
        })?;
        self.at += 1;
        Ok(word)
    }

    fn any(&mut self, depth: usize) -> Result<Condition, Wrong> {
        let mut parts = vec![self.all(depth)?];
        while self.take("or") {
            parts.push(self.all(depth)?);
        }
        Ok(joined(parts, Condition::Any))
    }

    fn all(&mut self, depth: usize) -> Result<Condition, Wrong> {
        let mut parts = vec![self.one(depth)?];
        while self.take("and") {
            parts.push(self.one(depth)?);
        }
        Ok(joined(parts, Condition::All))
    }

    fn one(&mut self, depth: usize) -> Result<Condition, Wrong> {
        let word = self.next("a selection")?;
        if depth > DEPTH_MAX {
            return Err(word.wrong(format!("nested more than {DEPTH_MAX} deep")));
        }
        if word.is("not") {
            return Ok(Condition::Not(Box::new(self.one(depth + 1)?)));
        }
        if word.text == "(" {
            let inner = self.any(depth + 1)?;
            let close = self.next("`)`")?;
            return match close.text {
                ")" => Ok(inner),
                other => Err(close.wrong(format!("expected `)` before `{other}`"))),
            };
        }
        let quantified = self.words.get(self.at).is_some_and(|next| next.is("of"));
        if quantified {
            self.at += 1;
            return self.quantified(word);
        }
        match self.names.iter().position(|name| *name == word.text) {
            Some(index) => Ok(Condition::Selection(index)),
            None => Err(Wrong {
                name: Some(word.text.to_owned()),
                ..word.wrong(format!("no selection is called `{}`", word.text))
            }),
        }
    }

    fn quantified(&mut self, quantifier: Word<'a>) -> Result<Condition, Wrong> {
        let pattern = self.next("a pattern of selections, or `them`")?;
        let chosen: Vec<Condition> = (0..self.names.len())
            .filter(|&index| chosen(self.names[index], pattern))
            .map(Condition::Selection)
            .collect();
        if chosen.is_empty() {
            return Err(pattern.wrong(format!("`{}` fits no selection", pattern.text)));
        }
        match quantifier.text {
            "1" => Ok(joined(chosen, Condition::Any)),
            text if text.eq_ignore_ascii_case("any") => Ok(joined(chosen, Condition::Any)),
            text if text.eq_ignore_ascii_case("all") => Ok(joined(chosen, Condition::All)),
            text => Err(quantifier.wrong(format!("expected `1`, `any` or `all`, not `{text}`"))),
        }
    }
}

/// `them` is every selection but those whose name begins with `_`.
fn chosen(name: &str, pattern: Word<'_>) -> bool {
    if pattern.is("them") {
        return !name.starts_with('_');
    }
    let mut parts = pattern.text.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else {
        return false;
    };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    true
}

fn joined(mut parts: Vec<Condition>, join: fn(Vec<Condition>) -> Condition) -> Condition {
    match parts.len() {
        1 => parts.remove(0),
        _ => join(parts),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NAMES: [&str; 5] = ["sel_a", "sel_b", "filter", "filter_main", "_hidden"];

    fn shown(condition: &Condition) -> String {
        let list = |parts: &[Condition]| parts.iter().map(shown).collect::<Vec<_>>().join(" ");
        match condition {
            Condition::All(parts) => format!("(and {})", list(parts)),
            Condition::Any(parts) => format!("(or {})", list(parts)),
            Condition::Not(part) => format!("(not {})", shown(part)),
            Condition::Selection(index) => NAMES[*index].to_owned(),
        }
    }

    fn check(text: &str, expected: &str) {
        let result = parse(text, &NAMES);
        let result = result.map_or_else(|wrong| wrong.message, |condition| shown(&condition));
        assert_eq!(result, expected, "{text}");
    }

    #[test]
    fn not_binds_before_and_and_before_or() {
        check(
            "sel_a or sel_b and not filter",
            "(or sel_a (and sel_b (not filter)))",
        );
        check(
            "(sel_a or sel_b) AND filter",
            "(and (or sel_a sel_b) filter)",
        );
        check("not not sel_a", "(not (not sel_a))");
    }

    #[test]
    fn quantifiers_choose_by_pattern() {
        check("1 of sel_*", "(or sel_a sel_b)");
        check("all of them", "(and sel_a sel_b filter filter_main)");
        check("any of *_b", "sel_b");
        check(
            "all of sel* and not 1 of filter_*",
            "(and (and sel_a sel_b) (not filter_main))",
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        check("", "the condition ends where a selection should stand");
        check("sel_c", "no selection is called `sel_c`");
        check("1 of x*", "`x*` fits no selection");
        check("2 of sel_*", "expected `1`, `any` or `all`, not `2`");
        check("(sel_a", "the condition ends where `)` should stand");
        check("sel_a sel_b", "expected `and` or `or` before `sel_b`");
        check(
            "sel_a | count() > 5",
            "aggregations left Sigma with version 2: write a correlation document instead",
        );
        check(&"(".repeat(1000), "nested more than 32 deep");
    }

    proptest! {
        #[test]
        fn no_text_panics(text in r"([a-z_*]{1,6}| |\(|\)|\||of|not|1|\PC){0,40}") {
            let _ = parse(&text, &NAMES);
        }
    }
}
