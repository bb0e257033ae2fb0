//! live_data
