//! CORE: what was known before this use: bounded stores of tokens, sessions, subjects and sources.
