//! The functions that expressions may call, with the types of their arguments (`cel-go/common/stdlib`, `cel-go/ext`,
//! `apiserver/pkg/cel/library`).

use std::collections::HashMap;
use std::sync::LazyLock;

use super::Type;

/// One way to call a function. Capital letters stand for any type, the same for all of one letter.
#[derive(Debug)]
pub(super) struct Overload {
    pub(super) is_method: bool,
    /// How many letters it has.
    pub(super) variables: usize,
    pub(super) arguments: Vec<Type>,
    pub(super) result: Type,
}

/// `name [receiver].(arguments) result`, one overload a line; several names share what stands behind them.
const FUNCTIONS: &str = "
!_ (bool) bool
-_ (int) int
-_ (double) double
@in (A, list(A)) bool
@in (A, map(A, B)) bool
_==_|_!=_ (A, A) bool
_?_:_ (bool, A, A) A
_<_|_<=_|_>_|_>=_ (bool, bool) bool
_<_|_<=_|_>_|_>=_ (int, int) bool
_<_|_<=_|_>_|_>=_ (int, double) bool
_<_|_<=_|_>_|_>=_ (int, uint) bool
_<_|_<=_|_>_|_>=_ (uint, uint) bool
_<_|_<=_|_>_|_>=_ (uint, double) bool
_<_|_<=_|_>_|_>=_ (uint, int) bool
_<_|_<=_|_>_|_>=_ (double, double) bool
_<_|_<=_|_>_|_>=_ (double, int) bool
_<_|_<=_|_>_|_>=_ (double, uint) bool
_<_|_<=_|_>_|_>=_ (string, string) bool
_<_|_<=_|_>_|_>=_ (bytes, bytes) bool
_<_|_<=_|_>_|_>=_ (timestamp, timestamp) bool
_<_|_<=_|_>_|_>=_ (duration, duration) bool
_+_ (bytes, bytes) bytes
_+_|_-_|_*_|_/_ (double, double) double
_+_|_-_ (duration, duration) duration
_+_ (duration, timestamp) timestamp
_+_|_-_ (timestamp, duration) timestamp
_-_ (timestamp, timestamp) duration
_+_|_-_|_*_|_/_|_%_ (int, int) int
_+_ (list(A), list(A)) list(A)
_+_ (string, string) string
_+_|_-_|_*_|_/_|_%_ (uint, uint) uint
_[_] (list(A), int) A
_[_] (map(A, B), A) B
_[_] (optional(list(A)), int) optional(A)
_[_] (optional(map(A, B)), A) optional(B)
_[?_] (list(A), int) optional(A)
_[?_] (optional(list(A)), int) optional(A)
_[?_] (map(A, B), A) optional(B)
_[?_] (optional(map(A, B)), A) optional(B)
size (bytes) int
size (list(A)) int
size (map(A, B)) int
size (string) int
size bytes.() int
size list(A).() int
size map(A, B).() int
size string.() int
bool (bool) bool
bool (string) bool
bytes (bytes) bytes
bytes (string) bytes
double (double) double
double (int) double
double (string) double
double (uint) double
duration (duration) duration
duration (int) duration
duration (string) duration
dyn (A) dyn
int (int) int
int (double) int
int (duration) int
int (string) int
int (timestamp) int
int (uint) int
string (string) string
string (bool) string
string (bytes) string
string (double) string
string (duration) string
string (int) string
string (timestamp) string
string (uint) string
string (net.IP) string
string (net.CIDR) string
timestamp (timestamp) timestamp
timestamp (int) timestamp
timestamp (string) timestamp
uint (uint) uint
uint (double) uint
uint (int) uint
uint (string) uint
type (A) type(A)
matches (string, string) bool
contains|endsWith|startsWith|matches string.(string) bool
getFullYear|getMonth|getDayOfYear|getDayOfMonth|getDate|getDayOfWeek timestamp.() int
getFullYear|getMonth|getDayOfYear|getDayOfMonth|getDate|getDayOfWeek timestamp.(string) int
getHours|getMinutes|getSeconds|getMilliseconds timestamp.() int
getHours|getMinutes|getSeconds|getMilliseconds timestamp.(string) int
getHours|getMinutes|getSeconds|getMilliseconds duration.() int
charAt string.(int) string
indexOf|lastIndexOf string.(string) int
indexOf|lastIndexOf string.(string, int) int
indexOf|lastIndexOf list(A).(A) int
join list(string).() string
join list(string).(string) string
lowerAscii|upperAscii|trim string.() string
replace string.(string, string) string
replace string.(string, string, int) string
split string.(string) list(string)
split string.(string, int) list(string)
substring string.(int) string
substring string.(int, int) string
format string.(list(dyn)) string
strings.quote (string) string
find string.(string) string
findAll string.(string) list(string)
findAll string.(string, int) list(string)
isSorted list(int).() bool
isSorted list(uint).() bool
isSorted list(double).() bool
isSorted list(bool).() bool
isSorted list(duration).() bool
isSorted list(timestamp).() bool
isSorted list(string).() bool
isSorted list(bytes).() bool
sum list(int).() int
sum list(uint).() uint
sum list(double).() double
sum list(duration).() duration
min|max list(int).() int
min|max list(uint).() uint
min|max list(double).() double
min|max list(bool).() bool
min|max list(duration).() duration
min|max list(timestamp).() timestamp
min|max list(string).() string
min|max list(bytes).() bytes
url (string) kubernetes.URL
isURL (string) bool
getScheme|getHost|getHostname|getPort|getEscapedPath kubernetes.URL.() string
getQuery kubernetes.URL.() map(string, list(string))
isIP (string) bool
ip (string) net.IP
ip.isCanonical (string) bool
family net.IP.() int
isUnspecified|isLoopback|isLinkLocalMulticast|isLinkLocalUnicast|isGlobalUnicast net.IP.() bool
isCIDR (string) bool
cidr (string) net.CIDR
containsIP net.CIDR.(string) bool
containsIP net.CIDR.(net.IP) bool
containsCIDR net.CIDR.(string) bool
containsCIDR net.CIDR.(net.CIDR) bool
ip net.CIDR.() net.IP
masked net.CIDR.() net.CIDR
prefixLength net.CIDR.() int
quantity (string) kubernetes.Quantity
isQuantity (string) bool
sign (kubernetes.Quantity) int
isInteger kubernetes.Quantity.() bool
asInteger kubernetes.Quantity.() int
asApproximateFloat kubernetes.Quantity.() double
add|sub kubernetes.Quantity.(kubernetes.Quantity) kubernetes.Quantity
add|sub kubernetes.Quantity.(int) kubernetes.Quantity
isLessThan|isGreaterThan kubernetes.Quantity.(kubernetes.Quantity) bool
compareTo kubernetes.Quantity.(kubernetes.Quantity) int
semver (string) kubernetes.Semver
semver (string, bool) kubernetes.Semver
isSemver (string) bool
isSemver (string, bool) bool
major|minor|patch kubernetes.Semver.() int
isLessThan|isGreaterThan kubernetes.Semver.(kubernetes.Semver) bool
compareTo kubernetes.Semver.(kubernetes.Semver) int
sets.contains|sets.equivalent|sets.intersects (list(A), list(A)) bool
optional.of (A) optional(A)
optional.ofNonZeroValue (A) optional(A)
optional.none () optional(A)
hasValue optional(A).() bool
value optional(A).() A
or optional(A).(optional(A)) optional(A)
orValue optional(A).(A) A
jsonpatch.escapeKey (string) string
format.named (string) optional(kubernetes.NamedFormat)
format.dns1123Label|format.dns1123Subdomain|format.dns1035Label|format.qualifiedName () kubernetes.NamedFormat
format.dns1123LabelPrefix|format.dns1123SubdomainPrefix|format.dns1035LabelPrefix () kubernetes.NamedFormat
format.labelValue|format.uri|format.uuid|format.byte|format.date|format.datetime () kubernetes.NamedFormat
validate kubernetes.NamedFormat.(string) optional(list(string))
slice list(A).(int, int) list(A)
first|last list(A).() optional(A)
distinct|reverse list(A).() list(A)
flatten list(list(A)).() list(A)
flatten list(dyn).(int) list(dyn)
lists.range (int) list(int)
sort list(int).() list(int)
sort list(uint).() list(uint)
sort list(double).() list(double)
sort list(bool).() list(bool)
sort list(duration).() list(duration)
sort list(timestamp).() list(timestamp)
sort list(string).() list(string)
sort list(bytes).() list(bytes)
cel.@mapInsert (map(A, B), A, B) map(A, B)
cel.@mapInsert (map(A, B), map(A, B)) map(A, B)
";

