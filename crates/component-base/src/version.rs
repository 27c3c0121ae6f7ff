//! The version that every binary reports.

/// The newest API level that is served, and ours behind the plus sign.
pub const GIT_VERSION: &str = "v1.36.0+skiff.0.1.0";
/// Upstream's major version.
pub const MAJOR: &str = "1";
/// Upstream's minor version.
pub const MINOR: &str = "36";

/// The user agent of a component, as upstream's `rest.DefaultKubernetesUserAgent` writes it:
/// `kubelet/v1.36.0+skiff.0.1.0 (linux/amd64) kubernetes/skiff`.
pub fn user_agent(component: &str) -> String {
    format!("{component}/{GIT_VERSION} ({}/{}) kubernetes/skiff", std::env::consts::OS, go_arch())
}

/// The name that Go has for this processor (`amd64`, `arm64`, …).
pub fn go_arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        "powerpc64" => "ppc64le",
        other => other,
    }
}
