//! A long list of expressions of which a user agent needs a few: each is compiled when a text first holds what it
//! cannot do without.
//!
//! In: the packed list, one expression after the other, each with its needs. Out: [`Expressions::first`], the compiled
//! ones that may fit a text, in the list's order.
//! Does not know: what an expression says of a text.
//! Source: Cox, "Regular Expression Matching with a Trigram Index", 2012, where what an expression needs chooses the
//! documents to look at; here it chooses the expressions.

use aho_corasick::{AhoCorasick, AhoCorasickBuilder, MatchKind};
use serde::Deserialize;
use std::sync::OnceLock;
use ua_parser::{os, user_agent};

/// What stands between the needs of one expression.
const BETWEEN_NEEDS: char = '\t';

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
    needs: AhoCorasick,
    /// The expression that each need is one of.
    owners: Vec<u16>,
}

struct Listed<C> {
    json: &'static str,
    compiled: OnceLock<C>,
}

impl<E: Expression> Expressions<E> {
    /// Takes a list: for each expression a line with its needs (any one of them must be there, in any case of letters;
    /// none when nothing must) and a line with itself in JSON.
    pub(super) fn new(list: &'static str) -> Self {
        let (mut listed, mut always) = (Vec::new(), Vec::new());
        let (mut literals, mut owners) = (Vec::new(), Vec::new());
        let mut lines = list.lines();
        while let (Some(needs), Some(json)) = (lines.next(), lines.next()) {
            let index = u16::try_from(listed.len()).expect(WHOLE);
            if needs.is_empty() {
                always.push(index);
            } else {
                literals.extend(needs.split(BETWEEN_NEEDS));
                owners.resize(literals.len(), index);
            }
            let compiled = OnceLock::new();
            listed.push(Listed { json, compiled });
        }
        let needs = AhoCorasickBuilder::new()
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::Standard)
            .build(literals)
            .expect(WHOLE);
        Self {
            listed,
            always,
            needs,
            owners,
        }
    }

    /// What `look` says of the first expression that it says anything of, in the order of the list.
    pub(super) fn first<'s, T>(
        &'s self,
        text: &str,
        look: impl FnMut(&'s E::Compiled) -> Option<T>,
    ) -> Option<T> {
        let found = self.needs.find_overlapping_iter(text);
        let mut indices: Vec<u16> = found
            .map(|found| self.owners[found.pattern().as_usize()])
            .chain(self.always.iter().copied())
            .collect();
        indices.sort_unstable();
        indices.dedup();
        let compiled = |index: u16| {
            let listed = &self.listed[usize::from(index)];
            listed.compiled.get_or_init(|| {
                let expression: E = serde_json::from_str(listed.json).expect(WHOLE);
                expression.compile()
            })
        };
        indices.into_iter().map(compiled).find_map(look)
    }
}

#[cfg(test)]
pub(super) mod tests;
