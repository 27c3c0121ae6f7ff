//! Command and flag tables and the parser over them.
//!
//! The parser and its messages are those of the libraries that v1.10 used (spf13/cobra, spf13/pflag):
//! flags may stand anywhere, `--flag value` and `--flag=value` are the same except for flags that have
//! a value of their own when bare (`--dry-run`), and `--` ends them.

use std::collections::BTreeMap;

use crate::context::Context;
use crate::error::{Error, Result};

/// What a flag takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// true when bare.
    Bool,
    /// One string; the last one counts.
    Str,
    /// An integer.
    Int,
    /// A Go duration.
    Duration,
    /// Strings, separated by commas, may be repeated.
    Slice,
    /// Strings, may be repeated, commas are part of them.
    Array,
    /// A string that has a value when bare.
    Optional(&'static str),
}

/// One flag.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flag {
    /// Without dashes.
    pub(crate) name: &'static str,
    /// The one-letter form.
    pub(crate) short: Option<char>,
    /// What it takes.
    pub(crate) kind: Kind,
    /// Its value when not given.
    pub(crate) default: &'static str,
    /// One line of help.
    pub(crate) help: &'static str,
}

/// A flag without a short form.
pub(crate) const fn flag(name: &'static str, kind: Kind, default: &'static str, help: &'static str) -> Flag {
    Flag { name, short: None, kind, default, help }
}

/// A flag with a short form.
pub(crate) const fn short(
    short: char,
    name: &'static str,
    kind: Kind,
    default: &'static str,
    help: &'static str,
) -> Flag {
    Flag { name, short: Some(short), kind, default, help }
}

/// What a command does.
pub(crate) type Run = fn(&mut Context, &Flags, &[String]) -> Result;

/// One command.
pub(crate) struct Command {
    /// The word that calls it.
    pub(crate) name: &'static str,
    /// Other words that call it.
    pub(crate) aliases: &'static [&'static str],
    /// What stands after its name in the usage line.
    pub(crate) usage: &'static str,
    /// One line of help.
    pub(crate) help: &'static str,
    /// Groups of flags; groups are shared between commands.
    pub(crate) flags: &'static [&'static [Flag]],
    /// Flags that must be given.
    pub(crate) required: &'static [&'static str],
    /// Its subcommands.
    pub(crate) sub: &'static [Command],
    /// What it does; a pure group has nothing to do.
    pub(crate) run: Option<Run>,
}

impl Command {
    /// A command that others are made from by struct update.
    pub(crate) const NEW: Command = Command {
        name: "",
        aliases: &[],
        usage: "",
        help: "",
        flags: &[],
        required: &[],
        sub: &[],
        run: None,
    };

    fn find(&self, word: &str) -> Option<&'static Command> {
        let sub: &'static [Command] = self.sub;
        sub.iter().find(|c| c.name == word || c.aliases.contains(&word))
    }
}

/// The flags of one command line.
#[derive(Default, Debug)]
pub(crate) struct Flags {
    given: BTreeMap<&'static str, Vec<String>>,
    defaults: BTreeMap<&'static str, &'static str>,
    own: Vec<&'static str>,
    /// How many arguments stood before `--`, if there was one.
    pub(crate) dash: Option<usize>,
    /// `kubectl get`: the command as it was called.
    pub(crate) path: String,
}

impl Flags {
    /// Was the flag given?
    pub(crate) fn changed(&self, name: &str) -> bool {
        self.given.contains_key(name)
    }
    /// The value of a flag, or its default.
    pub(crate) fn str(&self, name: &str) -> &str {
        match self.given.get(name).and_then(|v| v.last()) {
            Some(v) => v,
            None => self.defaults.get(name).copied().unwrap_or(""),
        }
    }
    /// The value of a boolean flag.
    pub(crate) fn bool(&self, name: &str) -> bool {
        matches!(self.str(name), "true" | "1" | "t" | "T" | "TRUE" | "True")
    }
    /// The value of an integer flag; the parser has checked it.
    pub(crate) fn int(&self, name: &str) -> i64 {
        self.str(name).parse().unwrap_or(0)
    }
    /// The value of a duration flag in milliseconds; the parser has checked it.
    pub(crate) fn millis(&self, name: &str) -> i64 {
        crate::time::go_duration_ms(self.str(name)).unwrap_or(0)
    }
    /// All values of a flag.
    pub(crate) fn list(&self, name: &str) -> &[String] {
        self.given.get(name).map_or(&[], Vec::as_slice)
    }
    /// The value of a flag of all commands; "" when the command has one of its own by that name.
    pub(crate) fn global(&self, name: &str) -> &str {
        if self.own.contains(&name) { "" } else { self.str(name) }
    }
    /// A usage error of this command.
    pub(crate) fn usage(&self, message: impl Into<String>) -> Error {
        Error::usage(&self.path, message)
    }
    /// The command line for `--record` (upstream: `ParseCommandArguments`): flags in name order.
    pub(crate) fn recorded(&self, args: &[String]) -> String {
        let mut line = self.path.clone();
        for a in args {
            line.push(' ');
            line.push_str(a);
        }
        for (name, values) in &self.given {
            for v in values {
                line.push_str(&format!(" --{name}={v}"));
            }
        }
        line
    }
}

