//! File, environment and flags become one trusted `Config`.
