//! A long list of expressions of which a user agent needs a few: each is compiled when a text first holds what it
//! cannot do without: one of some words, and one of some others.
//!
//! In: the packed list, one expression after the other, each with its needs. Out: [`Expressions::first`], the compiled
//! ones that may fit a text, in the list's order.
//! Does not know: what an expression says of a text.
//! Source: Cox, "Regular Expression Matching with a Trigram Index", 2012, where what an expression needs chooses the
//! documents to look at; here it chooses the expressions.

use serde::Deserialize;
use std::sync::OnceLock;
use ua_parser::{os, user_agent};

/// What stands between the words of one need.
const BETWEEN_WORDS: char = '\t';

/// What stands between the needs of one expression.
const BETWEEN_NEEDS: char = '\x1e';

/// Shorter words are in nearly every user agent; words are looked up by so many bytes.
const WORD_BYTES_MIN: usize = 3;

/// Why what was compiled in may assert: a test compiles every expression.
const WHOLE: &str = "the embedded expressions are whole";

/// One expression as uap-core lists it, and what becomes of it.
pub(super) trait Expression: Deserialize<'static> {
    /// The expression, ready to look at texts.
    type Compiled;

    /// Compiles it.
    fn compile(self) -> Self::Compiled;
}

impl Expression for user_agent::Parser<'static> {
    type Compiled = user_agent::Extractor<'static>;

    fn compile(self) -> Self::Compiled {
        let builder = user_agent::Builder::new().push(self).expect(WHOLE);
        builder.build().expect(WHOLE)
    }
}

impl Expression for os::Parser<'static> {
    type Compiled = os::Extractor<'static>;

    fn compile(self) -> Self::Compiled {
        let builder = os::Builder::new().push(self).expect(WHOLE);
        builder.build().expect(WHOLE)
    }
}

/// A list of expressions.
pub(super) struct Expressions<E: Expression> {
    listed: Vec<Listed<E::Compiled>>,
    /// Those that need nothing.
    always: Vec<u16>,
    /// The words of each one's first need, sorted: an automaton would find them faster, once it is built.
    words: Vec<(&'static str, u16)>,
}

struct Listed<C> {
    /// What it needs beside the first need.
    others: &'static str,
    json: &'static str,
    compiled: OnceLock<C>,
}

impl<E: Expression> Expressions<E> {
    /// Takes a list: for each expression a line with its needs, the rarest first (of each, one word must be there, in
    /// any case of letters; an empty line when nothing must), and a line with itself in JSON.
    pub(super) fn new(list: &'static str) -> Self {
        let (mut listed, mut always, mut words) = (Vec::new(), Vec::new(), Vec::new());
        let mut lines = list.lines();
        while let (Some(needs), Some(json)) = (lines.next(), lines.next()) {
            let index = u16::try_from(listed.len()).expect(WHOLE);
            let (first, others) = needs.split_once(BETWEEN_NEEDS).unwrap_or((needs, ""));
            if first.is_empty() {
                always.push(index);
            } else {
                words.extend(first.split(BETWEEN_WORDS).map(|word| (word, index)));
            }
            listed.push(Listed {
                others,
                json,
                compiled: OnceLock::new(),
            });
        }
        words.sort_unstable();
        Self {
            listed,
            always,
            words,
        }
    }

    /// What `look` says of the first expression that it says anything of, in the order of the list.
    pub(super) fn first<'s, T>(
        &'s self,
        text: &str,
        look: impl FnMut(&'s E::Compiled) -> Option<T>,
    ) -> Option<T> {
        let lower = text.to_ascii_lowercase();
        let mut indices = self.always.clone();
        for from in 0..lower.len() {
            self.begun_by(&lower.as_bytes()[from..], &mut indices);
        }
        indices.sort_unstable();
        indices.dedup();
        indices
            .into_iter()
            .map(|index| &self.listed[usize::from(index)])
            .filter(|listed| listed.may_fit(&lower))
            .map(Listed::compiled::<E>)
            .find_map(look)
    }

    /// The expressions whose first need the text begins with.
    fn begun_by(&self, text: &[u8], indices: &mut Vec<u16>) {
        let Some(begin) = text.get(..WORD_BYTES_MIN) else {
            return;
        };
        let from = self
            .words
            .partition_point(|(word, _)| word.as_bytes() < begin);
        let near = self.words[from..]
            .iter()
            .take_while(|(word, _)| word.as_bytes().starts_with(begin));
        let begun = near.filter(|(word, _)| text.starts_with(word.as_bytes()));
        indices.extend(begun.map(|(_, index)| *index));
    }
}

impl<C> Listed<C> {
    fn may_fit(&self, lower: &str) -> bool {
        self.others.is_empty()
            || self
                .others
                .split(BETWEEN_NEEDS)
                .all(|need| need.split(BETWEEN_WORDS).any(|word| lower.contains(word)))
    }

    fn compiled<E: Expression<Compiled = C>>(&self) -> &C {
        self.compiled.get_or_init(|| {
            let expression: E = serde_json::from_str(self.json).expect(WHOLE);
            expression.compile()
        })
    }
}

#[cfg(test)]
pub(super) mod tests;
