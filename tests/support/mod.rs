//! Shared by the integration tests. Each of them is a program of its own that uses a part of this.
#![allow(dead_code, unreachable_pub)]

pub mod database;
pub mod pooler;
pub mod postgres;
