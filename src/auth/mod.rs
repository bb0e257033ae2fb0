//! Authentication: grants are data, the token store is one.
