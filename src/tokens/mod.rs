//! CORE: locate, identify, decode and verify tokens.
