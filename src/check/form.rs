//! The YAML form of checks, before it means anything: a tree whose nodes are numbered.
