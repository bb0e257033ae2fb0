//! The machine that this process runs on, as its operators know it.

/// The host name (a pod's name in Kubernetes), as the kernel tells it.
pub fn name() -> String {
    let system = rustix::system::uname();
    let name = system.nodename().to_string_lossy().trim().to_owned();
    if name.is_empty() { "an unnamed host".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_machine_has_a_name() {
        assert!(!super::name().is_empty());
    }
}
