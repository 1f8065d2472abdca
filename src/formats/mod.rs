//! CORE: one file per log format, and what finds out which one a log is in.
