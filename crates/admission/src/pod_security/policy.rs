//! Levels, their versions, and the labels that choose them (`api/helpers.go`).

use std::fmt;

/// How much pods may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Everything.
    Privileged,
    /// Nothing that is known to lead out of the container.
    Baseline,
    /// What today's practice holds for good.
    Restricted,
}

impl Level {
    fn parse(text: &str) -> Option<Level> {
        [Level::Privileged, Level::Baseline, Level::Restricted].into_iter().find(|l| l.name() == text)
    }

    const fn name(self) -> &'static str {
        match self {
            Level::Privileged => "privileged",
            Level::Baseline => "baseline",
            Level::Restricted => "restricted",
        }
    }
}

/// The release whose rules count: all of them are 1.x.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// The newest.
    Latest,
    /// That of 1.x.
    Minor(u32),
}

impl Version {
    fn parse(text: &str) -> Option<Version> {
        if text == "latest" {
            return Some(Version::Latest);
        }
        let minor = text.strip_prefix("v1.")?;
        let plain = minor == "0" || !minor.starts_with(['0', '+']);
        minor.parse().ok().filter(|_| plain).map(Version::Minor)
    }
}

/// `baseline:latest`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LevelVersion {
    /// The level.
    pub level: Level,
    /// The version of its rules.
    pub version: Version,
}

impl fmt::Display for LevelVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.version {
            Version::Latest => write!(f, "{}:latest", self.level.name()),
            Version::Minor(minor) => write!(f, "{}:v1.{minor}", self.level.name()),
        }
    }
}

/// What is enforced in a namespace, and what its users are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Pods that break this are refused.
    pub enforce: LevelVersion,
    /// Pods that break this come with a warning.
    pub warn: LevelVersion,
}

impl Policy {
    /// The policy of a namespace with these labels. A label that cannot be read enforces the most, and warns of nothing.
    pub fn of<'a>(label: impl Fn(&str) -> Option<&'a str>) -> Policy {
        let open = LevelVersion { level: Level::Privileged, version: Version::Latest };
        let mut policy = Policy { enforce: open, warn: open };
        let mode = |name: &str| label(&format!("pod-security.kubernetes.io/{name}"));
        let version = |text: &str| Version::parse(text).unwrap_or(Version::Latest);
        let enforced = mode("enforce").map(Level::parse);
        if let Some(level) = enforced {
            policy.enforce.level = level.unwrap_or(Level::Restricted);
        }
        if let Some(text) = mode("enforce-version") {
            policy.enforce.version = version(text);
        }
        let warned = mode("warn");
        if let Some(text) = warned {
            policy.warn.level = Level::parse(text).unwrap_or(Level::Privileged);
        }
        let warned_version = mode("warn-version");
        if let Some(text) = warned_version {
            policy.warn.version = version(text);
        }
        // What is enforced on pods is told to the authors of templates.
        let stricter = policy.enforce.level > policy.warn.level;
        if warned.is_none() && enforced.flatten().is_some() && stricter {
            policy.warn.level = policy.enforce.level;
            if warned_version.is_none() {
                policy.warn.version = policy.enforce.version;
            }
        }
        policy
    }

    /// Whether nothing is refused or told.
    pub fn is_open(&self) -> bool {
        self.enforce.level == Level::Privileged && self.warn.level == Level::Privileged
    }

    /// Whether pods that are there already are to be looked at when this takes the place of `old`.
    pub fn tightens(&self, old: &Policy) -> bool {
        self.enforce != old.enforce
            && self.enforce.level != Level::Privileged
            && !(self.enforce.version == old.enforce.version && self.enforce.level <= old.enforce.level)
    }
}
