//! SHELL: who is told.
