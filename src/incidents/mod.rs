//! CORE: findings become incidents with the four steps.
