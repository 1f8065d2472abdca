//! SHELL: key sets of issuers, from files and URLs.