/// Finds the command, parses its flags and runs it.
pub(crate) fn run(root: &'static Command, args: &[String]) -> Result {
    let (path, command, rest) = find(root, args)?;
    let name = path.iter().map(|c| c.name).collect::<Vec<_>>().join(" ");
    let globals: &[Flag] = crate::commands::GLOBAL;
    let help = help_of(&name, command);
    let mut flags = Flags { path: name.clone(), ..Flags::default() };
    let all: Vec<&Flag> = command.flags.iter().copied().flatten().chain(globals).collect();
    for f in all.iter().rev() {
        flags.defaults.insert(f.name, f.default);
    }
    flags.own = command.flags.iter().copied().flatten().map(|f| f.name).collect();
    if command.name == "help" {
        return print_help(root, &rest);
    }
    let mut words = Vec::new();
    if let Err(message) = parse(&all, &rest, &mut flags, &mut words) {
        if message == "help" {
            println!("{}\n\n{help}", command.help);
            return Ok(());
        }
        return Err(Error::Flag { message, help });
    }
    let Some(run) = command.run else {
        if words.is_empty() {
            // v1.10 shows the help of a bare group: `create service` on standard error, others not.
            if path.len() > 2 && command.name == "service" {
                return Err(Error::Plain(format!("{}\n\n{help}", command.help)));
            }
            println!("{}\n\n{help}", command.help);
            return Ok(());
        }
        return Err(flags.usage(format!("unknown command \"{}\"", words.join(" "))));
    };
    let missing: Vec<String> =
        command.required.iter().filter(|r| !flags.changed(r)).map(|r| format!("\"{r}\"")).collect();
    if !missing.is_empty() {
        return Err(Error::Flag {
            message: format!("required flag(s) {} not set", missing.join(", ")),
            help,
        });
    }
    let mut context = Context::new(&flags)?;
    run(&mut context, &flags, &words)
}

/// Walks down the command tree; the words that named commands are taken out (cobra: `Find`).
fn find(
    root: &'static Command,
    args: &[String],
) -> Result<(Vec<&'static Command>, &'static Command, Vec<String>)> {
    let mut path = vec![root];
    let mut command = root;
    let mut rest = args.to_vec();
    while !command.sub.is_empty() {
        let known: Vec<&Flag> =
            command.flags.iter().copied().flatten().chain(crate::commands::GLOBAL).collect();
        let Some(at) = first_word(&known, &rest) else { break };
        match command.find(&rest[at]) {
            Some(next) => {
                rest.remove(at);
                path.push(next);
                command = next;
            }
            None if path.len() == 1 => return Err(unknown_command(root, &rest[at])),
            None => break,
        }
    }
    Ok((path, command, rest))
}

/// The index of the first argument that is neither a flag nor a flag's value.
fn first_word(known: &[&Flag], args: &[String]) -> Option<usize> {
    let mut i = 0;
    while i < args.len() {
        let a = &args[i];
        if a == "--" {
            return None;
        }
        if let Some(long) = a.strip_prefix("--") {
            let bare = known
                .iter()
                .find(|f| f.name == long)
                .is_none_or(|f| matches!(f.kind, Kind::Bool | Kind::Optional(_)));
            if !long.contains('=') && !bare {
                i += 1;
            }
        } else if a.len() > 1 && a.starts_with('-') {
            let takes = a.len() == 2
                && known.iter().any(|f| {
                    f.short == a.chars().nth(1) && !matches!(f.kind, Kind::Bool | Kind::Optional(_))
                });
            if takes {
                i += 1;
            }
        } else {
            return Some(i);
        }
        i += 1;
    }
    None
}

