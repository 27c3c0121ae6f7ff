//! Flags the way upstream's binaries read them, on clap.
//!
//! Go's pflag differs from clap in a few habits that manifests and unit files rely on: a boolean is `--x`, `--x=true` or
//! `--x=false`; `_` and `-` are the same in names; a bad flag ends the program with exit code 1 and one line.
//! [`parse`] gives all of that to any `#[derive(clap::Parser)]` struct with plain `bool` fields.

use std::ffi::OsString;

use clap::builder::BoolishValueParser;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, Args, Command, Parser};

use crate::version;

/// Flags that all of upstream's daemons share. Flatten it: `#[command(flatten)] pub common: CommonFlags`.
#[derive(Args, Clone, Debug, Default)]
pub struct CommonFlags {
    /// Log verbosity.
    #[arg(long, short = 'v', default_value_t = 0, value_name = "level")]
    pub v: u8,
    #[command(flatten)]
    accepted: AcceptedFlags,
}

/// Flags of upstream's loggers that are read and have no effect here: logs go to stderr.
#[derive(Args, Clone, Debug, Default)]
struct AcceptedFlags {
    #[arg(long, hide = true, default_value_t = true)]
    logtostderr: bool,
    #[arg(long, hide = true)]
    alsologtostderr: bool,
    #[arg(long, hide = true)]
    vmodule: Option<String>,
    #[arg(long, hide = true)]
    stderrthreshold: Option<String>,
    #[arg(long, hide = true)]
    log_dir: Option<String>,
    #[arg(long, hide = true)]
    log_file: Option<String>,
    #[arg(long, hide = true)]
    log_file_max_size: Option<String>,
    #[arg(long, hide = true)]
    log_backtrace_at: Option<String>,
    #[arg(long, hide = true)]
    log_flush_frequency: Option<String>,
    #[arg(long, hide = true)]
    logging_format: Option<String>,
    #[arg(long, hide = true)]
    log_json_info_buffer_size: Option<String>,
    #[arg(long, hide = true)]
    log_json_split_stream: bool,
    #[arg(long, hide = true)]
    log_text_info_buffer_size: Option<String>,
    #[arg(long, hide = true)]
    log_text_split_stream: bool,
    #[arg(long, hide = true)]
    skip_headers: bool,
    #[arg(long, hide = true)]
    skip_log_headers: bool,
    #[arg(long, hide = true)]
    one_output: bool,
    #[arg(long, hide = true)]
    add_dir_header: bool,
    #[arg(long, hide = true)]
    feature_gates: Option<String>,
    #[arg(long, hide = true)]
    profiling: bool,
    #[arg(long, hide = true)]
    contention_profiling: bool,
}

/// Why [`try_parse`] gave no options.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// `--help` or `--version` was asked for: this text goes to stdout, exit code 0.
    Print(String),
    /// A flag is wrong: this line goes to stderr, exit code 1.
    Refuse(String),
}

/// Reads the flags of program `name` (`args` without the program's own name), or ends the process as upstream does.
pub fn parse<T: Parser>(name: &str, args: impl IntoIterator<Item = OsString>) -> T {
    match try_parse(name, args) {
        Ok(options) => options,
        Err(Stop::Print(text)) => {
            println!("{}", text.trim_end());
            std::process::exit(0)
        }
        Err(Stop::Refuse(text)) => {
            eprintln!("Error: {text}");
            std::process::exit(1)
        }
    }
}

/// [`parse`] as a function of its arguments.
pub fn try_parse<T: Parser>(name: &str, args: impl IntoIterator<Item = OsString>) -> Result<T, Stop> {
    let args: Vec<OsString> = args.into_iter().map(dashed).collect();
    if asks_for_version(&args) {
        return Err(Stop::Print(format!("Kubernetes {}", version::GIT_VERSION)));
    }
    let command = go_style(T::command()).bin_name(name.to_owned());
    let argv = std::iter::once(OsString::from(name)).chain(args);
    let refuse = |err: clap::Error| match err.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Stop::Print(err.to_string()),
        _ => Stop::Refuse(explain(&err)),
    };
    let matches = command.try_get_matches_from(argv).map_err(refuse)?;
    T::from_arg_matches(&matches).map_err(refuse)
}

/// Makes every boolean of `command` a Go boolean. The last of repeated flags wins, as with pflag.
pub fn go_style(command: Command) -> Command {
    command.args_override_self(true).mut_args(|arg| {
        if !is_bool(&arg) {
            return arg;
        }
        let arg = if arg.get_default_values().is_empty() && matches!(arg.get_action(), ArgAction::SetTrue) {
            arg.default_value("false")
        } else {
            arg
        };
        arg.action(ArgAction::Set)
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true")
            .value_parser(BoolishValueParser::new())
            .hide_possible_values(true)
    })
}

fn is_bool(arg: &Arg) -> bool {
    if matches!(arg.get_action(), ArgAction::SetTrue) {
        return true;
    }
    let Some(values) = arg.get_value_parser().possible_values() else {
        return false;
    };
    values.map(|v| v.get_name().to_owned()).eq(["true", "false"])
}

