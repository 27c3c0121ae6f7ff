//! Gives back the parts of the program's file that only its start needed.
//!
//! A program is mapped, not read: the first run of a piece of code is a page fault, upon which the kernel maps the 64 KiB
//! around it. Half of a daemon's memory at rest would be such pages, and most of them were wanted once: flags,
//! certificates, tables that are built. Given back, they stay in the page cache; what runs again comes back from there
//! by a fault that reads no disk.
//!
//! The one crate of the daemons with `unsafe`: there is no safe call for it.

use std::ops::Range;
use std::path::Path;
use std::ptr::{NonNull, with_exposed_provenance_mut};

use nix::sys::mman::{MmapAdvise, madvise};

/// Gives back all pages of the program's code and constants. What is needed again returns by itself. Nothing is
/// promised: without `/proc` nothing happens.
pub fn release() {
    let (Ok(smaps), Ok(program)) = (std::fs::read_to_string("/proc/self/smaps"), std::env::current_exe())
    else {
        return;
    };
    for range in untouched(&smaps, &program) {
        let Some(start) = NonNull::new(with_exposed_provenance_mut(range.start)) else { continue };
        // SAFETY: the range is a whole private mapping of the program's own file that cannot be written to and of which no
        // page was ever changed (`untouched`). So dropping its page table entries loses nothing: the next access, of
        // whichever thread, finds the same bytes in the file, which Linux protects from writers while it runs.
        #[allow(unsafe_code)]
        let dropped = unsafe { madvise(start, range.len(), MmapAdvise::MADV_DONTNEED) };
        // Advice: that it was not taken is no error.
        let _ = dropped;
    }
}

/// The mappings of a file that are read-only and hold the file's bytes, by the text of `/proc/PID/smaps`. Constants that
/// were written to before they were protected (relocations) have anonymous pages and are left out.
fn untouched(smaps: &str, file: &Path) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut current = None;
    for line in smaps.lines() {
        if let Some((range, path)) = head(line) {
            current = range.filter(|_| Path::new(path) == file);
        } else if line.split_whitespace().eq(["Anonymous:", "0", "kB"]) {
            found.extend(current.take());
        }
    }
    found
}

/// The first line of a mapping: `START-END PERMISSIONS OFFSET DEVICE INODE   PATH`. The range only when the mapping is
/// private and read-only.
fn head(line: &str) -> Option<(Option<Range<usize>>, &str)> {
    let (range, rest) = line.split_once(' ')?;
    let (start, end) = range.split_once('-')?;
    let range = usize::from_str_radix(start, 16).ok()?..usize::from_str_radix(end, 16).ok()?;
    let (permissions, rest) = rest.split_once(' ')?;
    let path = rest.splitn(4, ' ').nth(3).unwrap_or_default().trim_start();
    Some((Some(range).filter(|_| matches!(permissions, "r-xp" | "r--p")), path))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const SMAPS: &str = "\
00200000-006d7000 r--p 00000000 fe:00 54                            /bin/my server
Size:               4956 kB
Rss:                2496 kB
Anonymous:             0 kB
AnonHugePages:         0 kB
VmFlags: rd mr mw me
006d7000-016aa000 r-xp 004d6000 fe:00 54                            /bin/my server
Anonymous:             0 kB
016aa000-016b3000 r--p 014a8000 fe:00 54                            /bin/my server
Anonymous:            32 kB
016b3000-016bd000 rw-p 014b0000 fe:00 54                            /bin/my server
Anonymous:             0 kB
7f0000000000-7f0000001000 r-xp 00000000 fe:00 77                    /lib/libc.so.6
Anonymous:             0 kB
7ffc00000000-7ffc00002000 r-xp 00000000 00:00 0                     [vdso]
Anonymous:             0 kB
";

    #[test]
    fn only_what_is_as_in_the_file() {
        let found = untouched(SMAPS, Path::new("/bin/my server"));
        assert_eq!(found, [0x20_0000..0x6d_7000, 0x6d_7000..0x16a_a000]);
        assert!(untouched("nonsense\n-\n1-2\nAnonymous: 0 kB\n", Path::new("/bin/my server")).is_empty());
    }

    #[test]
    fn the_program_goes_on_with_less() {
        let resident = || {
            let status = std::fs::read_to_string("/proc/self/status").unwrap();
            let line = status.lines().find(|line| line.starts_with("RssFile:")).unwrap();
            line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()
        };
        let program = std::env::current_exe().unwrap();
        let mapped = untouched(&std::fs::read_to_string("/proc/self/smaps").unwrap(), &program);
        assert!(mapped.len() >= 2, "code and constants: {mapped:?}");
        let before = resident();
        release();
        assert!(resident() < before, "{before}");
    }
}
