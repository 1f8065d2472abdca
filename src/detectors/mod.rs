//! CORE: one file per family of facts.