fn unknown_command(root: &'static Command, word: &str) -> Error {
    let mut message = format!("unknown command \"{word}\" for \"{}\"", root.name);
    let close: Vec<&str> = root
        .sub
        .iter()
        .map(|c| c.name)
        .filter(|n| distance(word, n) <= 2 || n.to_lowercase().starts_with(&word.to_lowercase()))
        .collect();
    if !close.is_empty() {
        message.push_str("\n\nDid you mean this?\n");
        for c in close {
            message.push_str(&format!("\t{c}\n"));
        }
    }
    Error::Plain(format!("Error: {message}\nRun '{} --help' for usage.\n{message}", root.name))
}

/// The Levenshtein distance, ignoring case (cobra: `ld`).
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.to_lowercase().chars().collect();
    let b: Vec<char> = b.to_lowercase().chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let next = (diagonal + usize::from(ca != cb)).min(row[j] + 1).min(row[j + 1] + 1);
            diagonal = row[j + 1];
            row[j + 1] = next;
        }
    }
    row[b.len()]
}

/// Parses flags and words; the message "help" asks for the help text.
fn parse(
    known: &[&Flag],
    args: &[String],
    flags: &mut Flags,
    words: &mut Vec<String>,
) -> std::result::Result<(), String> {
    let mut i = 0;
    while i < args.len() {
        let a = &args[i];
        i += 1;
        if a == "--" {
            flags.dash = Some(words.len());
            words.extend_from_slice(&args[i..]);
            break;
        }
        if let Some(long) = a.strip_prefix("--") {
            let (name, value) = match long.split_once('=') {
                Some((n, v)) => (n, Some(v.to_string())),
                None => (long, None),
            };
            if name.is_empty() || name.starts_with('-') {
                return Err(format!("bad flag syntax: {a}"));
            }
            let Some(f) = known.iter().find(|f| f.name == name) else {
                return Err(if name == "help" { "help".into() } else { format!("unknown flag: --{name}") });
            };
            let value = match (value, f.kind) {
                (Some(v), _) => v,
                (None, Kind::Bool) => "true".into(),
                (None, Kind::Optional(bare)) => bare.into(),
                (None, _) if i < args.len() => {
                    i += 1;
                    args[i - 1].clone()
                }
                (None, _) => return Err(format!("flag needs an argument: --{name}")),
            };
            store(f, value, flags)?;
        } else if a.len() > 1 && a.starts_with('-') {
            let mut letters = &a[1..];
            while let Some(c) = letters.chars().next() {
                let after = &letters[c.len_utf8()..];
                let Some(f) = known.iter().find(|f| f.short == Some(c)) else {
                    return Err(if c == 'h' {
                        "help".into()
                    } else {
                        format!("unknown shorthand flag: '{c}' in -{letters}")
                    });
                };
                if let Some(v) = after.strip_prefix('=') {
                    store(f, v.to_string(), flags)?;
                    break;
                }
                match f.kind {
                    Kind::Bool => store(f, "true".into(), flags)?,
                    Kind::Optional(bare) => store(f, bare.into(), flags)?,
                    _ if !after.is_empty() => {
                        store(f, after.to_string(), flags)?;
                        break;
                    }
                    _ if i < args.len() => {
                        i += 1;
                        store(f, args[i - 1].clone(), flags)?;
                    }
                    _ => return Err(format!("flag needs an argument: '{c}' in -{letters}")),
                }
                letters = after;
            }
        } else {
            words.push(a.clone());
        }
    }
    Ok(())
}

fn store(f: &Flag, value: String, flags: &mut Flags) -> std::result::Result<(), String> {
    let why = match f.kind {
        Kind::Bool
            if !["true", "false", "1", "0", "t", "f", "T", "F", "TRUE", "FALSE", "True", "False"]
                .contains(&value.as_str()) =>
        {
            Some(format!("strconv.ParseBool: parsing \"{value}\": invalid syntax"))
        }
        Kind::Int if value.parse::<i64>().is_err() => {
            Some(format!("strconv.ParseInt: parsing \"{value}\": invalid syntax"))
        }
        Kind::Duration if crate::time::go_duration_ms(&value).is_none() => {
            Some(format!("time: invalid duration \"{value}\""))
        }
        _ => None,
    };
    if let Some(why) = why {
        let name = match f.short {
            Some(c) => format!("-{c}, --{}", f.name),
            None => format!("--{}", f.name),
        };
        return Err(format!("invalid argument \"{value}\" for \"{name}\" flag: {why}"));
    }
    let values = flags.given.entry(f.name).or_default();
    match f.kind {
        Kind::Slice => {
            values.extend(value.split(',').filter(|v| !v.is_empty()).map(str::to_string));
        }
        Kind::Array => values.push(value),
        _ => *values = vec![value],
    }
    Ok(())
}

