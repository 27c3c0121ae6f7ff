//! What a process used: CPU time and memory, from `/proc`.

use std::fs;
use std::time::Duration;

/// The kernel's unit of CPU time in `/proc/PID/stat`: `USER_HZ` is 100 on every Linux.
const TICK: Duration = Duration::from_millis(10);

/// A process on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Process(pub(crate) u32);

impl Process {
    /// This program.
    pub(crate) fn own() -> Process {
        Process(std::process::id())
    }

    /// The process that listens on a port, if it is on this machine and we may look.
    pub(crate) fn listening(port: u16) -> Option<Process> {
        let inodes: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
            .iter()
            .filter_map(|path| fs::read_to_string(path).ok())
            .flat_map(|table| listeners(&table, port))
            .map(|inode| format!("socket:[{inode}]"))
            .collect();
        if inodes.is_empty() {
            return None;
        }
        let holds = |pid: u32| {
            let files = fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
            let mut targets = files.filter_map(|f| fs::read_link(f.ok()?.path()).ok());
            targets.any(|t| inodes.iter().any(|i| t.as_os_str() == i.as_str())).then_some(Process(pid))
        };
        let processes = fs::read_dir("/proc").ok()?;
        let mut pids = processes.filter_map(|p| p.ok()?.file_name().to_str()?.parse::<u32>().ok());
        pids.find_map(holds)
    }

    /// CPU time used since the start, in all threads; zero when the process is gone.
    pub(crate) fn cpu(self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0)).unwrap_or_default();
        // The name, in parentheses, may hold anything.
        let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let ticks: u32 =
            fields.split_ascii_whitespace().skip(11).take(2).filter_map(|t| t.parse::<u32>().ok()).sum();
        TICK * ticks
    }

    /// Resident memory in bytes.
    pub(crate) fn rss(self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0)).unwrap_or_default();
        let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"));
        let kib = line.and_then(|l| l.split_ascii_whitespace().next()?.parse::<u64>().ok());
        kib.unwrap_or(0) * 1024
    }
}

/// The inodes of the sockets that listen on a port, from a table of `/proc/net`.
fn listeners(table: &str, port: u16) -> Vec<String> {
    const LISTEN: &str = "0A";
    let wanted = format!(":{port:04X}");
    let rows = table.lines().skip(1).map(|row| row.split_ascii_whitespace().collect::<Vec<_>>());
    rows.filter(|row| row.len() > 9 && row[1].ends_with(&wanted) && row[3] == LISTEN)
        .map(|row| row[9].to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_that_listens_is_found() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(Process::listening(port), Some(Process::own()));
        drop(listener);
        assert_eq!(Process::listening(port), None);
        assert!(Process::own().rss() > 100_000);
    }
}
