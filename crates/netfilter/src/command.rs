//! Running the iptables programs.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::Stdio,
};

use tokio::{io::AsyncWriteExt, process::Command};

use crate::mode::{Mode, decide};

/// Seconds to wait for another program's lock on the rules before giving up (`-w`).
const LOCK_WAIT_SECONDS: &str = "5";

/// What can go wrong between us and the kernel's rules.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Neither flavour of the programs is installed.
    #[error(
        "no usable iptables found (looked for iptables-nft-restore, iptables-legacy-restore and iptables-restore in PATH, /usr/sbin, /sbin)"
    )]
    NotFound,
    /// The program could not be started.
    #[error("cannot run {program}: {source}")]
    Run {
        /// Which program.
        program: String,
        /// Why.
        source: std::io::Error,
    },
    /// The program ran and refused.
    #[error("{program} failed ({status}): {message}")]
    Failed {
        /// Which program with which arguments.
        program: String,
        /// Its exit status.
        status: String,
        /// What it printed on stderr.
        message: String,
    },
}

/// The iptables programs of the flavour that this machine uses.
#[derive(Clone, Debug)]
pub struct IpTables {
    mode: Mode,
    iptables: PathBuf,
    save: PathBuf,
    restore: PathBuf,
    random_fully: bool,
    /// The same program for single rules. The `iptables` crate wants a name that lives forever.
    single: &'static str,
}

impl IpTables {
    /// Finds the programs and decides which flavour the machine uses (see [`Mode`]).
    pub async fn detect() -> Result<Self, Error> {
        let nft = Programs::find("iptables-nft");
        let legacy = Programs::find("iptables-legacy");
        let (mode, programs) = match (nft, legacy) {
            (None, None) => {
                // Only the plain names: the distribution has already chosen.
                let plain = Programs::find("iptables").ok_or(Error::NotFound)?;
                let version = run(&plain.iptables, &["--version"]).await?;
                (if version.contains("nf_tables") { Mode::Nft } else { Mode::Legacy }, plain)
            }
            (nft, legacy) => {
                let nft_rules = saved(nft.as_ref(), &[]).await;
                // Without a table name the legacy program only reads what is loaded; with one it would load modules.
                let legacy_rules = saved(legacy.as_ref(), &[]).await;
                match (decide(nft_rules.as_deref(), legacy_rules.as_deref()), nft, legacy) {
                    (Mode::Nft, Some(nft), _) => (Mode::Nft, nft),
                    (_, _, Some(legacy)) => (Mode::Legacy, legacy),
                    (_, Some(nft), None) => (Mode::Nft, nft),
                    (_, None, None) => return Err(Error::NotFound),
                }
            }
        };
        let version = run(&programs.iptables, &["--version"]).await?;
        let name: &'static str = Box::leak(programs.iptables.to_string_lossy().into_owned().into_boxed_str());
        Ok(Self {
            mode,
            random_fully: version_at_least(&version, (1, 6, 2)),
            iptables: programs.iptables,
            save: programs.save,
            restore: programs.restore,
            single: name,
        })
    }

    /// The flavour in use.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Whether MASQUERADE knows `--random-fully` (iptables 1.6.2 and later).
    pub fn has_random_fully(&self) -> bool {
        self.random_fully
    }

    /// `iptables-save -t <table>`.
    pub async fn save(&self, table: &str) -> Result<String, Error> {
        run(&self.save, &["-t", table]).await
    }

    /// `iptables-restore --noflush -w`: applies `rules` in one transaction; chains that it does not name stay as they are.
    pub async fn restore(&self, rules: &str) -> Result<(), Error> {
        let program = self.restore.display().to_string();
        let fail = |source| Error::Run { program: program.clone(), source };
        let mut child = Command::new(&self.restore)
            .args(["-w", LOCK_WAIT_SECONDS, "--noflush"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(fail)?;
        if let Some(mut stdin) = child.stdin.take() {
            // When the program stops reading it has something to say: its own message is the better one.
            let _ = stdin.write_all(rules.as_bytes()).await;
        }
        let output = child.wait_with_output().await.map_err(fail)?;
        if output.status.success() {
            return Ok(());
        }
        Err(Error::Failed {
            program,
            status: output.status.to_string(),
            message: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        })
    }

    /// Whether `chain` of `table` holds the rule (`-C`). A chain or table that does not exist holds none.
    pub async fn exists(&self, table: &str, chain: &str, rule: &str) -> bool {
        let (table, chain, rule) = (table.to_owned(), chain.to_owned(), rule.to_owned());
        self.blocking(move |single| single.exists(&table, &chain, &rule).unwrap_or(false))
            .await
            .unwrap_or(false)
    }

    /// The rules of one chain as `iptables -S <chain>` prints them, the chain's own line first; `None` when there is no such chain.
    pub async fn list(&self, table: &str, chain: &str) -> Option<Vec<String>> {
        let (table, chain) = (table.to_owned(), chain.to_owned());
        self.blocking(move |single| single.list(&table, &chain).ok()).await.flatten()
    }

    /// Runs iptables itself with these arguments, for what neither restore nor the single-rule calls cover.
    pub async fn run(&self, args: &[&str]) -> Result<String, Error> {
        run(&self.iptables, args).await
    }

    async fn blocking<T: Send + 'static>(
        &self,
        f: impl FnOnce(iptables::IPTables) -> T + Send + 'static,
    ) -> Option<T> {
        let cmd = self.single;
        tokio::task::spawn_blocking(move || {
            f(iptables::IPTables { cmd, has_check: true, has_wait: true, is_numeric: false })
        })
        .await
        .ok()
    }
}

struct Programs {
    iptables: PathBuf,
    save: PathBuf,
    restore: PathBuf,
}

impl Programs {
    /// `<name>`, `<name>-save` and `<name>-restore`, when all three are there.
    fn find(name: &str) -> Option<Self> {
        Some(Self {
            iptables: find(name)?,
            save: find(&format!("{name}-save"))?,
            restore: find(&format!("{name}-restore"))?,
        })
    }
}

/// Looks in PATH, then where distributions and our image keep the programs: a daemon often has a short PATH.
fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin", "/usr/local/sbin"].into_iter().map(PathBuf::from))
        .map(|dir| dir.join(name))
        .find(|candidate| candidate.is_file())
}

async fn saved(programs: Option<&Programs>, args: &[&str]) -> Option<String> {
    run(&programs?.save, args).await.ok()
}

async fn run<A: AsRef<OsStr>>(program: &Path, args: &[A]) -> Result<String, Error> {
    let output = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|source| Error::Run { program: program.display().to_string(), source })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let args: Vec<_> = args.iter().map(|a| a.as_ref().to_string_lossy().into_owned()).collect();
    Err(Error::Failed {
        program: format!("{} {}", program.display(), args.join(" ")),
        status: output.status.to_string(),
        message: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
    })
}

/// Reads `iptables v1.8.9 (nf_tables)`.
fn version_at_least(text: &str, wanted: (u32, u32, u32)) -> bool {
    let version = text.split(" v").nth(1).and_then(|rest| rest.split_whitespace().next()).unwrap_or_default();
    let mut parts = version.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    let mut next = || parts.next().unwrap_or(0);
    (next(), next(), next()) >= wanted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        assert!(version_at_least("iptables v1.8.9 (nf_tables)\n", (1, 6, 2)));
        assert!(version_at_least("iptables v1.6.2", (1, 6, 2)));
        assert!(!version_at_least("iptables v1.6.1", (1, 6, 2)));
        assert!(!version_at_least("nonsense", (1, 6, 2)));
    }
}