/// The options and the usage line of a command.
fn help_of(path: &str, command: &Command) -> String {
    let mut text = String::new();
    if !command.sub.is_empty() {
        text.push_str("Available Commands:\n");
        for c in command.sub.iter().filter(|c| !c.help.is_empty()) {
            text.push_str(&format!("  {:<14} {}\n", c.name, c.help));
        }
        text.push('\n');
    }
    if command.flags.iter().any(|g| !g.is_empty()) {
        text.push_str("Options:\n");
        for f in command.flags.iter().copied().flatten() {
            let short = f.short.map_or("    ".to_string(), |c| format!("-{c}, "));
            let default = match f.kind {
                Kind::Bool | Kind::Int | Kind::Duration if !f.default.is_empty() => f.default.to_string(),
                Kind::Slice | Kind::Array => "[]".to_string(),
                _ => format!("'{}'", f.default),
            };
            text.push_str(&format!("  {short}--{}={default}: {}\n", f.name, f.help));
        }
        text.push('\n');
    }
    text.push_str(&format!("Usage:\n  {path} {} [options]\n", command.usage).replace("  [", " ["));
    text.push_str(
        "\nUse \"kubectl options\" for a list of global command-line options (applies to all commands).\n",
    );
    text
}

fn print_help(root: &'static Command, words: &[String]) -> Result {
    let (path, command, _) = find(root, words)?;
    let name = path.iter().map(|c| c.name).collect::<Vec<_>>().join(" ");
    println!("{}\n\n{}", command.help, help_of(&name, command));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLAGS: &[Flag] = &[
        short('n', "namespace", Kind::Str, "", ""),
        flag("dry-run", Kind::Optional("true"), "", ""),
        flag("replicas", Kind::Int, "1", ""),
        short('L', "label-columns", Kind::Slice, "", ""),
        short('w', "watch", Kind::Bool, "false", ""),
    ];

    fn go(args: &[&str]) -> std::result::Result<(Flags, Vec<String>), String> {
        let args: Vec<String> = args.iter().map(ToString::to_string).collect();
        let (mut flags, mut words) = (Flags::default(), Vec::new());
        let known: Vec<&Flag> = FLAGS.iter().collect();
        parse(&known, &args, &mut flags, &mut words).map(|()| (flags, words))
    }

    #[test]
    fn flags_and_words_mix() {
        let (flags, words) = go(&["a", "-nx", "--dry-run", "b", "-w", "-L", "p,q", "--", "-c"]).unwrap();
        assert_eq!(words, ["a", "b", "-c"]);
        assert_eq!(flags.dash, Some(2));
        assert_eq!(flags.str("namespace"), "x");
        assert_eq!(flags.str("dry-run"), "true");
        assert!(flags.bool("watch"));
        assert_eq!(flags.list("label-columns"), ["p", "q"]);
    }

    #[test]
    fn errors_read_as_pflags() {
        assert_eq!(go(&["--frob"]).unwrap_err(), "unknown flag: --frob");
        assert_eq!(go(&["-n"]).unwrap_err(), "flag needs an argument: 'n' in -n");
        assert_eq!(go(&["-A"]).unwrap_err(), "unknown shorthand flag: 'A' in -A");
        assert_eq!(
            go(&["--replicas=x"]).unwrap_err(),
            "invalid argument \"x\" for \"--replicas\" flag: strconv.ParseInt: parsing \"x\": invalid syntax"
        );
    }

    #[test]
    fn unknown_commands_suggest_close_ones() {
        assert_eq!(
            unknown_command(&crate::commands::ROOT, "gett").text(),
            "Error: unknown command \"gett\" for \"kubectl\"\n\nDid you mean this?\n\tset\n\tget\n\n\
             Run 'kubectl --help' for usage.\nunknown command \"gett\" for \"kubectl\"\n\n\
             Did you mean this?\n\tset\n\tget\n"
        );
    }
}
