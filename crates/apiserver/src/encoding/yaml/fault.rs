//! What is wrong with a text, in the words and with the lines of Go's library.

/// A place in the text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) index: usize,
    pub(super) line: usize,
    pub(super) column: i32,
}

/// What is wrong, and where; Go counts lines of the two stages differently.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) problem: String,
    line: usize,
    /// It is a value that JSON cannot hold: another library's word.
    of_json: bool,
}

impl Fault {
    /// A mistake of the scanner: `at` is where it stands, `since` where that began which it reads.
    pub(super) fn scanned(problem: impl Into<String>, at: Mark, since: Mark) -> Fault {
        Fault {
            problem: problem.into(),
            line: if at.line == 0 { since.line } else { at.line + 1 },
            of_json: false,
        }
    }

    /// A mistake of the parser; `since` is where that began which lacks something.
    pub(super) fn parsed(problem: impl Into<String>, at: Mark, since: Mark) -> Fault {
        Fault {
            problem: problem.into(),
            line: if at.line == 0 { since.line } else { at.line },
            of_json: false,
        }
    }

    /// A mistake that has no place.
    pub(super) fn anywhere(problem: impl Into<String>) -> Fault {
        Fault { problem: problem.into(), line: 0, of_json: false }
    }

    /// A value that JSON cannot hold.
    pub(super) fn of_json(problem: impl Into<String>) -> Fault {
        Fault { problem: problem.into(), line: 0, of_json: true }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.line {
            _ if self.of_json => f.write_str(&self.problem),
            0 => write!(f, "yaml: {}", self.problem),
            line => write!(f, "yaml: line {line}: {}", self.problem),
        }
    }
}

pub(super) type Result<T> = std::result::Result<T, Fault>;
