//! SHELL: one closed list of metrics.
