//! Shared by the integration tests, each of them a program of its own, and by the unit tests that want a real database.
//! Each uses a part of this.
#![allow(dead_code, unreachable_pub)]

pub mod database;
pub mod pooler;
pub mod postgres;
