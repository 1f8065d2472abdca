//! SHELL: from files to chunks of lines.
