//! CSV rows become queued leads.
