//! Sets of token types: what may come next in an expression.

use super::lex::{Kind, Token};

/// A set of token types, one bit each in the order of upstream's grammar.
pub(super) type Set = u64;

pub(super) const NAMES: [&str; 36] = [
    "<EOF>",
    "'=='",
    "'!='",
    "'in'",
    "'<'",
    "'<='",
    "'>='",
    "'>'",
    "'&&'",
    "'||'",
    "'['",
    "']'",
    "'{'",
    "'}'",
    "'('",
    "')'",
    "'.'",
    "','",
    "'-'",
    "'!'",
    "'?'",
    "':'",
    "'+'",
    "'*'",
    "'/'",
    "'%'",
    "'true'",
    "'false'",
    "'null'",
    "NUM_FLOAT",
    "NUM_INT",
    "NUM_UINT",
    "STRING",
    "BYTES",
    "IDENTIFIER",
    "ESC_IDENTIFIER",
];

pub(super) const fn bits(from: u32, to: u32) -> Set {
    ((1 << (to - from + 1)) - 1) << from
}

pub(super) const EOF: Set = 1;
pub(super) const RELATIONS: Set = bits(1, 7);
pub(super) const AND: Set = 1 << 8;
pub(super) const OR: Set = 1 << 9;
pub(super) const LIST: Set = 1 << 10;
pub(super) const LIST_END: Set = 1 << 11;
pub(super) const BRACE: Set = 1 << 12;
pub(super) const BRACE_END: Set = 1 << 13;
pub(super) const PAREN: Set = 1 << 14;
pub(super) const PAREN_END: Set = 1 << 15;
pub(super) const DOT: Set = 1 << 16;
pub(super) const COMMA: Set = 1 << 17;
pub(super) const MINUS: Set = 1 << 18;
pub(super) const NOT: Set = 1 << 19;
pub(super) const MARK: Set = 1 << 20;
pub(super) const COLON: Set = 1 << 21;
pub(super) const PLUS: Set = 1 << 22;
pub(super) const PRODUCTS: Set = bits(23, 25);
pub(super) const NUMBERS: Set = bits(29, 31);
pub(super) const LITERALS: Set = bits(26, 33);
pub(super) const NAME: Set = 1 << 34;
pub(super) const QUOTED: Set = 1 << 35;
/// The end of the rule itself can come next.
pub(super) const END: Set = 1 << 63;

pub(super) const SUMS: Set = PRODUCTS | PLUS | MINUS;
pub(super) const MEMBER: Set = LIST | BRACE | PAREN | DOT | MINUS | LITERALS | NAME;
pub(super) const START: Set = MEMBER | NOT;
pub(super) const TAIL: Set = DOT | LIST | END;

pub(super) fn kind(token: &Token<'_>) -> Set {
    let place = match (token.kind, token.text) {
        (Kind::End, _) => return EOF,
        (Kind::Quoted, _) => return QUOTED,
        (Kind::Double, _) => return 1 << 29,
        (Kind::Int, _) => return 1 << 30,
        (Kind::Uint, _) => return 1 << 31,
        (Kind::Text, _) => return 1 << 32,
        (Kind::Bytes, _) => return 1 << 33,
        (_, text) => NAMES.iter().position(|n| n.trim_matches('\'') == text),
    };
    place.filter(|at| *at < 29).map_or(NAME, |at| 1 << at)
}

pub(super) fn shown(set: Set) -> String {
    let names: Vec<&str> =
        NAMES.iter().enumerate().filter(|(i, _)| set & (1 << i) != 0).map(|(_, n)| *n).collect();
    match &names[..] {
        [one] => (*one).to_owned(),
        several => format!("{{{}}}", several.join(", ")),
    }
}
