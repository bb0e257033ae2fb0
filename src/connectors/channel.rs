//! A connector bound to its auth, limits and client; the only caller of [`crate::http::send`].