/// Functions of expressions about requests, whose variables have no types here.
const OPEN: &str = "path group serviceAccount resource subresource namespace name check fieldSelector labelSelector allowed \
                    reason errored error includes";

static DECLARED: LazyLock<HashMap<&'static str, Vec<Overload>>> = LazyLock::new(|| {
    let mut all: HashMap<&'static str, Vec<Overload>> = HashMap::new();
    for line in FUNCTIONS.lines().filter(|line| !line.is_empty()) {
        let Some((names, text)) = line.split_once(' ') else { continue };
        for name in names.split('|') {
            all.entry(name).or_default().push(overload(text));
        }
    }
    all
});

/// The overloads of a function, in upstream's order.
pub(super) fn overloads(name: &str) -> Option<&'static [Overload]> {
    DECLARED.get(name).map(Vec::as_slice)
}

/// Whether a function takes anything in expressions about requests.
pub(super) fn is_open(name: &str) -> bool {
    OPEN.split_ascii_whitespace().any(|known| known == name)
}

fn overload(text: &str) -> Overload {
    let mut reader = Reader { rest: text };
    let receiver = (!text.starts_with('(')).then(|| {
        let receiver = reader.one();
        reader.skip(".");
        receiver
    });
    reader.skip("(");
    let mut arguments: Vec<Type> = receiver.into_iter().collect();
    let is_method = !arguments.is_empty();
    arguments.extend(reader.until_closed());
    reader.skip(" ");
    let letters = |c: char| !c.is_ascii_alphanumeric();
    let variables = ["A", "B"].iter().filter(|v| text.split(letters).any(|word| word == **v)).count();
    Overload { is_method, variables, arguments, result: reader.one() }
}

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn skip(&mut self, text: &str) {
        self.rest = self.rest.strip_prefix(text).unwrap_or(self.rest);
    }

    fn until_closed(&mut self) -> Vec<Type> {
        let mut found = Vec::new();
        while !self.rest.is_empty() && !self.rest.starts_with(')') {
            found.push(self.one());
            self.skip(", ");
        }
        self.skip(")");
        found
    }

    fn one(&mut self) -> Type {
        let end = self.rest.find([' ', ',', '(', ')']).unwrap_or(self.rest.len());
        // A receiver ends with a dot before its arguments.
        let word = self.rest[..end].trim_end_matches('.');
        self.rest = &self.rest[word.len()..];
        let mut inner = match word {
            "list" | "map" | "optional" | "type" => {
                self.skip("(");
                self.until_closed()
            }
            _ => Vec::new(),
        }
        .into_iter();
        let mut part = || Box::new(inner.next().unwrap_or(Type::Dyn));
        match word {
            "bool" => Type::Bool,
            "int" => Type::Int,
            "uint" => Type::Uint,
            "double" => Type::Double,
            "string" => Type::String,
            "bytes" => Type::Bytes,
            "duration" => Type::Duration,
            "timestamp" => Type::Timestamp,
            "dyn" => Type::Dyn,
            "A" => Type::Param(0),
            "B" => Type::Param(1),
            "list" => Type::List(part()),
            "map" => Type::Map(part(), part()),
            "optional" => Type::Optional(part()),
            "type" => Type::Kind(part()),
            name => Type::named(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Type, overloads};

    #[test]
    fn the_table_is_read() {
        let join = overloads("join").unwrap();
        assert_eq!(join.len(), 2);
        assert!(join[1].is_method);
        assert_eq!(join[1].arguments, [Type::list(Type::String), Type::String]);
        let query = &overloads("getQuery").unwrap()[0];
        assert_eq!(query.arguments, [Type::named("kubernetes.URL")]);
        assert_eq!(query.result, Type::map(Type::String, Type::list(Type::String)));
        let index = &overloads("_[_]").unwrap()[3];
        assert_eq!(index.variables, 2);
        assert_eq!(index.result, Type::Optional(Box::new(Type::Param(1))));
    }
}
