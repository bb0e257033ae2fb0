//! Settings to connectors: one line per kind.
