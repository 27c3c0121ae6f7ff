//! The static token file: `token,user,uid,"group1,group2"`, one a line (`tokenfile.NewCSV`).

use std::collections::HashMap;

use super::User;

/// The tokens of the file.
#[derive(Default)]
pub struct Tokens(HashMap<String, User>);

impl Tokens {
    /// Parses the file's text; an error names the line.
    pub fn parse(text: &str) -> Result<Tokens, String> {
        let mut tokens = HashMap::new();
        for (i, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let fields = fields(line);
            let [token, name, uid, groups @ ..] = fields.as_slice() else {
                return Err(format!(
                    "line {}: token file must have at least 3 columns (token, user name, user uid), found {}",
                    i + 1,
                    fields.len()
                ));
            };
            if token.is_empty() {
                continue;
            }
            let groups = groups.first().map(String::as_str).unwrap_or_default();
            let groups = groups.split(',').filter(|g| !g.is_empty()).map(str::to_owned).collect();
            let user = User { name: name.clone(), uid: uid.clone(), groups, extra: Vec::new() };
            tokens.insert(token.clone(), user);
        }
        Ok(Tokens(tokens))
    }

    /// The user of a token.
    pub fn find(&self, token: &str) -> Option<User> {
        self.0.get(token).cloned()
    }
}

/// The columns of a line of comma separated values.
fn fields(line: &str) -> Vec<String> {
    let mut out = vec![String::new()];
    let (mut quoted, mut chars) = (false, line.chars().peekable());
    while let Some(c) = chars.next() {
        let last = out.len() - 1;
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                out[last].push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => out.push(String::new()),
            c => out[last].push(c),
        }
    }
    out.into_iter().map(|f| f.trim().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_stand_in_quotes() {
        let tokens = Tokens::parse("abc,admin,1,\"a,b\"\nxyz,joe,2").unwrap();
        assert_eq!(tokens.find("abc").unwrap().groups, ["a", "b"]);
        assert!(tokens.find("xyz").unwrap().groups.is_empty());
        assert!(Tokens::parse("abc,admin").is_err());
    }
}
