//! CORE: Sigma documents, compiled, and the gate in front of them.
