//! `kubectl completion`: words of commands and flags, from the command table.

use crate::cli::{Command, Flags};
use crate::context::Context;
use crate::error::Result;
use crate::print::out;

/// Runs `completion`.
pub(crate) fn run(_: &mut Context, flags: &Flags, words: &[String]) -> Result {
    match words {
        [] => Err(flags_error("Shell not specified.", flags)),
        [shell] if shell == "bash" || shell == "zsh" => out(&script(shell)),
        [shell] => Err(flags_error(&format!("Unsupported shell type \"{shell}\"."), flags)),
        _ => Err(flags_error("Too many arguments. Expected only the shell type.", flags)),
    }
}

fn flags_error(message: &str, flags: &Flags) -> crate::error::Error {
    flags.usage(message)
}

fn script(shell: &str) -> String {
    let mut cases = String::new();
    walk(&crate::commands::ROOT, "kubectl", &mut cases);
    let zsh = if shell == "zsh" { "autoload -U +X bashcompinit && bashcompinit\n" } else { "" };
    format!(
        "# {shell} completion for kubectl\n{zsh}__kubectl_words() {{\n  case \"$1\" in\n{cases}  esac\n}}\n\
         __kubectl_complete() {{\n  local path=kubectl word\n  for word in \"${{COMP_WORDS[@]:1:COMP_CWORD-1}}\"; do\n    \
         case \"$word\" in -*) ;; *) [ -n \"$(__kubectl_words \"$path $word\")\" ] && path=\"$path $word\" ;; esac\n  done\n  \
         COMPREPLY=($(compgen -W \"$(__kubectl_words \"$path\")\" -- \"${{COMP_WORDS[COMP_CWORD]}}\"))\n}}\n\
         complete -F __kubectl_complete kubectl\n"
    )
}

fn walk(command: &Command, path: &str, cases: &mut String) {
    let mut words: Vec<String> = command.sub.iter().map(|c| c.name.to_string()).collect();
    words.extend(command.flags.iter().copied().flatten().map(|f| format!("--{}", f.name)));
    if words.is_empty() {
        words.push("--help".into());
    }
    cases.push_str(&format!("    \"{path}\") echo \"{}\" ;;\n", words.join(" ")));
    for c in command.sub {
        walk(c, &format!("{path} {}", c.name), cases);
    }
}
