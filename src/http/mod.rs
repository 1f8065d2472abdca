//! SHELL: metrics, health, check, API.
