//! CORE: places, networks and clients of addresses and user agents.
