//! A log in which lines of several formats stand: one that was changed, or several programs that write to one file.
//!
//! In: a line. Out: [`AccessEvent`] by the format that most lines are in, else by the first other one that makes a
//! whole request of it.
//! Does not know: which formats there are; [`super::detect()`] says.

use super::detect::shape;
use super::{LineFormat, Parser};
use crate::domain::event::AccessEvent;
use crate::domain::line::SkipReason;
use std::sync::Arc;

/// How much of a request another format must find: three of client, status, path and method. Less is found in much
/// that is no access log.
const SHAPE_MIN: f64 = 0.75;

pub(super) struct Mixed {
    main: Arc<dyn LineFormat>,
    others: Vec<Arc<dyn LineFormat>>,
}

impl Mixed {
    /// `main`, and `others` for the lines that it cannot read.
    pub(super) fn of(main: &Parser, others: impl Iterator<Item = Parser>) -> Parser {
        let mixed = Self {
            main: Arc::clone(&main.format),
            others: others.map(|other| other.format).collect(),
        };
        Parser::new(main.name(), Arc::new(mixed))
    }
}

impl LineFormat for Mixed {
    fn parse<'a>(&self, line: &'a str, event: &mut AccessEvent<'a>) -> Result<(), SkipReason> {
        let Err(reason) = self.main.parse(line, event) else {
            return Ok(());
        };
        if reason == SkipReason::BadTime {
            return Err(reason); // its own line, with a time that is none
        }
        for other in &self.others {
            *event = AccessEvent::default();
            if other.parse(line, event).is_ok() && shape(event) >= SHAPE_MIN {
                return Ok(());
            }
        }
        Err(reason)
    }

    fn after(&self, directive: &str) -> Option<Arc<dyn LineFormat>> {
        if !self.has_directives() {
            return None;
        }
        let after = |format: &Arc<dyn LineFormat>| {
            format
                .after(directive)
                .unwrap_or_else(|| Arc::clone(format))
        };
        Some(Arc::new(Self {
            main: after(&self.main),
            others: self.others.iter().map(after).collect(),
        }))
    }

    fn has_directives(&self) -> bool {
        self.main.has_directives() || self.others.iter().any(|other| other.has_directives())
    }
}