/// `--log_dir=/x_y` → `--log-dir=/x_y` (upstream's `WordSepNormalizeFunc`).
fn dashed(arg: OsString) -> OsString {
    match arg.to_str() {
        Some(text) if text.starts_with("--") => {
            let (name, rest) = match text.find('=') {
                Some(at) => text.split_at(at),
                None => (text, ""),
            };
            format!("{}{rest}", name.replace('_', "-")).into()
        }
        _ => arg,
    }
}

fn asks_for_version(args: &[OsString]) -> bool {
    args.iter()
        .take_while(|arg| *arg != "--")
        .any(|arg| arg == "--version" || arg == "--version=true" || arg == "--version=raw")
}

/// Pflag's words for clap's errors.
fn explain(err: &clap::Error) -> String {
    let text = |kind| match err.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        Some(ContextValue::Strings(texts)) => texts.join(" "),
        _ => String::new(),
    };
    let arg = text(ContextKind::InvalidArg);
    let flag = arg.split([' ', '=', '[']).next().unwrap_or_default();
    match err.kind() {
        ErrorKind::UnknownArgument if flag.starts_with("--") => format!("unknown flag: {flag}"),
        ErrorKind::UnknownArgument if flag.starts_with('-') => format!("unknown shorthand flag: {flag}"),
        ErrorKind::UnknownArgument => format!("unknown command {flag:?}"),
        ErrorKind::InvalidValue if text(ContextKind::InvalidValue).is_empty() => {
            format!("flag needs an argument: {flag}")
        }
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => {
            let value = text(ContextKind::InvalidValue);
            let why = std::error::Error::source(err).map(|e| format!(": {e}")).unwrap_or_default();
            format!("invalid argument {value:?} for {flag:?} flag{why}")
        }
        ErrorKind::MissingRequiredArgument => format!("required flag(s) {flag:?} not set"),
        _ => {
            err.to_string().trim().trim_start_matches("error: ").lines().next().unwrap_or_default().to_owned()
        }
    }
}

/// A Go duration (`1h30m`, `10s`, `500ms`) as clap's `value_parser`.
pub fn duration(text: &str) -> Result<std::time::Duration, String> {
    let invalid = || format!("time: invalid duration {text:?}");
    if text == "0" {
        return Ok(std::time::Duration::ZERO);
    }
    let mut rest = text;
    let mut total = 0.0_f64;
    if rest.is_empty() {
        return Err(invalid());
    }
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .ok_or_else(|| format!("time: missing unit in duration {text:?}"))?;
        let value: f64 = rest[..digits].parse().map_err(|_| invalid())?;
        rest = &rest[digits..];
        let end = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        let (unit, tail) = rest.split_at(end);
        total += value
            * match unit {
                "ns" => 1e-9,
                "us" | "µs" => 1e-6,
                "ms" => 1e-3,
                "s" => 1.0,
                "m" => 60.0,
                "h" => 3600.0,
                _ => return Err(format!("time: unknown unit {unit:?} in duration {text:?}")),
            };
        rest = tail;
    }
    std::time::Duration::try_from_secs_f64(total).map_err(|_| invalid())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Parser, Debug)]
    struct Options {
        #[command(flatten)]
        common: CommonFlags,
        #[arg(long)]
        plain: bool,
        #[arg(long, default_value_t = true)]
        leader_elect: bool,
        #[arg(long)]
        port: Option<u16>,
        #[arg(long, value_parser = duration)]
        period: Option<std::time::Duration>,
    }

    fn read(args: &[&str]) -> Result<Options, Stop> {
        try_parse("kube-thing", args.iter().map(OsString::from))
    }

    #[test]
    fn booleans_are_gos() {
        let options = read(&["--plain", "--logtostderr=true", "--v=2"]).unwrap();
        assert!(options.plain && options.leader_elect);
        assert_eq!(options.common.v, 2);
        let options = read(&["--plain=false", "--leader_elect=false", "--logtostderr"]).unwrap();
        assert!(!options.plain && !options.leader_elect);
        assert!(read(&["--leader-elect=1", "--leader-elect=f"]).is_ok_and(|o| !o.leader_elect));
    }

    #[test]
    fn refusals_are_pflags() {
        let refuse = |args: &[&str]| match read(args) {
            Err(Stop::Refuse(text)) => text,
            other => unreachable!("{other:?}"),
        };
        assert_eq!(refuse(&["--nope=1"]), "unknown flag: --nope");
        assert!(refuse(&["--port=x"]).starts_with("invalid argument \"x\" for \"--port\" flag: "));
        assert_eq!(refuse(&["--port"]), "flag needs an argument: --port");
    }

    #[test]
    fn version_is_printed() {
        assert_eq!(read(&["--version"]).unwrap_err(), Stop::Print("Kubernetes v1.36.0+skiff.0.1.0".into()));
    }

    #[test]
    fn durations_are_gos() {
        assert_eq!(duration("1m30s"), Ok(std::time::Duration::from_secs(90)));
        assert_eq!(duration("500ms"), Ok(std::time::Duration::from_millis(500)));
        assert_eq!(read(&["--period=2h45m"]).unwrap().period, Some(std::time::Duration::from_secs(9900)));
        assert!(duration("5").is_err() && duration("").is_err() && duration("5x").is_err());
    }
}
