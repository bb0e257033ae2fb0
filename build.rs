//! Migrations are embedded at compile time; without this, cargo would not notice a changed one.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
